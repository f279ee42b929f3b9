"""The rules by which a poor trial is stopped early: pure functions of learning curves.

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
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from recsweep.search.curves import Curve
from recsweep.study import State

ETA = 3
"""One in so many goes on from each rung."""
SIGNIFICANCE = 0.1
"""Below this `wilcoxon` ends a trial, as in Optuna: a threshold that is no probability, see above."""


@dataclass(frozen=True)
class Question:
    """A trial at one of its validations, and those that it is compared with.

    Attributes:
        own: the trial, up to now.
        epoch: of the validation that is asked about, from 1; with `patience` not always the latest.
        others: the other trials that have scores, complete, pruned or running.
        maximize: a higher score is better.
    """

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


# -- the rules: what speaks against a trial at one of its validations, or None ---------------------


def _median(question: Question) -> str | None:
    closed = (other for other in question.others if other.state != State.RUNNING)
    scores = [score for other in closed if (score := other.at(question.epoch)) is not None]
    if not scores:
        return None
    best, middle = question.best, median(scores)
    return question.compared(best, middle, "median ") if question.worse(best, middle) else None


def _rung(question: Question) -> str | None:
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


def _wilcoxon(question: Question) -> str | None:
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


RULES: dict[str, Callable[[Question], str | None]] = {
    "median": _median,
    "asha": _rung,
    "hyperband": _rung,
    "wilcoxon": _wilcoxon,
}
"""By the pruner's name in `sweeps.pruner_table.PRUNERS`."""
