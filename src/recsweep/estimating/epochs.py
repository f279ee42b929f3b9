"""How many epochs a trial will have: of earlier trials, of what was probed, else assumed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recsweep.estimating.history import ENOUGH, History
from recsweep.estimating.probe import LARGE, SMALL, Probe
from recsweep.estimating.span import Span
from recsweep.sweeps.sections import PruningConfig, SearchConfig, TrainingConfig

_USUAL = Span(1.5, 3.5, 10.0)
"""Epochs until early stop, in patiences; FPMC on ml-100k stops after 35 with one of 10 (RESULTS.md)."""
_GOING_ON = Span(1.0, 1.4, 2.5)
"""Epochs of a trial that had not stopped when it was left, in those that it had by then; assumed."""
_SEEN = Span(0.7, 1.0, 1.5)
"""The part that a few trials to their end leave open of the mean of many."""
RULES = {
    "none": Span.sure(1.0),
    "median": Span(0.4, 0.5, 0.75),
    "asha": Span(0.2, 0.25, 0.4),
    "hyperband": Span(0.25, 0.4, 0.6),
    "wilcoxon": Span(0.4, 0.6, 0.9),
    "pbt": Span.sure(1.0),
}
"""The share of all epochs that is left where poor trials are stopped early: `median` and `asha` as measured
on FPMC (RESULTS.md), the others as assumed."""


@dataclass(frozen=True)
class Epochs:
    """Epochs of a trial that is not pruned.

    Attributes:
        of_trial: in the mean of many.
        source: how they are known.
        assumed: they are not.
    """

    of_trial: Span
    source: str
    assumed: bool = False


def stops_early(training: TrainingConfig) -> bool:
    """True where a trial may stop before its last epoch."""
    return _shortest(training) < training.epochs


def _shortest(training: TrainingConfig) -> int:
    """Epochs before which no early stop comes."""
    return (training.stopping_step + 1) * training.eval_step


def expected_epochs(training: TrainingConfig, probes: Sequence[Probe], history: History) -> Epochs:
    """Epochs until early stop, by the best of what is known."""
    least = min(training.epochs, _shortest(training))
    own = [one for one in probes if one.name not in (LARGE, SMALL)]
    if own and all(one.finished and one.epochs == 1 for one in own):
        return Epochs(Span.sure(1), "computed, not trained" if training.epochs > 1 else "all of them")
    if not stops_early(training):
        return Epochs(Span.sure(training.epochs), "all of them")
    if len(history.epochs) >= ENOUGH:
        mean = sum(history.epochs) / len(history.epochs)
        open_ = 0.5 / len(history.epochs) ** 0.5
        span = Span(mean * (1 - open_), mean, mean * (1 + open_))
        return Epochs(span.within(1, training.epochs), f"of {len(history.epochs)} earlier trials")
    ended = [one for one in own if one.finished]
    if own and all(one.finished for one in own):
        mean = sum(one.epochs for one in own) / len(own)
        return Epochs(_SEEN.times(mean).within(1, training.epochs), f"of {len(own)} tried to their end")
    usual = _USUAL.times(_shortest(training)).within(least, training.epochs)
    if not ended:
        return Epochs(_at_least(usual, own, training), "assumed", assumed=True)
    known_epochs = sum(one.epochs for one in ended)
    rest = _at_least(usual, [one for one in own if not one.finished], training).times(len(own) - len(ended))
    mean_of_all = (Span.sure(known_epochs) + rest).times(1 / len(own))
    return Epochs(mean_of_all, f"{len(ended)} of {len(own)} tried to their end, else assumed", assumed=True)


def _at_least(usual: Span, going_on: Sequence[Probe], training: TrainingConfig) -> Span:
    """The usual epochs of trials that were still going on when they were left."""
    seen = max((one.epochs for one in going_on), default=0)
    least = _GOING_ON.times(seen) + Span.sure(1)
    more = Span(max(usual.low, least.low), max(usual.expected, least.expected), max(usual.high, least.high))
    return more.within(1, training.epochs)


def left_by_pruning(pruning: PruningConfig, search: SearchConfig, epochs: Span, trials: int) -> Span:
    """The share of a study's epochs that is left where poor trials are stopped early."""
    rule = pruning.pruner if pruning.pruner != "none" else search.scheduler
    shortest = pruning.warmup_epochs + (pruning.patience + 1 if rule in ("median", "wilcoxon") else 1)
    free = min(trials, pruning.min_trials + 1) / max(1, trials)
    left = RULES.get(rule, Span.sure(1.0))
    floor = min(1.0, shortest / max(1.0, epochs.expected))
    shares = (max(share, floor) for share in (left.low, left.expected, left.high))
    return Span(*(share + (1 - share) * free for share in shares))
