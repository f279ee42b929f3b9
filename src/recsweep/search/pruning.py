"""When a poor trial is stopped early. Pure functions, asked after each validation, of validation scores only.

A trial's score is that of its best epoch, so its best so far is what speaks for it, and one bad validation
is no reason to stop it.

- `median` (Golovin et al. 2017, "Google Vizier", as Optuna has it): the best so far is worse than the median
  of the other trials' scores at the same epoch. Those are all that were validated there, complete or pruned:
  the pruned ones count up to where they went. Without them the median would be that of the survivors, and
  rise with each trial that is pruned. The others' bests so far instead of their scores would be a stricter
  rule that loses good trials: between validations that jump up and down, half a percent is luck.
- `asha` (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning"): asked at rungs, the first
  one after `warmup_epochs`, each of the next after 3 times as many epochs. A trial goes on while it is in
  the best third of all that came so far, whatever became of them; the first two while they are the best.
- `hyperband` (Li et al. 2018, "Hyperband"; asynchronous as in Falkner et al. 2018, "BOHB"): brackets of
  `asha`, each with its first rung one later; the slot says which, in Hyperband's proportions. Trials are
  compared within their bracket. So some that start slowly get their chance, for more epochs.
- `wilcoxon`: its scores are lower than the best complete trial's at the same epochs, by a one-sided
  signed-rank test at 0.1. The test takes the differences for independent and symmetric. Those of two
  learning curves are neither, for neighbours are alike; so 0.1 is a threshold and no probability, and a
  trial that learns slowly but ends high is lost.

With `patience`, a rule has to hold at so many validations before, too. Where there are rungs, these are the
validations from the rung on: a trial has so many more to win its place.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from statistics import median

from recsweep.study import State
from recsweep.sweeps.config import PruningConfig

ETA = 3
"""One in so many goes on from each rung."""
SIGNIFICANCE = 0.1
_WITH_RUNGS = ("asha", "hyperband")


@dataclass(frozen=True)
class Curve:
    """How a trial went. What is worked out from its scores is kept, so keep the curves of closed trials."""

    slot: int
    scores: Mapping[int, float]
    """Validation score by epoch, from 1; those that were validated."""
    state: State = State.RUNNING

    @cached_property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that have a score, in order."""
        return tuple(sorted(epoch for epoch, score in self.scores.items() if math.isfinite(score)))

    def at(self, epoch: int) -> float | None:
        """The score at an epoch; None where there is none."""
        score = self.scores.get(epoch)
        return score if score is not None and math.isfinite(score) else None

    def best(self, epoch: int, *, maximize: bool) -> float | None:
        """The best score until an epoch; None where there is none."""
        count = bisect_right(self.epochs, epoch)
        return (self._highest if maximize else self._lowest)[count - 1] if count else None

    def came_to(self, epoch: int) -> bool:
        """Whether it trained so far, or ended complete before: then more epochs would bring nothing."""
        return bool(self.epochs) and (self.state == State.COMPLETE or self.epochs[-1] >= epoch)

    @cached_property
    def _highest(self) -> tuple[float, ...]:
        return tuple(accumulate((self.scores[epoch] for epoch in self.epochs), max))

    @cached_property
    def _lowest(self) -> tuple[float, ...]:
        return tuple(accumulate((self.scores[epoch] for epoch in self.epochs), min))


@dataclass(frozen=True)
class _Question:
    """A trial at one of its validations, and those that it is compared with."""

    own: Curve
    epoch: int
    others: Sequence[Curve]
    maximize: bool

    @property
    def best(self) -> float:
        return self.best_of(self.own)

    def best_of(self, curve: Curve) -> float:
        """Its best until this epoch; the worst there is where it has none."""
        score = curve.best(self.epoch, maximize=self.maximize)
        return score if score is not None else (-math.inf if self.maximize else math.inf)

    def worse(self, score: float, other: float) -> bool:
        return score < other if self.maximize else score > other

    def compared(self, score: float, other: float, name: str = "") -> str:
        """`0.0141 < median 0.0170`, with as many digits as tell the two apart."""
        digits = next((d for d in range(4, 17) if f"{score:.{d}f}" != f"{other:.{d}f}"), 17)
        return f"{score:.{digits}f} {'<' if self.maximize else '>'} {name}{other:.{digits}f}"


def is_due(config: PruningConfig, own: Curve, *, max_epochs: int) -> bool:
    """Whether a trial can be stopped after its latest validation; else there is no need of the others.

    The first trial of a study is never stopped, nor is one that has trained to the end.
    """
    if config.pruner == "none" or own.slot == 0 or not own.epochs or own.epochs[-1] >= max_epochs:
        return False
    start = len(own.epochs) - 1 - config.patience
    if start < 0:
        return False
    epoch, before = own.epochs[start], own.epochs[start - 1] if start else 0
    if config.pruner not in _WITH_RUNGS:
        return epoch >= config.warmup_epochs
    rung = _first_rung(config)
    if config.pruner == "hyperband":
        rung *= ETA ** _bracket(config, own.slot, max_epochs)
    while rung <= before:
        rung *= ETA
    return rung <= epoch


