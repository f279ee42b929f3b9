"""The states of a job, and the one table of how it goes from one to another.

```
created ─► queued ─► running ─► completed
             ▲  ▲      │ │ └──► failed ──┐
             │  └──────┘ └────► paused ──┤
             │                           │
             └───────────────────────────┘
queued | running | paused ─► cancelling ─► cancelled ─► queued
```

Each step is one statement that changes a job only where it is in a state from which the step may be taken, so
of two servers that want the same thing one has it, and the other is told what is allowed now.
"""

from __future__ import annotations

from enum import StrEnum

from recsweep.common.errors import UserError


class JobStatus(StrEnum):
    """Where a job is in its life."""

    CREATED = "created"
    """It is there, and nobody has asked to run it."""
    QUEUED = "queued"
    """It waits for a job worker."""
    RUNNING = "running"
    """A job worker has it."""
    PAUSED = "paused"
    """Something that is no trial's fault stopped it; nothing is lost."""
    CANCELLING = "cancelling"
    """Somebody wants it to end; its running trials are being stopped."""
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    """All of its studies have ended."""
    FAILED = "failed"
    """It came to no end, and running it again needs something to be corrected."""

    @property
    def at_work(self) -> bool:
        """A job worker has it, or had it until it died."""
        return self in AT_WORK

    @property
    def over(self) -> bool:
        """Nothing happens any more unless somebody asks for it."""
        return self in OVER


_C = JobStatus
AT_WORK = frozenset({_C.RUNNING, _C.CANCELLING})
OVER = frozenset({_C.PAUSED, _C.CANCELLED, _C.COMPLETED, _C.FAILED})

TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    _C.CREATED: frozenset({_C.QUEUED}),
    _C.QUEUED: frozenset({_C.RUNNING, _C.CANCELLING}),
    # Back to the queue where its job worker was told to end, or its process died.
    _C.RUNNING: frozenset({_C.COMPLETED, _C.FAILED, _C.PAUSED, _C.CANCELLING, _C.QUEUED}),
    _C.PAUSED: frozenset({_C.QUEUED, _C.CANCELLING}),
    _C.CANCELLING: frozenset({_C.CANCELLED}),
    _C.CANCELLED: frozenset({_C.QUEUED}),
    _C.COMPLETED: frozenset(),
    _C.FAILED: frozenset({_C.QUEUED}),
}
"""From each state, those that may come next."""

ACTIONS: dict[str, frozenset[JobStatus]] = {
    "start": frozenset({_C.CREATED}),
    "resume": frozenset({_C.PAUSED, _C.CANCELLED, _C.FAILED}),
    "cancel": frozenset({_C.QUEUED, _C.RUNNING, _C.PAUSED}),
    "delete": frozenset(_C) - AT_WORK,
}
"""The wishes that people have, and the states in which each can be granted."""


def allowed(status: JobStatus) -> list[str]:
    """The wishes that can be granted to a job in a state."""
    return [action for action, sources in ACTIONS.items() if status in sources]


class WrongTransition(UserError):
    """A wish that cannot be granted to a job in its state.

    Args:
        job: its id.
        action: the wish; a key of `ACTIONS`.
        status: the job's state now.
    """

    def __init__(self, job: str, action: str, status: JobStatus) -> None:
        self.action, self.status, self.allowed = action, status, allowed(status)
        way = f"allowed now: {', '.join(self.allowed)}" if self.allowed else "wait until it is over"
        super().__init__(f"job {job} is {status}; it cannot be told to {action}; {way}")
