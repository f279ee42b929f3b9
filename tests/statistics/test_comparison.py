"""Comparisons of models, against R's numbers and against what is known of made-up scores."""

from __future__ import annotations

import numpy as np
import pytest

from recsweep.common.errors import UserError
from recsweep.statistics import resampling
from recsweep.statistics.comparison import Procedure, compared
from recsweep.statistics.paired import corrected, p_text, t_test, wilcoxon
from recsweep.statistics.resampling import Resampling, randomisation
from recsweep.statistics.sample import Difference, Sample, samples_of
from recsweep.statistics.users import UserScores

# R's `sleep`: hours of more sleep of ten patients with two drugs (Student 1908).
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
QUICK = Procedure(resampling=Resampling(2000))


def sample(model: str, *runs, splits=None) -> Sample:
    return Sample(model, np.array(runs, dtype=float), splits or (0,) * len(runs))


def sleep() -> Difference:
    return Difference.of(sample("1", FIRST), sample("2", SECOND))


def made(users: int = 400, seeds: int = 1, difference: float = 0.0, noise: float = 0.0, start: int = 0):
    """Two models whose scores differ by so much, for each of the seeds by chance more or less."""
    draw = np.random.default_rng(start)
    easy = draw.uniform(0.2, 0.8, users)

    def runs(shift: float):
        return [easy + shift + draw.normal(0, noise) + draw.normal(0, 0.1, users) for _ in range(seeds)]

    return [sample("A", *runs(difference)), sample("B", *runs(0.0))]


# -- tests and corrections against R --------------------------------------------------------------


def test_a_paired_t_test_is_that_of_r():
    """`t.test(extra ~ group, data = sleep, paired = TRUE)`: t = -4.0621, df = 9, p-value = 0.002833."""
    one = sleep()
    assert one.mean / one.error == pytest.approx(-4.0621, abs=5e-5)
    assert one.freedom == pytest.approx(9)
    assert t_test(one) == pytest.approx(0.002833, abs=5e-7)
    assert one.effect == pytest.approx(-4.0621 / np.sqrt(10), abs=1e-4)


def test_a_randomisation_test_is_the_exact_one_of_all_signs():
    differences = sleep().per_user
    signs = np.array([[1 - 2 * (n >> bit & 1) for bit in range(10)] for n in range(1024)])
    exact = (np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12).mean()
    assert exact == 0.00390625  # `perm::permTS` and hand agree: 4 of 1024
    assert randomisation([sleep()], Resampling(200_000))[0] == pytest.approx(exact, abs=6e-4)


def test_wilcoxon_is_that_of_r():
    """`wilcox.test(x, y, paired = TRUE)` of R's help page (depression scores): V = 40, p-value = 0.03906."""
    x = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    y = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    assert wilcoxon(Difference.of(sample("x", x), sample("y", y))) == pytest.approx(0.03906, abs=5e-6)
    assert wilcoxon(Difference.of(sample("x", x), sample("y", x))) == 1.0


def test_corrections_are_those_of_p_adjust():
    """`p.adjust(p, "holm")` and the others, in R 4."""
    p = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert corrected(p, "holm") == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert corrected(p, "bonferroni") == pytest.approx([0.05, 0.10, 0.15, 0.20, 0.25])
    assert corrected(p, "bh") == pytest.approx([0.05] * 5)
    assert corrected([0.03, 0.001, 0.2], "bh") == pytest.approx([0.045, 0.003, 0.2])
    assert corrected(p, "none") == p
    assert corrected([0.03], "holm") == [0.03]


# -- intervals ------------------------------------------------------------------------------------


def test_an_interval_of_one_run_each_is_that_of_the_t_test():
    a, b = made(difference=0.05)
    (found,) = compared("d", "ndcg@10", [a, b], QUICK)
    error = Difference.of(a, b).error
    assert found.difference == pytest.approx(a.mean - b.mean)
    assert (found.low, found.high) == pytest.approx(
        (found.difference - 1.96 * error, found.difference + 1.96 * error), abs=0.1 * error
    )


def test_several_seeds_are_not_pooled_into_more_users():
    """The seeds' own spread stays in the error however many users there are."""
    samples = made(users=4000, seeds=5, noise=0.03)
    one = Difference.of(*samples)
    by_hand = sum(sample.values.mean(axis=1).var(ddof=1) / 5 for sample in samples)
    assert one.error**2 == pytest.approx(by_hand, rel=0.1)
    assert 4 < one.freedom < 9
    (found,) = compared("d", "ndcg@10", samples, QUICK)
    assert found.high - found.low > 2 * 1.96 * one.error  # Student's t, not the normal
    pooled = Difference.of(*(sample(one.model, one.values.ravel()) for one in samples))
    assert pooled.error < one.error / 5


def test_noise_of_single_runs_is_counted_once():
    """Users and runs without effects of their own: the error is that of as many independent numbers."""
    draw = np.random.default_rng(5)
    errors = [
        Difference.of(*(sample(name, *draw.normal(size=(5, 100))) for name in "ab")).error ** 2
        for _ in range(200)
    ]
    assert np.mean(errors) == pytest.approx(2 / 500, rel=0.1)


