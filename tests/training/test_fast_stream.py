"""Batches and negatives drawn on tensors are those of RecBole's own loader, draw for draw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.fast import (
    COMPILED,
    CPU,
    FAST_PATHS,
    TORCH,
    assert_same_batches,
    columns_of,
    compiled_kernels,
    settings_of,
    split_of,
    taking,
    write_interactions,
)
from recsweep.recbole_api import compat, seen
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import interaction, make_loaders
from recsweep.training import training
from recsweep.training.fast.draws import HashedDraws, RecboleDraws, Samples
from recsweep.training.fast.stream import Stream, unsupported_negatives
from recsweep.training.fast.table import Table

MANY = hypothesis_settings(max_examples=20)
NONE = {"distribution": "none", "sample_num": "none", "alpha": "none", "dynamic": False, "candidate_num": 0}
ONE = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}


class _Config(dict):
    """RecBole's config: what was not set is None."""

    def __missing__(self, key):
        return None


class _Data:
    """As much of a RecBole data set as its training loader and its samplers ask for."""

    uid_field, iid_field, item_feat = "user", "item", None

    def __init__(self, users, items, user_num, item_num):
        columns = {"user": torch.tensor(users), "item": torch.tensor(items)}
        self.inter_feat = interaction(columns)
        self.user_num, self.item_num = user_num, item_num

    def __len__(self):
        return len(self.inter_feat)

    def __getitem__(self, index):
        return self.inter_feat[index]

    def copy_field_property(self, *names):
        pass

    def join(self, columns):
        return columns


def make_loader(data: _Data, sampler_name: str | None, batch_size: int, seed: int, shuffle: bool) -> Any:
    compat.apply()
    from recbole import sampler as samplers
    from recbole.data.dataloader import TrainDataLoader
    from recbole.utils import InputType, ModelType

    sampler = None
    if sampler_name is not None:
        made = getattr(samplers, sampler_name)
        sampler = made(["train"], data if sampler_name == "RepeatableSampler" else [data]).set_phase("train")
    config = _Config(
        **{"MODEL_INPUT_TYPE": InputType.PAIRWISE, "MODEL_TYPE": ModelType.SEQUENTIAL, "worker": 0},
        **{"train_neg_sample_args": NONE if sampler is None else ONE, "train_batch_size": batch_size},
        **{"NEG_PREFIX": "neg_", "USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item", "single_spec": True},
        seed=seed,
    )
    return TrainDataLoader(config, data, sampler, shuffle=shuffle)


def recbole_epochs(loader: Any, epochs: int, seed: int) -> list[dict[str, torch.Tensor]]:
    np.random.seed(seed)
    names = {"users": "user", "items": "item", "negatives": "neg_item"}
    found = []
    for _ in range(epochs):
        for batch in loader:
            columns = {name: batch.interaction.get(column) for name, column in names.items()}
            found.append({name: values for name, values in columns.items() if values is not None})
    return found


def stream_epochs(loader: Any, epochs: int, seed: int) -> list[dict[str, torch.Tensor]]:
    np.random.seed(seed)
    stream = Stream(loader)
    found = [columns_of(batch, loader) for _ in range(epochs) for batch in stream.epoch()]
    assert len(found) == epochs * len(stream) == epochs * len(loader)
    return found


@st.composite
def interactions(draw):
    """Users who have not seen every item, so that a negative can be found."""
    user_num, item_num = draw(st.integers(2, 8)), draw(st.integers(3, 12))
    users = draw(st.lists(st.integers(1, user_num - 1), min_size=1, max_size=70))
    numbers = np.random.default_rng(draw(st.integers(0, 99)))
    items = [int(numbers.integers(1, item_num - 1)) for _ in users]  # the last item nobody has seen
    return _Data(users, items, user_num, item_num)


@pytest.fixture(params=FAST_PATHS)
def path(request):
    with taking(request.param):
        yield request.param


