"""Has workers train configurations for a moment, in a process for each study, and hears what they take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from recsweep.estimating.probe import Point, Probe, Probes
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import error_of
from recsweep.running.commands import Gauge
from recsweep.running.events import Broken, Died, Event, Gauged, Idle, Ready
from recsweep.running.local_workers import LocalWorkers
from recsweep.running.watch import duration
from recsweep.running.workers import Workers

_PATIENCE, _LEAST_SECONDS = 2.5, 60.0
"""A study's process is ended after so many times the time for it, but not before so many seconds: nobody
knows what data take that are to be prepared, and models that are computed rather than trained."""
_NUMBER = 0
_TICK_SECONDS = 0.5


class Prober:
    """Probes studies one after the other, as their trials would run.

    Args:
        workers: those that train; processes of this machine by default.
    """

    def __init__(self, workers: Workers | None = None) -> None:
        self._workers = workers or LocalWorkers()

    def __enter__(self) -> Prober:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.close()

    def probes(self, plan: StudyPlan, points: Sequence[Point], seconds: float) -> Probes:
        """Measurements of the configurations of a study, each trained for its share of so many seconds.

        Raises:
            RecsweepError: what is no trial's fault.
        """
        started, longest = time.monotonic(), max(_LEAST_SECONDS, seconds * _PATIENCE)
        self._workers.start(_NUMBER, plan)
        self._workers.send(_NUMBER, Gauge(plan, tuple(points), seconds))
        heard = _Heard(started)
        try:
            while not heard.over:
                if time.monotonic() - started > longest:
                    heard.cut = f"not measured within {duration(longest)}"
                    break
                for _, event in self._workers.events(_TICK_SECONDS):
                    heard.take(event)
        finally:
            self._workers.stop([_NUMBER], force=True)
        return heard.probes(points)


class _Heard:
    """All that a worker has told so far."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._ready = 0.0
        self._taken: dict[str, Probe] = {}
        self._memory, self._gpu_memory = 0, 0
        self.cut = ""
        self.over = False

    def take(self, event: Event) -> None:
        """An event of the worker.

        Raises:
            RecsweepError: it broke.
        """
        match event:
            case Ready() if not self._ready:
                self._ready = time.monotonic() - self._started
            case Gauged(probe, memory, gpu_memory):
                self._taken[probe.name] = probe  # of one that was trained on, the last word
                self._memory = max(self._memory, memory)
                self._gpu_memory = max(self._gpu_memory, gpu_memory or 0)
            case Broken():
                raise error_of(event)
            case Died(reason):
                self.cut, self.over = f"its process was {reason}", True
            case Idle():
                self.over = True

    def probes(self, points: Sequence[Point]) -> Probes:
        """All of it. A configuration that ended its process, or took too long, says so."""
        taken = list(self._taken.values())
        waiting = [point for point in points if point.name not in self._taken]
        if self.cut and waiting:
            point = waiting[0]
            taken.append(Probe(point.name, dict(point.params), failure=self.cut))
        return Probes(self._ready, self._memory, self._gpu_memory or None, self.cut, tuple(taken))
