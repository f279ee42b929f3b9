"""From what was measured of a study's model to hours and memory of the study, each as a range. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recsweep.estimating.epochs import Epochs, expected_epochs, left_by_pruning
from recsweep.estimating.history import ENOUGH, History
from recsweep.estimating.probe import LARGE, SMALL, Probe, Probes
from recsweep.estimating.span import Span
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.sections import EPOCHS, TRIALS

_BESIDE_SECONDS = 0.1
"""A trial's time beside its training: claim, proposal, store, weights."""
_NEXT_SECONDS = 0.3
"""From one study to the next, by workers that hold its data already."""
_TESTS = 2.0
"""The test of a winner, in validations: its metrics in full, user by user."""
_MEASURED, _MOST_UNSURE = 0.15, 0.6
"""The share of a mean that measuring leaves open, and the most that is said to be open."""
_HISTORY = Span(0.8, 1.0, 1.3)
"""The part that a study's own first trials leave open of the others: a search goes where scores are best."""


@dataclass(frozen=True)
class StudyEstimate:
    """The time and memory of a study.

    Attributes:
        plan: the study.
        trials: that are still to run.
        epochs: of each.
        trial: seconds of each, in the mean.
        fixed: seconds beside the trials: start of workers, data, test.
        total: seconds of the study.
        memory: bytes of all of its workers; 0 where nothing was measured.
        gpu_memory: bytes of a GPU that one trial takes.
        trouble: why there is no estimate, or why it is less than all.
        path: whose code trains.
    """

    plan: StudyPlan
    trials: int
    epochs: Epochs
    trial: Span
    fixed: float
    total: Span
    memory: int
    gpu_memory: int | None = None
    trouble: str = ""
    path: str = ""

    @property
    def is_known(self) -> bool:
        """True where anything was measured, or nothing is to run."""
        return self.trials == 0 or self.trial.expected > 0


def nothing_to_run(plan: StudyPlan) -> StudyEstimate:
    """A study that is complete."""
    none = Span.sure(0.0)
    return StudyEstimate(plan, 0, Epochs(none, "complete"), none, 0.0, none, 0)


def estimate(
    plan: StudyPlan, trials: int, probes: Probes, history: History, *, warm: bool = False
) -> StudyEstimate:
    """The time and memory of what is left of a study.

    Args:
        trials: that are still to run.
        probes: what was measured of its configurations.
        history: what the store knows of earlier trials.
        warm: workers come to it from another study on the same data; each was measured in a new process.
    """
    good, workers = probes.good, plan.sweep.workers.count
    epochs = expected_epochs(plan.training, good, history)
    trouble = next((one.failure for one in probes.taken if one.failure), probes.cut)
    none = Span.sure(0.0)
    if not good:
        return StudyEstimate(plan, trials, epochs, none, 0.0, none, probes.memory, None, trouble)
    left = left_by_pruning(plan.pruning, plan.search, epochs.of_trial, plan.budget)
    trial = _trial(good, epochs, left, trials)
    if len(history.seconds) >= ENOUGH:
        trial = _HISTORY.times(sum(history.seconds) / len(history.seconds))
    trial = trial + Span.sure(_BESIDE_SECONDS)
    first = good[0]
    ready = min(_NEXT_SECONDS, probes.ready_seconds) if warm else probes.ready_seconds
    fixed = ready + (first.setup_seconds + _TESTS * first.validation_seconds) * plan.is_last
    together = min(workers, max(1, trials))
    total = _by_budget(plan, trials, trial, epochs).times(1 / together) + Span.sure(fixed)
    memory = probes.memory * together
    path = first.path.split(" ", 1)[0]
    return StudyEstimate(plan, trials, epochs, trial, fixed, total, memory, probes.gpu_memory, trouble, path)


def _trial(good: Sequence[Probe], epochs: Epochs, left: Span, trials: int) -> Span:
    """Seconds of a trial in the mean of the configurations that were probed within the space."""
    drawn = [one for one in good if one.name not in (LARGE, SMALL)] or list(good)
    means = Span(*(_mean(drawn, epochs, which) for which in ("low", "expected", "high")))
    setup = sum(one.setup_seconds for one in drawn) / len(drawn)
    trained = (means + Span.sure(-setup)).by(left) + Span.sure(setup)
    usual = epochs.of_trial.expected
    unsure = _unsure([_seconds(one, usual) for one in drawn], [_seconds(one, usual) for one in good], trials)
    return Span(trained.low * (1 - unsure), trained.expected, trained.high * (1 + unsure))


def _mean(drawn: Sequence[Probe], epochs: Epochs, which: str) -> float:
    """Mean seconds of trials; one that was trained to its end has the epochs that it had."""
    usual: float = getattr(epochs.of_trial, which)
    if any(one.finished for one in drawn) and epochs.source.endswith("to their end"):
        scale = usual / max(epochs.of_trial.expected, 1e-9)
        return sum(_seconds(one, one.epochs * scale) for one in drawn) / len(drawn)
    return sum(_seconds(one, usual) for one in drawn) / len(drawn)


def _seconds(probe: Probe, epochs: float) -> float:
    return probe.setup_seconds + probe.epoch_seconds * epochs


def _unsure(drawn: Sequence[float], everything: Sequence[float], trials: int) -> float:
    """How far the mean of a study's trials may lie from that of those that were drawn, as a share of it.

    Args:
        drawn: seconds of configurations from all over the space.
        everything: of the corners too, where hardly any was drawn.
        trials: of the study, which are drawn as well.
    """
    told = drawn if len(drawn) >= ENOUGH else everything
    mean = sum(told) / len(told)
    if mean <= 0:
        return _MEASURED
    deviation = math.sqrt(sum((one - mean) ** 2 for one in told) / max(1, len(told) - 1)) / mean
    return min(_MOST_UNSURE, math.hypot(_MEASURED, deviation * math.sqrt(1 / len(drawn) + 1 / trials)))


def _by_budget(plan: StudyPlan, trials: int, trial: Span, epochs: Epochs) -> Span:
    """Seconds of training in a study, one worker at it, by what its budget counts and what limits it."""
    all_of_them = trial.times(trials)
    if plan.search.budget != TRIALS and plan.share is not None:
        share = plan.share
        if plan.search.budget == EPOCHS:
            share *= trial.expected / max(1.0, epochs.of_trial.expected)
        all_of_them = all_of_them.within(0.0, share)
    if (minutes := plan.search.timeout_minutes) is not None:
        limit = minutes * 60 * plan.sweep.workers.count + trial.expected
        all_of_them = all_of_them.within(0.0, limit)
    return all_of_them