@pytest.fixture(params=[True, False], ids=["bits", "sorted"])
def by_bits(request, monkeypatch):
    monkeypatch.setattr(seen, "_BITS", 1 << 20 if request.param else 0)


@pytest.mark.parametrize("sampler", ["RepeatableSampler", "Sampler", None])
@pytest.mark.usefixtures("path", "by_bits")
def test_every_batch_and_every_negative_is_recboles(sampler):
    @MANY
    @given(
        data=interactions(),
        batch_size=st.integers(1, 80),
        seed=st.integers(0, 2**31 - 1),
        shuffle=st.booleans(),
        epochs=st.integers(1, 4),
    )
    def check(data, batch_size, seed, shuffle, epochs):
        with recbole.clean_globals():
            expected = recbole_epochs(make_loader(data, sampler, batch_size, seed, shuffle), epochs, seed)
            left = np.random.get_state()[1].tolist(), np.random.get_state()[2]
            found = stream_epochs(make_loader(data, sampler, batch_size, seed, shuffle), epochs, seed)
            assert (np.random.get_state()[1].tolist(), np.random.get_state()[2]) == left, "draws left over"
        assert_same_batches(found, expected)

    check()


def test_the_loaders_generator_is_left_where_recbole_leaves_it():
    data = _Data([1, 2, 1, 2, 1], [1, 2, 3, 4, 5], 3, 9)
    states = []
    for epochs in (recbole_epochs, stream_epochs):
        loader = make_loader(data, "RepeatableSampler", 2, 11, True)
        with recbole.clean_globals():
            epochs(loader, 3, 11)
        states.append(loader.generator.get_state())
    assert torch.equal(*states)


def test_negatives_are_never_the_target_or_what_was_seen():
    data = _Data([1] * 4 + [2] * 4, [1, 2, 3, 4, 5, 6, 7, 8], 3, 10)
    seen = {1: {1, 2, 3, 4}, 2: {5, 6, 7, 8}}
    with recbole.clean_globals():
        for batch in stream_epochs(make_loader(data, "Sampler", 3, 1, True), 40, 1):
            for user, negative in zip(batch["users"].tolist(), batch["negatives"].tolist(), strict=True):
                assert negative not in seen[user]
        for batch in stream_epochs(make_loader(data, "RepeatableSampler", 3, 1, True), 40, 1):
            assert not (batch["items"] == batch["negatives"]).any()


# -- draws ----------------------------------------------------------------------------------------


def drawn(kind: type, sampler: str, path: str, rows: torch.Tensor, times: int = 3) -> Any:
    """Negatives of two epochs, [2, times, rows], and where NumPy's generator is then."""
    data = _Data([1] * 6 + [2] * 3, [1, 2, 3, 4, 5, 6, 7, 8, 7], 3, 9)
    with recbole.clean_globals():
        samples = Samples.of(make_loader(data, sampler, 4, 1, True))
        draws, found = kind(samples, times, compiled_kernels() if path == COMPILED else None), []
        np.random.seed(8)
        for _ in range(2):
            draws.begin()
            found.append(draws.draw(rows).reshape(times, -1))
        return torch.stack(found), np.random.randint(2**31)


@pytest.mark.parametrize("kind", [RecboleDraws, HashedDraws])
@pytest.mark.parametrize("sampler", ["RepeatableSampler", "Sampler"])
@pytest.mark.usefixtures("by_bits")
def test_kernels_draw_what_arrays_draw(kind, sampler):
    rows = torch.tensor([5, 0, 8, 8, 2])
    (ours, after), (theirs, then) = (drawn(kind, sampler, path, rows) for path in FAST_PATHS)
    assert torch.equal(ours, theirs)
    assert after == then


def test_kernels_refuse_rows_that_are_not_there():
    with pytest.raises(RuntimeError, match="row 9 of 9"):
        drawn(RecboleDraws, "Sampler", COMPILED, torch.tensor([9]))