def needs_running(config: PruningConfig) -> bool:
    """Whether the rule compares with trials that still run, too."""
    return config.pruner in _WITH_RUNGS


def verdict(
    config: PruningConfig, own: Curve, others: Sequence[Curve], *, maximize: bool, max_epochs: int
) -> str | None:
    """Why a trial is to be stopped after its latest validation; None: it goes on.

    Args:
        own: the trial, up to now.
        others: all other trials of the study but the failed ones, in any order.
        max_epochs: the most epochs of a trial (`training.epochs`).

    Returns:
        The comparison in words, such as `0.0141 < median 0.0170`.
    """
    if not is_due(config, own, max_epochs=max_epochs):
        return None
    others = [other for other in others if other.slot != own.slot and other.epochs]
    if sum(other.state != State.RUNNING for other in others) < config.min_trials:
        return None
    if config.pruner == "hyperband":
        bracket = _bracket(config, own.slot, max_epochs)
        others = [other for other in others if _bracket(config, other.slot, max_epochs) == bracket]
    reason = None
    for epoch in reversed(own.epochs[-1 - config.patience :]):
        against = _RULES[config.pruner](_Question(own, epoch, others, maximize))
        if against is None:
            return None
        reason = reason or against
    return reason


# -- rungs and brackets ----------------------------------------------------------------------------


def _first_rung(config: PruningConfig) -> int:
    return max(1, config.warmup_epochs)


def _bracket(config: PruningConfig, slot: int, max_epochs: int) -> int:
    """How many rungs later than in the first bracket a slot's trial meets its first one."""
    order = _bracket_order(_first_rung(config), max_epochs)
    return order[slot % len(order)]


@cache
def _bracket_order(first_rung: int, max_epochs: int) -> tuple[int, ...]:
    """Brackets in turns: as often as Hyperband draws trials for them, each spread out evenly."""
    count = 1
    while first_rung * ETA**count <= max_epochs:
        count += 1
    rungs = range(count, 0, -1)  # of each bracket
    trials = [math.ceil(count / own * ETA ** (own - 1)) for own in rungs]
    total, credit, order = sum(trials), [0] * count, []
    for _ in range(total):
        credit = [saved + share for saved, share in zip(credit, trials, strict=True)]
        chosen = credit.index(max(credit))
        credit[chosen] -= total
        order.append(chosen)
    return tuple(order)


# -- the rules: what speaks against a trial at one of its validations, or None ---------------------


def _median(question: _Question) -> str | None:
    closed = (other for other in question.others if other.state != State.RUNNING)
    scores = [score for other in closed if (score := other.at(question.epoch)) is not None]
    if not scores:
        return None
    best, middle = question.best, median(scores)
    return question.compared(best, middle, "median ") if question.worse(best, middle) else None


def _rung(question: _Question) -> str | None:
    rivals = [question.best_of(other) for other in question.others if other.came_to(question.epoch)]
    if not rivals:
        return None
    best = question.best
    ranked = sorted([*rivals, best], reverse=question.maximize)
    places = max(1, len(ranked) // ETA)
    last = ranked[places - 1]
    if not question.worse(best, last):
        return None
    return f"{question.compared(best, last)}, place {places} of {len(ranked)} at epoch {question.epoch}"


def _wilcoxon(question: _Question) -> str | None:
    complete = [other for other in question.others if other.state == State.COMPLETE]
    if not complete:
        return None
    sign = 1 if question.maximize else -1
    model = max(complete, key=lambda other: (sign * _final(other, question.maximize), -other.slot))
    pairs = [
        (question.own.scores[epoch], score)
        for epoch in question.own.epochs
        if epoch <= question.epoch and (score := model.at(epoch)) is not None
    ]
    differences = [sign * (own - other) for own, other in pairs]
    best, best_of_model = question.best, question.best_of(model)
    if not any(differences) or not question.worse(best, best_of_model):
        return None
    from scipy import stats

    p = float(stats.wilcoxon(differences, zero_method="zsplit", alternative="less").pvalue)
    if not p < SIGNIFICANCE:
        return None
    compared = question.compared(best, best_of_model, f"trial {model.slot}'s ")
    return f"{compared}, p {p:.2g} at {len(pairs)} epochs"


def _final(curve: Curve, maximize: bool) -> float:
    """The best score of a curve that has one."""
    return (max if maximize else min)(curve.scores[epoch] for epoch in curve.epochs)


_RULES: dict[str, Callable[[_Question], str | None]] = {
    "median": _median,
    "asha": _rung,
    "hyperband": _rung,
    "wilcoxon": _wilcoxon,
}
