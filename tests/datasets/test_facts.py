"""What a data set is, in numbers; which part each interaction goes to; what leaks, and which split fits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helpers.splits import last_two_by_user, make_tiny
from recsweep.datasets import count
from recsweep.datasets.facts import Interactions, facts_of, gini
from recsweep.datasets.parts import TEST, TRAIN, VALID, part_of_each
from recsweep.datasets.protocols import PROTOCOLS, fitting, split_facts
from recsweep.datasets.tables import Reading, Tables
from recsweep.sweeps.config import SplitConfig

LAST, MOMENT = SplitConfig(), SplitConfig(type="ratio", group_by="none")
OF_USERS = SplitConfig(type="ratio")
RANDOM = SplitConfig(type="ratio", order="random")


def interactions(users: int = 40, items: int = 30, each: int = 10, days: int = 1000) -> Interactions:
    """Everybody at random times, over all of which everybody is active."""
    random = np.random.default_rng(3)
    rows = users * each
    times = random.permutation(rows * days // 10)[:rows].astype(float)
    return Interactions(np.repeat(np.arange(users), each), random.integers(0, items, rows), times)


def test_numbers_of_a_small_data_set():
    users, items = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 0, 0, 1, 0])
    times = np.array([1.0e9, 1.0e9, 2.0e9, 5.0, 6.0, 7.0]) + 1e9
    facts = facts_of(Interactions(users, items, times))
    assert (facts.interactions, facts.users, facts.items) == (6, 3, 2)
    assert facts.density == pytest.approx(5 / 6)
    assert (facts.lengths[0], facts.lengths[3], facts.lengths[-1]) == (1, 2, 3)
    assert facts.repeats == pytest.approx(1 / 6)
    assert facts.ties == pytest.approx(2 / 6)
    assert facts.span == 2.0e9 - 5.0
    assert facts.days == pytest.approx((2.0e9 - 5) / 86400)
    assert facts_of(Interactions(users, items, None)).ties is None


def test_days_are_told_where_times_are_seconds_or_milliseconds_alone():
    one = np.zeros(2, dtype=int)
    assert facts_of(Interactions(one, one, np.array([1e12, 1e12 + 86_400_000.0]))).days == pytest.approx(1)
    assert facts_of(Interactions(one, one, np.array([3.0, 90.0]))).days is None


def test_gini_of_equal_counts_is_nothing_and_of_one_item_nearly_all():
    assert gini(np.array([5, 5, 5, 5])) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    assert gini(np.array([1, 3])) == pytest.approx(1 / 4)
    assert gini(np.array([])) == 0


@pytest.mark.parametrize("split", [LAST, OF_USERS, MOMENT, RANDOM, SplitConfig(order="random")])
def test_parts_are_as_large_as_those_that_recbole_makes(tmp_path, split):
    plan = make_tiny(tmp_path, model="BPR", split=split.model_dump())
    tables = Tables(plan.files.folder, Reading.of(plan.settings(plan.defaults, 1).get))
    data = Interactions.of(tables)
    parts = part_of_each(data.users, data.times, split)
    sizes = tuple(int((parts == part).sum()) for part in (TRAIN, VALID, TEST))
    counts = count.count(tables)
    assert sizes == count.part_sizes(tables.reading, counts.histories, sequential=False)


def test_the_last_two_of_each_user_are_held_out(make_plan):
    plan = make_plan(datasets="ml-100k")
    tables = Tables(plan.files.folder, Reading.of(plan.settings(plan.defaults, 1).get))
    data, inter = Interactions.of(tables), tables.interactions
    parts = part_of_each(data.users, data.times, LAST)
    found: dict[str, list[str]] = {}
    for part in (VALID, TEST):
        for row in np.flatnonzero(parts == part):
            user = inter.texts["user_id"].values[data.users[row]]
            found.setdefault(user, []).append(inter.texts["item_id"].values[data.items[row]])
    assert found == last_two_by_user()


@pytest.mark.parametrize("split", [LAST, OF_USERS, RANDOM])
def test_leaks_are_what_comparing_every_pair_finds(split):
    data = interactions(users=12, each=6)
    parts, made = part_of_each(data.users, data.times, split), split_facts(data, split)
    train = parts == TRAIN
    shares = []
    for row in np.flatnonzero(parts == TEST):
        others = train & (data.users != data.users[row])
        shares.append((data.times[others] > data.times[row]).sum() / others.sum())
    assert made.leak == pytest.approx(np.mean(np.array(shares) > 0))
    assert made.future == pytest.approx(np.mean(shares))
    assert made.leak > 0


def test_a_split_at_one_moment_leaks_nothing():
    assert split_facts(interactions(), MOMENT).leak == 0


def fit(data: Interactions):
    return fitting(facts_of(data), {text: split_facts(data, split) for text, split in PROTOCOLS.items()})


def test_where_everybody_stays_active_one_moment_for_all_fits():
    found = fit(interactions(users=200))
    assert (found.split, found.against) == (MOMENT, {})


def test_where_users_come_and_go_the_last_interaction_fits():
    data = interactions(users=200)
    visits = dataclasses.replace(data, times=data.users * 1000.0 + np.tile(np.arange(10), 200))
    found = fit(visits)
    assert found.split == LAST
    assert "users without training" in found.against[MOMENT.text]


def test_where_last_interactions_tie_each_users_last_tenth_fits():
    data = interactions(users=200)
    order = np.tile(np.repeat(np.arange(5), 2), 200)  # two at a time
    one = np.tile([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], 200)  # the last two alone
    assert fit(dataclasses.replace(data, times=data.users * 1000.0 + one)).split == OF_USERS
    found = fit(dataclasses.replace(data, times=data.users * 1000.0 + order))
    assert found.split == RANDOM
    assert "time of another one" in found.against[OF_USERS.text]


def test_without_times_only_chance_fits():
    found = fit(dataclasses.replace(interactions(), times=None))
    assert found.split == RANDOM
    assert set(found.against.values()) == {"the data have no times"}
