"""Ways of splitting that RecBole has not: disjoint, complete, in the order that they promise."""

from __future__ import annotations

import numpy as np
import pytest

from recsweep.datasets.facts import Interactions
from recsweep.datasets.own_splits import parts_of, samples
from recsweep.datasets.parts import TEST, TRAIN, VALID, part_of_each
from recsweep.sweeps.split import SplitConfig

SPLITS = {
    "leave-2-out": {"type": "leave_k_out", "k": 2},
    "leave-3-out at random": {"type": "leave_k_out", "k": 3, "order": "random"},
    "date": {"type": "global_date", "valid_from": "400", "test_from": "700"},
    "fold of users": {"type": "k_fold", "folds": 4},
    "fold of all": {"type": "k_fold", "folds": 5, "fold": 5, "group_by": "none"},
    "cold users": {"type": "cold_users"},
    "cold items": {"type": "cold_items", "ratio": (0.6, 0.2, 0.2)},
    "two files": {"type": "files", "files": ("train", "test")},
    "three files": {"type": "files"},
}


def made(seed: int, files: int | None = None) -> Interactions:
    """Histories of 1 to 20 items, with ties in time and repeats."""
    random = np.random.default_rng(seed)
    users = random.permutation(np.repeat(np.arange(40), random.integers(1, 21, 40)))
    rows = len(users)
    of_files = None if files is None else random.integers(files, size=rows)
    return Interactions(users, random.integers(0, 25, rows), random.integers(0, 1000, rows) * 1.0, of_files)


def split_of(name: str) -> SplitConfig:
    return SplitConfig.model_validate(SPLITS[name])


def divided(name: str, seed: int) -> tuple[Interactions, np.ndarray]:
    split = split_of(name)
    data = made(seed, len(split.files) if split.type == "files" else None)
    return data, parts_of(data, split, seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SPLITS)
def test_every_interaction_is_in_one_part(name, seed):
    data, parts = divided(name, seed)
    assert len(parts) == len(data.users)
    assert set(np.unique(parts)) == {TRAIN, VALID, TEST}
    np.testing.assert_array_equal(parts, divided(name, seed)[1])


@pytest.mark.parametrize("name", [name for name in SPLITS if split_of(name).drawn])
def test_another_seed_draws_another_split(name):
    data = made(0, 2)
    assert (parts_of(data, split_of(name), 1) != parts_of(data, split_of(name), 2)).any()


@pytest.mark.parametrize("seed", range(5))
def test_leaving_one_out_is_leaving_k_out_with_one(seed):
    data = made(seed)
    own = parts_of(data, SplitConfig(type="leave_k_out"), seed)
    np.testing.assert_array_equal(own, part_of_each(data.users, data.times, SplitConfig(), seed))


@pytest.mark.parametrize("seed", range(5))
def test_the_last_k_of_each_user_are_left_out(seed):
    data, parts = divided("leave-2-out", seed)
    for user in np.unique(data.users):
        rows = np.flatnonzero(data.users == user)
        ordered = parts[rows][np.argsort(data.times[rows], kind="stable")]
        assert (np.diff(ordered) >= 0).all()
        assert ordered[0] == TRAIN
        test = min(2, len(rows) - 1)
        assert (ordered == TEST).sum() == test
        assert (ordered == VALID).sum() == min(2, len(rows) - 1 - test)


def test_nothing_before_a_date_is_younger_than_what_comes_after():
    data, parts = divided("date", 3)
    assert data.times[parts == TRAIN].max() < 400 <= data.times[parts == VALID].min()
    assert data.times[parts == VALID].max() < 700 <= data.times[parts == TEST].min()


@pytest.mark.parametrize("group_by", ["user", "none"])
def test_each_interaction_is_tested_in_one_fold_and_validated_in_one(group_by):
    data = made(4)
    folds = [
        parts_of(data, SplitConfig(type="k_fold", order="random", folds=4, fold=fold, group_by=group_by), 9)
        for fold in range(1, 5)
    ]
    for part in (TEST, VALID):
        assert (np.stack([fold == part for fold in folds]).sum(axis=0) == 1).all()
    assert ((folds[0] == VALID) == (folds[1] == TEST)).all()
    sizes = [int((fold == TEST).sum()) for fold in folds]
    assert max(sizes) - min(sizes) <= (1 if group_by == "none" else 12)


def test_folds_of_each_user_are_as_even_as_they_can_be():
    data, parts = divided("fold of users", 1)
    for user in np.unique(data.users):
        own = parts[data.users == user]
        assert len(own) // 4 <= (own == TEST).sum() <= -(-len(own) // 4)


@pytest.mark.parametrize(("name", "ids"), [("cold users", "users"), ("cold items", "items")])
def test_who_is_held_out_is_in_no_other_part(name, ids):
    data, parts = divided(name, 2)
    each = [set(getattr(data, ids)[parts == part]) for part in (TRAIN, VALID, TEST)]
    assert all(each)
    assert len(set.union(*each)) == sum(map(len, each))


@pytest.mark.parametrize("seed", range(3))
def test_files_that_are_split_stay_as_they_are_split(seed):
    data, parts = divided("three files", seed)
    np.testing.assert_array_equal(parts, data.files)
    data, parts = divided("two files", seed)
    np.testing.assert_array_equal(parts == TEST, data.files == 1)
    for user in np.unique(data.users):
        own = parts[(data.users == user) & (data.files == 0)]
        assert abs((own == VALID).sum() - len(own) / 9) <= 1


def test_the_first_interaction_of_a_user_is_no_sample():
    data, parts = divided("leave-2-out", 1)
    general, sequential = (samples(data, parts, sequential=kind) for kind in (False, True))
    assert sum(general) - sum(sequential) == len(np.unique(data.users))
    assert general[1:] == sequential[1:]