@pytest.mark.parametrize("user", [-1, 2])
@pytest.mark.parametrize("bits", [torch.zeros(3, dtype=torch.uint8), torch.zeros(0, dtype=torch.uint8)])
def test_kernels_refuse_users_that_are_not_there(user, bits):
    users, ends, items = torch.tensor([0, user]), torch.tensor([0, 1, 2]), torch.tensor([4, 5])
    with pytest.raises(RuntimeError, match=f"user {user} of 2"):
        compiled_kernels().hash_unseen(1, 1, users, bits, ends, items, 9)
    with pytest.raises(RuntimeError, match=f"user {user} of 2"):
        compiled_kernels().draw_unseen(0, 0, torch.tensor([1]), 1, users, bits, ends, items, 9)


@pytest.mark.parametrize(("size", "last"), [(2, 2), (3, 3)])
def test_kernels_refuse_tables_of_another_size(size, last):
    users, items, ends = torch.tensor([0, 1]), torch.tensor([4, 5]), torch.tensor([0, 1, last])
    bits = torch.zeros(size, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match=r"bytes for 2 users|end with the last item"):
        compiled_kernels().hash_unseen(1, 1, users, bits, ends, items, 9)


def test_hashed_negatives_are_of_the_sample_and_the_epoch_alone():
    rows = torch.arange(9)
    whole, _ = drawn(HashedDraws, "Sampler", TORCH, rows)
    part, _ = drawn(HashedDraws, "Sampler", TORCH, rows[3:6].flip(0))
    assert torch.equal(part, whole[:, :, 3:6].flip(2))
    assert not torch.equal(whole[0], whole[1])


@pytest.mark.parametrize(
    ("sampler", "allowed"), [("Sampler", {7, 8}), ("RepeatableSampler", set(range(2, 9)))]
)
def test_hashed_negatives_are_uniform_over_what_is_left(sampler, allowed):
    found, _ = drawn(HashedDraws, sampler, TORCH, torch.tensor([0]), times=20_000)
    counts = np.bincount(found.flatten().numpy(), minlength=9)
    assert set(np.flatnonzero(counts)) == allowed
    wanted = found.numel() / len(allowed)
    chi_square = sum((counts[item] - wanted) ** 2 / wanted for item in allowed)
    assert chi_square < 22.5  # of 6 degrees of freedom at most, one in a thousand is above


# -- on prepared data -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("stream") / "toy", users=40)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("model", "loss"), [("GRU4Rec", "CE"), ("GRU4Rec", "BPR"), ("FPMC", "BPR"), ("BPR", None)]
)
def test_a_prepared_split_gives_the_same_batches(folder, model, loss, shuffle):
    params = {"shuffle": shuffle, "train_batch_size": 64, "embedding_size": 8}
    settings = settings_of(folder, model, params if loss is None else {**params, "loss_type": loss})
    split = split_of(settings, folder)
    runs = []
    for ours in (False, True):
        with recbole.clean_globals():
            recbole.seed_everything(5)
            loader = make_loaders(TypedConfig(settings, CPU, folder / "scratch"), split)[0]
            if ours:
                stream = Stream(loader)
                runs.append([columns_of(batch, loader) for _ in range(3) for batch in stream.epoch()])
            else:
                names = {"users": "user_id", "items": "item_id", "negatives": "neg_item_id"}
                runs.append(
                    [
                        {name: batch[field] for name, field in names.items() if field in batch.interaction}
                        for _ in range(3)
                        for batch in loader
                    ]
                )
    assert ("negatives" in runs[0][0]) == (loss != "CE")
    assert_same_batches(runs[1], runs[0])


def test_a_table_holds_the_samples_and_the_last_item_of_each_sequence(folder):
    settings = settings_of(folder, "FPMC", {"loss_type": "BPR", "embedding_size": 8})
    loader = make_loaders(TypedConfig(settings, CPU, folder / "scratch"), split_of(settings, folder))[0]
    table = Table.of(loader, CPU)
    fields = loader._dataset.inter_feat.interaction
    assert torch.equal(table.users, fields["user_id"])
    assert torch.equal(table.items, fields["item_id"])
    for row in range(0, len(table), 37):
        sequence = fields["item_id_list"][row][: fields["item_length"][row]]
        assert table.last(torch.tensor([row])).tolist() == sequence[-1:].tolist()
        assert sequence.min() > 0
    assert all(values.is_contiguous() for values in (table.users, table.items, table.sequences))


