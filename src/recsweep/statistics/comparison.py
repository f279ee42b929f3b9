"""Models of a data set compared in a metric, pair by pair: the difference, how sure it is, and in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recsweep.common.errors import UserError
from recsweep.common.files import counted
from recsweep.statistics.paired import CORRECTIONS, corrected, p_text, t_test, wilcoxon
from recsweep.statistics.resampling import Resampling, intervals, randomisation
from recsweep.statistics.sample import Difference, Sample

T_TEST, RANDOMISATION, WILCOXON = "t", "randomisation", "wilcoxon"
TESTS = {
    T_TEST: "paired t-test",
    RANDOMISATION: "paired randomisation test",
    WILCOXON: "Wilcoxon's signed ranks",
}
CAVEAT = (
    "Wilcoxon's test on scores of users finds differences that are none (Ihemelandu and Ekstrand 2023); "
    "the t-test and the randomisation test do not"
)
_NAMES = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "gauc": "GAUC", "mae": "MAE", "logloss": "LogLoss"}
SMALLER = frozenset({"mae", "rmse", "logloss", "averagepopularity"})
"""Metrics of RecBole's that are better the smaller they are, of those that users have."""
_POWER = 0.8


@dataclass(frozen=True)
class Procedure:
    """How models are compared."""

    test: str = T_TEST
    """Whose p-value is corrected and decides; the others stand beside it."""
    correction: str = "holm"
    level: float = 0.05
    """Of the corrected p-value, and what an interval leaves outside."""
    resampling: Resampling = field(default_factory=Resampling)

    @property
    def confidence(self) -> str:
        """`95 %`."""
        return f"{100 * (1 - self.level):g} %"


@dataclass(frozen=True)
class Comparison:
    """Two models on a data set in a metric: the better one less the other, or any one less the baseline."""

    dataset: str
    metric: str
    """As people write it: `NDCG@10`."""
    a: str
    b: str
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    """The two-level bootstrap interval of the difference."""
    effect: float
    """Cohen's d of paired values, over users."""
    p: float
    """Of the test that decides."""
    p_corrected: float
    tests: Mapping[str, float]
    """The p-value of each test that was made, before the correction."""
    users: int
    seeds: int
    """Trainings of each model; of the model with fewer."""
    splits: int
    comparisons: int
    """How many p-values were corrected together: those of this data set and metric."""
    smallest: float
    """The true difference that such a test finds four times out of five."""
    procedure: Procedure

    @property
    def found(self) -> bool:
        """True where the data can tell the two apart: p is below the level, and 0 is not in the interval."""
        return self.p_corrected < self.procedure.level and not self.low <= 0.0 <= self.high

    @property
    def smaller(self) -> bool:
        """True where less of the metric is better."""
        return is_smaller(self.metric)

    @property
    def better(self) -> str | None:
        """The better model; None where the data cannot tell."""
        if not self.found:
            return None
        return self.a if (self.difference > 0.0) != self.smaller else self.b

    @property
    def resampled(self) -> str:
        """The levels of the interval's bootstrap, in words."""
        return "users and seeds" if self.seeds > 1 or self.splits > 1 else "users"

    def sentence(self) -> str:
        """The statement, with all that it needs to be believed."""
        after = CORRECTIONS[self.procedure.correction]
        p = p_text(self.p_corrected) + (f" after {after}" if after and self.comparisons > 1 else "")
        size = f"{counted(self.users, 'user')}, {counted(self.seeds, 'seed')}"
        size += f", {counted(self.splits, 'split')}" if self.splits > 1 else ""
        if self.better is None:
            value, low, high = self.digits(self.difference, self.low, self.high)
            return (
                f"The data cannot tell {self.a} from {self.b}: they differ by {value} {self.metric} "
                f"({low} to {high}), {p}, {size}; {self.digits(self.smallest)[0]} would be found with a "
                f"power of {100 * _POWER:g} %"
            )
        worse = self.b if self.better == self.a else self.a
        around = sorted((abs(self.low), abs(self.high)))
        value, low, high = self.digits(abs(self.difference), *around)
        return f"{self.better} is better than {worse} by {value} {self.metric} ({low} to {high}), {p}, {size}"

    def digits(self, *values: float) -> list[str]:
        """Values with as many decimals as the interval's width is worth."""
        half = (self.high - self.low) / 2
        if not half > 0.0 or not math.isfinite(half):
            return [f"{value:.4f}" for value in values]
        decimals = min(max(1 - math.floor(math.log10(half)), 0), 8)
        # No minus before a zero.
        return [f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values]


