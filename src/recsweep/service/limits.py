"""The limits of the service: how much one may send, ask and wait for. Beyond them is 413, 422 or 429."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much is taken.

    Attributes:
        body_bytes: of a request.
        requests_a_minute: of one bearer, or of one address where there is no token.
        guesses_a_minute: wrong tokens from one address.
        queued: jobs that wait for a job worker.
        streams: of events, open at once.
    """

    body_bytes: int = 1_000_000
    requests_a_minute: int = 6_000
    guesses_a_minute: int = 60
    queued: int = 1_000
    streams: int = 200


class Rate:
    """Requests of each caller, by a bucket that fills evenly and holds a quarter of a minute's.

    Args:
        a_minute: how many each caller has.
        most_callers: how many callers are remembered; the one that was quiet for longest is forgotten.
    """

    def __init__(self, a_minute: int, most_callers: int = 10_000) -> None:
        self._per_second = a_minute / 60
        self._holds = max(1.0, a_minute / 4)
        self._most = most_callers
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str, *, take: bool = True) -> float:
        """Seconds until the caller may ask again; 0: now, and this request is counted.

        Args:
            take: count it.
        """
        now = time.monotonic()
        left, since = self._callers.get(caller, (self._holds, now))
        left = min(self._holds, left + (now - since) * self._per_second)
        if left < 1:
            return (1 - left) / self._per_second
        if take:
            self._callers[caller] = (left - 1, now)
            self._callers.move_to_end(caller)
            if len(self._callers) > self._most:
                self._callers.popitem(last=False)
        return 0.0
