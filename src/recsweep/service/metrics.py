"""Numbers for Prometheus, in its text format: by state, by route, and seconds."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Requests:
    """Requests that were answered, by route, method and status, and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered: dict[tuple[str, str, int], int] = {}
        self._buckets = dict.fromkeys((*BUCKETS, float("inf")), 0)
        self._seconds = 0.0

    def note(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Count one.

        Args:
            seconds: until it was answered; None for a stream, whose end says nothing.
        """
        with self._lock:
            key = (route, method, status)
            self._answered[key] = self._answered.get(key, 0) + 1
            if seconds is None:
                return
            self._seconds += seconds
            for bound in self._buckets:
                self._buckets[bound] += seconds <= bound

    def lines(self) -> Iterable[str]:
        """Their lines."""
        with self._lock:
            answered, buckets, seconds = dict(self._answered), dict(self._buckets), self._seconds
        yield from _head("recsweep_requests_total", "counter", "Requests that were answered")
        for (route, method, status), number in sorted(answered.items()):
            yield _line("recsweep_requests_total", number, route=route, method=method, status=str(status))
        yield from _head("recsweep_request_seconds", "histogram", "Seconds until a request was answered")
        for bound, number in buckets.items():
            yield _line("recsweep_request_seconds_bucket", number, le=f"{bound:g}".replace("inf", "+Inf"))
        yield f"recsweep_request_seconds_sum {seconds:.6f}"
        yield f"recsweep_request_seconds_count {buckets[float('inf')]}"


def gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Iterable[str]:
    """One number for each value of a label."""
    yield from _head(name, "gauge", about)
    for value, number in values.items():
        yield _line(name, number, **{label: value})


def gauge(name: str, about: str, number: float) -> Iterable[str]:
    """One number."""
    yield from _head(name, "gauge", about)
    yield f"{name} {number:g}"


def _head(name: str, kind: str, about: str) -> Iterable[str]:
    yield f"# HELP {name} {about}."
    yield f"# TYPE {name} {kind}"


def _line(name: str, number: float, **labels: str) -> str:
    told = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{told}}} {number:g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