def is_smaller(metric: str) -> bool:
    """True where less of a metric is better."""
    return metric.split("@")[0].lower() in SMALLER


def metric_name(key: str) -> str:
    """`NDCG@10` of RecBole's `ndcg@10`."""
    name, at, cutoff = key.partition("@")
    return f"{_NAMES.get(name, name.capitalize())}{at}{cutoff}"


def compared(
    dataset: str,
    metric: str,
    samples: Sequence[Sample],
    procedure: Procedure | None = None,
    baseline: str | None = None,
) -> list[Comparison]:
    """All pairs of models, or all against one of them; the p-values corrected together.

    Args:
        metric: RecBole's name in lower case; what `samples` are of.
        samples: of the same users, two models at least.
        baseline: the model that each other one is compared with; None for all pairs.

    Returns:
        The best first.

    Raises:
        UserError: there is no such baseline.
    """
    how = procedure or Procedure()
    ordered = sorted(samples, key=lambda sample: sample.mean, reverse=not is_smaller(metric))
    pairs = _pairs([sample.model for sample in ordered], baseline)
    differences = [Difference.of(ordered[a], ordered[b]) for a, b in pairs]
    ranges = intervals(ordered, pairs, differences, how.resampling, how.level)
    tests = _tests(differences, how)
    after = corrected(tests[how.test], how.correction)
    return [
        Comparison(
            dataset,
            metric_name(metric),
            ordered[a].model,
            ordered[b].model,
            ordered[a].mean,
            ordered[b].mean,
            one.mean,
            *ranges[n],
            one.effect,
            tests[how.test][n],
            after[n],
            {name: values[n] for name, values in tests.items()},
            len(one.per_user),
            *_runs(ordered[a], ordered[b]),
            len(pairs),
            _smallest(one, how.level),
            how,
        )
        for n, ((a, b), one) in enumerate(zip(pairs, differences, strict=True))
    ]


def _tests(differences: Sequence[Difference], how: Procedure) -> dict[str, list[float]]:
    """P-values by test: of Wilcoxon's where it was asked for."""
    found = {
        T_TEST: [t_test(one) for one in differences],
        RANDOMISATION: randomisation(differences, how.resampling),
    }
    return found | ({WILCOXON: [wilcoxon(one) for one in differences]} if how.test == WILCOXON else {})


def _pairs(models: Sequence[str], baseline: str | None) -> list[tuple[int, int]]:
    if baseline is None:
        return list(itertools.combinations(range(len(models)), 2))
    if baseline not in models:
        raise UserError(f"{baseline} is none of {', '.join(models)}; a baseline is one of them; name it so")
    one = models.index(baseline)
    return [(other, one) for other in range(len(models)) if other != one]


def _runs(a: Sample, b: Sample) -> tuple[int, int]:
    """Trainings on each split, and splits."""
    splits = len({*a.splits})
    return min(len(a.splits), len(b.splits)) // splits, splits


def _smallest(one: Difference, level: float) -> float:
    """The smallest true difference that is found with a power of 80 %, with the errors that there are."""
    if one.error == 0.0:
        return 0.0
    from scipy import stats

    needed = stats.t.ppf(1 - level / 2, one.freedom) + stats.t.ppf(_POWER, one.freedom)
    return float(needed * one.error)
