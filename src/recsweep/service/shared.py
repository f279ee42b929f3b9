"""Answers for one job that many ask for at once: made once a state of the job, and handed to all."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from recsweep.service.jobs import Jobs, State

FRESH_SECONDS, OLD_SECONDS = 1.0, 2.0
"""So old an answer is made again beside those who ask, and so old nobody is given it. All that happens in a
job is told by an event, and with each the state of the job is another one, for which an answer is made at
once; what else there is, as the seconds of a trial that runs, may be so old."""
SEEN_SECONDS = 0.05
"""So long the state that a job was seen in is taken for the one it is in, though another server or a job
worker may have changed it. What this server changes itself it says (`forget`)."""
_LOCKS = 64


@dataclass(frozen=True)
class _Kept:
    state: State
    since: float
    body: bytes
    seen: float
    """When the job was last known to be in this state."""


class Shared:
    """The bodies of answers for jobs.

    Args:
        make: the body for a job.
        most: how many are kept.
    """

    def __init__(self, jobs: Jobs, make: Callable[[str], bytes], most: int = 256) -> None:
        self._jobs, self._make, self._most = jobs, make, most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._lock = threading.Lock()
        self._renewing: set[str] = set()

    def at_hand(self, job_id: str) -> bytes | None:
        """The body for a job that was looked at a moment ago; None where the store has to be asked."""
        kept, now = self._kept.get(job_id), time.monotonic()
        if kept is None or now - kept.seen >= SEEN_SECONDS or now - kept.since >= OLD_SECONDS:
            return None
        return kept.body

    def of(self, job_id: str) -> bytes:
        """The body for a job.

        Raises:
            NoSuchJob: there is none.
        """
        with self._locks[hash(job_id) % _LOCKS]:  # one makes it, and the others wait for that
            if (body := self.at_hand(job_id)) is not None:
                return body
            now = time.monotonic()
            state = self._jobs.state(job_id)
            kept = self._kept.get(job_id)
            if kept is None or kept.state != state or now - kept.since >= OLD_SECONDS:
                kept = _Kept(state, now, self._make(job_id), now)
            elif now - kept.since >= FRESH_SECONDS:
                self._renew(job_id, state)
            self._keep(job_id, replace(kept, seen=now))
            return kept.body

    def forget(self, job_id: str) -> None:
        """The job was changed here: who asks next has to see that."""
        with self._locks[hash(job_id) % _LOCKS], self._lock:
            self._kept.pop(job_id, None)

    def _renew(self, job_id: str, state: State) -> None:
        """Make the answer again, while those who ask are given the one that there is."""
        with self._lock:
            if job_id in self._renewing:
                return
            self._renewing.add(job_id)

        def renew() -> None:
            now = time.monotonic()
            try:
                body = self._make(job_id)
                with self._locks[hash(job_id) % _LOCKS]:
                    kept = self._kept.get(job_id)
                    if kept is not None and kept.state == state:
                        self._keep(job_id, replace(kept, since=now, body=body))
            except Exception:
                # Whoever asks when the answer is too old is told what is wrong.
                self.forget(job_id)
            finally:
                with self._lock:
                    self._renewing.discard(job_id)

        threading.Thread(target=renew, name="answer of a job", daemon=True).start()

    def _keep(self, job_id: str, kept: _Kept) -> None:
        with self._lock:
            self._kept[job_id] = kept
            self._kept.move_to_end(job_id)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