def test_splits_are_paired_and_their_seeds_averaged():
    draw = np.random.default_rng(1)
    hard = {0: 0.0, 1: 0.5, 2: -0.4}  # a split that is hard is hard for both
    splits = (0, 0, 1, 1, 2, 2)

    def runs(shift):
        return np.array([draw.normal(hard[split] + shift, 0.1, 500) for split in splits])

    a, b = Sample("a", runs(0.1), splits), Sample("b", runs(0.0), splits)
    one = Difference.of(a, b)
    assert one.mean == pytest.approx(0.1, abs=0.02)
    assert one.error < 0.02
    (found,) = compared("d", "hit@5", [a, b], QUICK)
    assert (found.seeds, found.splits) == (2, 3)


def test_users_in_groups_give_the_same_interval(monkeypatch):
    """More than can be resampled one by one."""
    samples = made(users=3_000, difference=0.002)
    (alone,) = compared("d", "mrr@10", samples, QUICK)
    monkeypatch.setattr(resampling, "_MOST_USERS", 400)
    (grouped,) = compared("d", "mrr@10", samples, QUICK)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert grouped.tests["randomisation"] == pytest.approx(alone.tests["randomisation"], rel=0.3)


# -- whole comparisons ----------------------------------------------------------------------------


def test_a_comparison_is_the_same_each_time():
    assert compared("d", "ndcg@10", made(), QUICK) == compared("d", "ndcg@10", made(), QUICK)


def test_the_sentence_says_what_was_found():
    (found,) = compared("ml", "ndcg@10", made(users=943, seeds=5, difference=0.05, noise=0.001), QUICK)
    assert found.better == "A"
    assert found.sentence() == (
        "A is better than B by 0.0485 NDCG@10 (0.0425 to 0.0548), p < 0.0001, 943 users, 5 seeds"
    )


def test_the_sentence_says_that_the_data_cannot_tell():
    third = sample("C", made(start=4)[1].values[0])
    found = compared("ml", "hit@5", [*made(difference=0.001), third], QUICK)
    told = next(one for one in found if {one.a, one.b} == {"A", "B"})
    assert told.better is None
    assert told.sentence().startswith(f"The data cannot tell {told.a} from {told.b}: they differ by 0.00")
    assert " after Holm, 400 users, 1 seed; 0.0" in told.sentence()
    assert told.sentence().endswith("would be found with a power of 80 %")


def test_less_is_better_where_it_is():
    a, b = made(difference=0.05)
    (found,) = compared("d", "averagepopularity@10", [a, b], QUICK)
    assert (found.a, found.better) == ("B", "B")
    assert found.sentence().startswith("B is better than A by 0.05")


def test_all_are_compared_with_a_baseline():
    samples = [*made(), sample("Pop", np.zeros(400))]
    found = compared("d", "hit@1", samples, QUICK, baseline="Pop")
    assert [(one.b, one.comparisons) for one in found] == [("Pop", 2)] * 2
    assert len(compared("d", "hit@1", samples, QUICK)) == 3
    with pytest.raises(UserError, match="NCF is none of"):
        compared("d", "hit@1", samples, QUICK, baseline="NCF")


def test_each_test_can_decide():
    for test in ("t", "randomisation", "wilcoxon"):
        (found,) = compared("d", "hit@1", made(difference=0.05), Procedure(test, resampling=Resampling(2000)))
        assert found.p == found.p_corrected < 0.001
        assert ("wilcoxon" in found.tests) == (test == "wilcoxon")


def test_equal_scores_are_no_difference():
    (found,) = compared("d", "hit@1", [sample("A", FIRST), sample("B", FIRST)], QUICK)
    assert (found.difference, found.low, found.high, *found.tests.values()) == (0, 0, 0, 1, 1)
    assert found.better is None
    assert "differ by 0.0000 Hit@1" in found.sentence()


def test_p_values_are_short():
    assert [p_text(p) for p in (0.34567, 0.0449, 0.0003149, 1e-9, 1.0)] == [
        *("p = 0.35", "p = 0.04", "p = 0.0003", "p < 0.0001", "p = 1.00")
    ]


def test_p_values_are_not_rounded_to_the_other_side():
    assert [p_text(p) for p in (0.0496, 0.04996, 0.05, 0.0512, 0.00996, 0.0104)] == [
        *("p = 0.0496", "p < 0.05", "p = 0.05", "p = 0.05", "p = 0.00996", "p = 0.01")
    ]


# -- samples of files -----------------------------------------------------------------------------


def scores(users: str, value: float) -> UserScores:
    return UserScores.of_rows(np.array(list(users)), {"hit@1": np.arange(len(users)) + value})


def test_models_are_compared_on_the_users_and_splits_of_all():
    runs = {"A": [(1, scores("abcd", 0.0)), (2, scores("abcd", 9.0))], "B": [(1, scores("bdx", 5.0))]}
    a, b = samples_of(runs, "hit@1")
    assert a.values.tolist() == [[1.0, 3.0]]
    assert b.values.tolist() == [[5.0, 6.0]]
    with pytest.raises(UserError, match="A has no ndcg@10 for each user; it was measured in hit@1"):
        samples_of(runs, "ndcg@10")
    with pytest.raises(UserError, match="not tested on the same split"):
        samples_of({**runs, "C": [(7, scores("abcd", 0.0))]}, "hit@1")
    with pytest.raises(UserError, match="they have 0 test users in common"):
        samples_of({**runs, "C": [(1, scores("wvz", 0.0))]}, "hit@1")