# -- what is not drawn here -----------------------------------------------------------------------

UNSUPPORTED = [
    ({"distribution": "popularity"}, "negatives by popularity"),
    ({"sample_num": 2}, "2 negatives a sample"),
    ({"dynamic": True, "candidate_num": 3}, "dynamic negative sampling"),
]


@pytest.mark.parametrize(("changes", "reason"), UNSUPPORTED)
def test_other_negatives_have_a_name(changes, reason):
    loader = SimpleNamespace(neg_sample_args={**ONE, **changes}, dl_format=SimpleNamespace(name="PAIRWISE"))
    assert unsupported_negatives(loader) == reason


def test_pointwise_negatives_have_a_name_and_supported_ones_none():
    pointwise = SimpleNamespace(neg_sample_args=ONE, dl_format=SimpleNamespace(name="POINTWISE"))
    assert unsupported_negatives(pointwise) == "pointwise negatives"
    several = SimpleNamespace(neg_sample_args={**ONE, "sample_num": 3}, dl_format=pointwise.dl_format)
    assert unsupported_negatives(several, pointwise=True) is None
    pairwise = SimpleNamespace(name="PAIRWISE")
    for wanted in (ONE, NONE):
        assert unsupported_negatives(SimpleNamespace(neg_sample_args=wanted, dl_format=pairwise)) is None


@pytest.mark.parametrize(("changes", "reason"), UNSUPPORTED)
def test_a_trial_with_other_negatives_is_recboles_and_says_why(folder, changes, reason):
    settings = settings_of(
        folder,
        "FPMC",
        {
            **{"loss_type": "BPR", "embedding_size": 8, "epochs": 1},
            "train_neg_sample_args": {**ONE, **changes},
        },
    )
    split = split_of(settings, folder)
    trained = training.train(settings, split, CPU)
    assert trained.path == f"recbole ({reason})"
    plain = training.train({**settings, "fast": False}, split, CPU)
    assert trained.metrics == plain.metrics


# -- the faster stream of negatives ---------------------------------------------------------------


def test_a_faster_stream_is_used_where_it_is_asked_for(folder):
    changes = {"embedding_size": 8, "epochs": 1, "train_batch_size": 64}
    settings = settings_of(folder, "BPR", changes)
    asked, split = {**settings, "fast_negatives": True}, split_of(settings, folder)
    runs = []
    for path in FAST_PATHS:
        with taking(path):
            runs.append(training.train(asked, split, CPU))
            assert runs[-1].path == f"{path} (fast_negatives)"
            by_recboles = training.train(settings, split, CPU)
        assert not torch.equal(weights_of(by_recboles), weights_of(runs[-1]))
    assert torch.allclose(*map(weights_of, runs), rtol=1e-4, atol=1e-6), "both paths have the same negatives"


def weights_of(trained: Any) -> torch.Tensor:
    return trained.last["state_dict"]["item_embedding.weight"]


@pytest.mark.parametrize(
    ("model", "changes", "told"),
    [
        (
            "BPR",
            {"fast": False},
            "recbole (fast: false; its own negatives, fast_negatives: true does not apply)",
        ),
        ("GRU4Rec", {"loss_type": "CE"}, "torch (no negatives, fast_negatives: true does not apply)"),
        ("EASE", {"reg_weight": 1.0}, "torch (no negatives, fast_negatives: true does not apply)"),
    ],
)
def test_a_trial_says_where_a_faster_stream_does_not_apply(folder, model, changes, told):
    settings = settings_of(
        folder, model, {"embedding_size": 8, "epochs": 1, "fast_negatives": True, **changes}
    )
    with taking(TORCH):
        assert training.train(settings, split_of(settings, folder), CPU).path == told
