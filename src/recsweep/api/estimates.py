"""How long the studies of a sweep will take, and how much memory: measured for a moment, kept, and said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from recsweep.api.slots import open_slots, store_of
from recsweep.common.cores import cores
from recsweep.common.files import counted
from recsweep.common.paths import is_made
from recsweep.estimating.estimate import StudyEstimate, estimate, nothing_to_run
from recsweep.estimating.history import History, history_of
from recsweep.estimating.kept import keep, kept, key_of
from recsweep.estimating.points import points
from recsweep.estimating.probe import Point, Probe, Probes
from recsweep.planning.plan import StudyPlan
from recsweep.running.prober import Prober
from recsweep.running.threads import threads_of
from recsweep.running.watch import duration

MINUTES = 5
"""So long an estimate takes at most, where nobody says otherwise."""
_MOST_SECONDS, _LEAST_SECONDS = 40.0, 4.0
"""For each study, a model's set-up beside."""
_KEEPS = 1.5
"""A worker that goes from study to study holds so many times what the largest takes (RESULTS.md)."""
_LOAD = 1.0
"""So many processes that compute beside ours make a measurement doubtful."""


def estimated(
    plans: Sequence[StudyPlan], minutes: float, tell: Callable[[str], None], best_params: str | None = None
) -> list[StudyEstimate]:
    """The time and memory of each study.

    Args:
        minutes: that may pass in all.
        tell: takes a line on what is being measured.
        best_params: the file that the studies start from, as `tune` takes it.

    Raises:
        RecsweepError: what is no trial's fault: no room, a store that is away.
    """
    missing = {plan.name: open_slots(plan, best_params)[1] for plan in plans}
    with ExitStack() as stack:
        measure = _Measure(stack, minutes * 60, tell, sum(map(bool, missing.values())))
        found: list[StudyEstimate] = []
        before = ""
        for plan in plans:
            if missing[plan.name] == 0:
                found.append(nothing_to_run(plan))
                continue
            warm, before = plan.dataset_name == before, plan.dataset_name
            trials, probes = missing[plan.name], measure.of(plan)
            found.append(estimate(plan, trials, probes, _history(plan), warm=warm))
        return found


def _history(plan: StudyPlan) -> History:
    if not is_made(plan.storage_url):
        return History()
    with store_of(plan) as store:
        return history_of(plan, store)


class _Measure:
    """Measures studies, each once, as long as there is time.

    Args:
        stack: holds the workers, which are started when the first one is needed.
        seconds: that there are.
        tell: takes a line.
        studies: how many have trials to run.
    """

    def __init__(self, stack: ExitStack, seconds: float, tell: Callable[[str], None], studies: int) -> None:
        self._stack, self._tell = stack, tell
        self._deadline = time.monotonic() + seconds
        self._prober: Prober | None = None
        self._waiting, self._studies = studies, studies

    def of(self, plan: StudyPlan) -> Probes:
        """Measurements of a study's configurations, now or before."""
        wanted = points(plan)
        folder = plan.outputs.estimates
        key = key_of(plan, wanted, threads_of(plan.sweep.workers))
        self._waiting -= 1
        if (before := kept(folder, key)) is not None:
            return before
        left = self._deadline - time.monotonic()
        seconds = min(_MOST_SECONDS, left / (self._waiting + 1))
        if left <= 0:
            return _unmeasured(wanted[0])
        number = self._studies - self._waiting
        self._tell(f"measuring {plan.label} ({number} of {self._studies}), about {duration(seconds)}")
        found = self._probed(plan, wanted, max(seconds, _LEAST_SECONDS))
        if found.good:
            keep(folder, key, plan, found)
        return found

    def _probed(self, plan: StudyPlan, wanted: Sequence[Point], seconds: float) -> Probes:
        if self._prober is None:
            self._prober = self._stack.enter_context(Prober())
        return self._prober.probes(plan, wanted, seconds)


def _unmeasured(point: Point) -> Probes:
    why = "no time was left to measure it; the same command again goes on, for what was measured is kept"
    return Probes(0.0, 0, cut=why, taken=(Probe(point.name, dict(point.params), failure=why),))


def lines_of(estimates: Sequence[StudyEstimate]) -> list[str]:
    """Lines that say it, study by study, and in all."""
    lines = [_line(one) for one in estimates]
    measured = [one for one in estimates if one.is_known]
    low, expected, high = (
        sum(getattr(one.total, which) for one in measured) for which in ("low", "expected", "high")
    )
    memory = round(max((one.memory for one in measured), default=0) * (_KEEPS if len(measured) > 1 else 1))
    rest = len(estimates) - len(measured)
    beside = f", without {counted(rest, 'study')} of which nothing is known" if rest else ""
    lines.append(f"in all: {_time(low, expected, high)}{_memory(memory)}{beside}")
    if (load := os.getloadavg()[0]) > cores() + _LOAD:
        lines.append(f"the machine is busy (load {load:.0f}): with less beside it, all of this takes less")
    if any(one.epochs.assumed and one.trials for one in estimates):
        lines.append(
            "epochs until early stop are assumed where no trial was seen to its end; once the store has "
            "three trials of a model on its data, they are what is counted with"
        )
    return lines


def _line(one: StudyEstimate) -> str:
    if one.trials == 0:
        return f"{one.plan.label}: nothing to run"
    if not one.is_known:
        return f"{one.plan.label}: not known: {one.trouble}"
    total, trial = one.total, one.trial
    epochs = round(one.epochs.of_trial.expected)
    gpu = f", {one.gpu_memory / 2**30:.1f} GiB of the GPU a trial" if one.gpu_memory else ""
    only = f"; in part: {one.trouble}" if one.trouble else ""
    return (
        f"{one.plan.label}: {_time(total.low, total.expected, total.high)}{_memory(one.memory)}{gpu}; "
        f"{counted(one.trials, 'trial')} of {duration(trial.expected)}, {counted(epochs, 'epoch')} unpruned "
        f"({one.epochs.source}), {one.path}{only}"
    )


def _time(low: float, expected: float, high: float) -> str:
    return f"about {duration(expected)} ({duration(low)} to {duration(high)})"


def _memory(size: int) -> str:
    return f", {size / 2**30:.1f} GiB" if size else ""
