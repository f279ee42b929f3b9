"""What users have seen, in arrays: RecBole's sets and draws, number for number."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from helpers.fast import CPU, settings_of, split_of, write_interactions
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api import seen
from recsweep.recbole_api.compat import recbole as module
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import interaction, make_loaders
from recsweep.recbole_api.seen import Seen, UsedItems
from recsweep.training.fast.table import Table

USERS, ITEMS = 9, 30
PHASES = ["train", "valid", "test"]


class _Part:
    """As much of a RecBole data set as its samplers and loaders ask for."""

    uid_field, iid_field, user_num, item_num = "user", "item", USERS, ITEMS

    def __init__(self, rows: int, seed: int) -> None:
        numbers = np.random.default_rng(seed)
        columns = {"user": numbers.integers(2, USERS, rows), "item": numbers.integers(1, ITEMS, rows)}
        self.inter_feat = interaction({name: torch.from_numpy(values) for name, values in columns.items()})


@pytest.fixture(scope="module")
def parts():
    """Parts with repeats, within one and over several; the first user has nothing."""
    return [_Part(90, 1), _Part(25, 2), _Part(20, 3)]


def both(parts) -> list:
    """RecBole's sampler over them, and the one in its place."""
    return [where.Sampler(PHASES, parts) for where in (module("sampler"), module("data.utils"))]


@pytest.fixture(params=[True, False], ids=["bits", "sorted"])
def by_bits(request, monkeypatch):
    monkeypatch.setattr(seen, "_BITS", 1 << 20 if request.param else 0)


@pytest.mark.parametrize("phase", PHASES)
def test_each_user_has_what_recboles_sets_hold(parts, phase):
    theirs, ours = (sampler.set_phase(phase).used_ids for sampler in both(parts))
    assert [ours[user] for user in range(USERS)] == [set(map(int, items)) for items in theirs]
    assert ours[np.array([3, 8])] == [theirs[3], theirs[8]]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("users", [[5, 2, 3, 5, 8, 2], [4, 4, 4]], ids=["many", "one"])
def test_the_same_negatives_are_drawn_of_the_same_numbers(parts, by_bits, phase, users):
    drawn = []
    for sampler in both(parts):
        np.random.seed(4)
        own = sampler.set_phase(phase)
        drawn.append([own.sample_by_user_ids(np.array(users), None, 7).tolist() for _ in range(20)])
        drawn[-1].append(np.random.get_state()[1].tolist())
    assert drawn[0] == drawn[1]


def test_a_user_with_all_items_is_refused_in_recboles_words(parts):
    every = copy.copy(parts[1])
    every.inter_feat = interaction({"user": torch.full((29,), 3), "item": torch.arange(1, 30)})
    told = []
    for where in (module("sampler"), module("data.utils")):
        with pytest.raises(ValueError, match="Some users have interacted with all items") as caught:
            where.Sampler(PHASES, [parts[0], every, parts[2]])
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_no_interaction_is_no_item():
    none = Seen.of(*[torch.empty(0, dtype=torch.int64)] * 2, USERS, ITEMS)
    assert not none.holds(np.array([1, 8]), np.array([1, 29])).any()
    assert UsedItems([none], ITEMS)[3] == set()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = write_interactions(tmp_path_factory.mktemp("seen") / "toy", users=30)
    settings = settings_of(folder, "BPR", {"embedding_size": 8, "eval_batch_size": 300})
    return settings, split_of(settings, folder), folder


def loaders_of(toy, settings=None):
    with recbole.clean_globals():
        return make_loaders(TypedConfig(settings or toy[0], CPU, toy[2]), toy[1])


@pytest.mark.parametrize("number", [1, 2], ids=["validation", "test"])
def test_a_validation_masks_what_recbole_masks(toy, monkeypatch, number):
    monkeypatch.setattr(seen, "_PAIRS_AT_ONCE", 50)
    ours = loaders_of(toy)[number]
    monkeypatch.setattr(module("data.utils"), "Sampler", module("sampler").Sampler)
    theirs = loaders_of(toy)[number]
    assert [type(loader).__mro__[0] is type(ours) for loader in (ours, theirs)] == [True, True]
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine[0]["user_id"], other[0]["user_id"])
        assert sorted(zip(*map(torch.Tensor.tolist, mine[1]), strict=True)) == sorted(
            zip(*map(torch.Tensor.tolist, other[1]), strict=True)
        )
        assert torch.equal(mine[2], other[2])
        assert sorted(mine[3].tolist()) == sorted(other[3].tolist())
    tables = [Table.of_users(loader, CPU).labels for loader in (ours, theirs)]
    for kind in ("right", "hidden"):
        first, second = (getattr(table, kind) for table in tables)
        assert torch.equal(first.counts, second.counts)
        assert sorted(first.items.tolist()) == sorted(second.items.tolist())


def test_what_was_kept_is_counted_anew_where_rows_are_others(toy):
    part = toy[1].parts[0]
    assert Seen.of_part(part).items is part.seen_items["items"], "kept with the split"
    fewer = part.copy(part.inter_feat[:40])
    found = Seen.of_part(fewer)
    pairs = set(zip(*(fewer.inter_feat[name].tolist() for name in ("user_id", "item_id")), strict=True))
    assert int(found.counts.sum()) == len(pairs)


def test_a_loader_holds_no_list_of_its_rows(toy):
    assert isinstance(loaders_of(toy)[0].sampler.data_source, range)


def test_hidden_items_are_kept_where_users_come_back_to_some(parts):
    before, part = copy.copy(parts[0]), copy.copy(parts[1])
    for one in (before, part):
        seen.keep_with(one)
    seen.keep_hidden_with(part, before)
    had, right = Seen.of_part(before), Seen.of_part(part)
    found = seen.hidden_in(part, [had], ITEMS)
    assert found.items is part.seen_items["hidden"]["items"]
    theirs = {user for user in range(USERS) if right.counts[user]}
    expected = set(had.pairs(ITEMS).tolist()) - set(right.pairs(ITEMS).tolist())
    assert found.pairs(ITEMS).tolist() == sorted(pair for pair in expected if pair // ITEMS in theirs)
    several = seen.hidden_in(part, [had, Seen.of_part(parts[2])], ITEMS)
    assert len(several.items) > len(found.items), "with another part before it, found anew"


def test_nothing_is_kept_where_all_that_users_had_is_hidden(toy):
    train, valid, _ = toy[1].parts
    assert "hidden" not in valid.seen_items
    assert loaders_of(toy)[1].uid2history_item.seen.items is train.seen_items["items"]


def test_the_same_is_left_of_one_part_and_of_several(parts, monkeypatch):
    monkeypatch.setattr(seen, "_PAIRS_AT_ONCE", 7)
    had, some = (Seen.of_part(part) for part in parts[:2])
    expected = sorted(set(had.pairs(ITEMS).tolist()) - set(some.pairs(ITEMS).tolist()))
    assert len(expected) < len(had.items)
    left = had.without(some, ITEMS)
    assert left.pairs(ITEMS).tolist() == expected
    assert left.without(some, ITEMS) is left
