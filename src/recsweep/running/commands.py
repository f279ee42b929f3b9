"""Commands of a supervisor to a worker. Small, picklable, free of torch; an unknown command is an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Never

from recsweep.common.errors import RecsweepError
from recsweep.planning.plan import StudyPlan
from recsweep.running.gpus import Seat


@dataclass(frozen=True)
class Search:
    """Fill slots of a study until none waits, or until the seat's terms end the search."""

    plan: StudyPlan
    seat: Seat | None = None
    """A GPU and the terms on which it may be used; None: the config's device, unshared."""


@dataclass(frozen=True)
class Evaluate:
    """Test the winner of a study that is closed."""

    plan: StudyPlan
    seat: Seat | None = None


@dataclass(frozen=True)
class Stop:
    """Claim nothing more, and end. The only command that is heeded while another one is carried out."""

    now: bool = False
    """The trial that runs ends with its epoch, and its slot waits again; else it is trained to its end."""


Command = Search | Evaluate | Stop


def unknown(message: Never) -> RecsweepError:
    """The error for a command or an event that is none of those there are; mypy sees that all are met."""
    return RecsweepError(
        f"a message that is none of ours: {message!r}; its sender is of another version of recsweep, or this "
        "is a bug; run the same version everywhere"
    )
