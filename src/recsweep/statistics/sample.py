"""The scores of one model in one metric: a row a run, a column a user; and what two of them differ by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recsweep.common.errors import UserError
from recsweep.statistics.users import Floats, UserScores

Run = tuple[int, UserScores]
"""A tested model: the seed of its split, and its scores."""


@dataclass(frozen=True)
class Sample:
    """A model's scores on a data set, trained and tested once or with several seeds."""

    model: str
    values: Floats
    """[runs, users]."""
    splits: tuple[int, ...] = (0,)
    """The split that each run was trained and tested on."""

    @cached_property
    def per_user(self) -> Floats:
        """The mean over runs of each user; of several splits each counts alike."""
        mean: Floats = self.per_split.mean(axis=0)
        return mean

    @cached_property
    def per_split(self) -> Floats:
        """[splits, users], the splits in order."""
        labels = np.asarray(self.splits)
        return np.stack([self.values[labels == split].mean(axis=0) for split in sorted({*self.splits})])

    @property
    def mean(self) -> float:
        return float(self.per_user.mean())


def samples_of(runs: Mapping[str, Sequence[Run]], metric: str) -> list[Sample]:
    """The samples of several models of a data set, over the users and the splits that all of them have.

    Args:
        runs: at least one run of each model.
        metric: RecBole's name in lower case.

    Raises:
        UserError: a model was not measured in it, or they have no split or no user in common.
    """
    for model, own in runs.items():
        if any(metric not in scores.metrics for _, scores in own):
            has = ", ".join(own[0][1].metrics) or "none"
            raise UserError(f"{model} has no {metric} for each user; it was measured in {has}; name another")
    splits = set.intersection(*({split for split, _ in own} for own in runs.values()))
    if not splits:
        raise UserError(
            f"{' and '.join(runs)} were not tested on the same split of the data; scores of different users' "
            "test items cannot be compared; give them the same evidence, or the same seed"
        )
    kept = {model: [one for one in own if one[0] in splits] for model, own in runs.items()}
    users = _common([scores for own in kept.values() for _, scores in own])
    return [
        Sample(
            model,
            np.stack([_of(scores, users, metric) for _, scores in own]),
            tuple(split for split, _ in own),
        )
        for model, own in kept.items()
    ]


def _common(every: Sequence[UserScores]) -> NDArray[np.str_]:
    """The users that all have, in order.

    Raises:
        UserError: there are fewer than two.
    """
    users = every[0].users
    for scores in every[1:]:
        if not np.array_equal(users, scores.users):
            users = np.intersect1d(users, scores.users, assume_unique=True)
    if len(users) < 2:
        raise UserError(
            f"they have {len(users)} test users in common; two are the least; test on the same data"
        )
    return users


def _of(scores: UserScores, users: NDArray[np.str_], metric: str) -> Floats:
    values = scores.metrics[metric]
    if len(users) == len(scores.users):
        return values
    return values[np.searchsorted(scores.users, users)]


@dataclass(frozen=True)
class Difference:
    """One model's scores less another's, on the same users, and where its uncertainty is from.

    Users are paired. Seeds of two models have nothing to do with each other, so these are not; splits are
    the same for both, and are paired. With several splits a split is the unit, and the seeds within are
    averaged.
    """

    per_user: Floats
    users_part: float
    """Variance of the mean difference that is from users."""
    seeds_part: float
    """Variance that is from seeds, or from splits; 0 of one run each."""
    seeds_freedom: float
    """Degrees of freedom of that variance."""

    @classmethod
    def of(cls, a: Sample, b: Sample) -> Difference:
        """`a` less `b`."""
        difference = a.per_user - b.per_user
        spread = float(difference.var(ddof=1))
        if len({*a.splits}) > 1:
            parts = [_Runs.of(a.per_split - b.per_split)]
        else:
            parts = [_Runs.of(a.values), _Runs.of(b.values)]
        noise = sum(part.noise for part in parts)
        seeds = sum(part.variance for part in parts)
        below = sum(part.variance**2 / part.freedom for part in parts if part.freedom)
        users = max(spread - noise, 0.0) / len(difference)
        return cls(difference, users, seeds, seeds**2 / below if below > 0.0 else 0.0)

    @property
    def mean(self) -> float:
        return float(self.per_user.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean difference."""
        return math.sqrt(self.users_part + self.seeds_part)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of that error, after Satterthwaite."""
        users, seeds = self.users_part, self.seeds_part
        below = users**2 / (len(self.per_user) - 1)
        below += seeds**2 / self.seeds_freedom if self.seeds_freedom else 0.0
        return (users + seeds) ** 2 / below if below > 0.0 else len(self.per_user) - 1.0

    @property
    def effect(self) -> float:
        """Cohen's d of paired values: the mean difference in standard deviations over users."""
        spread = float(self.per_user.std(ddof=1))
        if spread > 0.0:
            return self.mean / spread
        return 0.0 if self.mean == 0.0 else math.copysign(math.inf, self.mean)


@dataclass(frozen=True)
class _Runs:
    """A table of runs and users as a crossed design has it: the variance of its mean that is from runs."""

    variance: float
    freedom: int
    noise: float
    """That part of the users' variance (of their means) which is noise of single runs."""

    @classmethod
    def of(cls, values: Floats) -> _Runs:
        runs, users = values.shape
        if runs == 1:
            return cls(0.0, 0, 0.0)
        by_run = values.mean(axis=1)
        left = values - values.mean(axis=0) - by_run[:, None] + values.mean()
        noise = float((left**2).sum()) / ((runs - 1) * (users - 1))
        return cls(float(by_run.var(ddof=1)) / runs, runs - 1, noise / runs)
