"""What depends on where a trial runs: batches for a GPU, and the library of matrix products.

No GPU is at hand: what a GPU gets is computed on the CPU.
"""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from helpers.fast import (
    CPU,
    TORCH,
    assert_equal_runs,
    reference,
    run,
    settings_of,
    split_of,
    write_interactions,
)
from helpers.workspace import run_python
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.fast import stream
from recsweep.training.fast.gemm import LIBRARIES
from recsweep.training.fast.packed import Lengths, Packing
from recsweep.training.fast.stream import Batch, Stream, placed
from recsweep.training.fast.table import Table

WIDTH = 12
TRIALS = {
    "FPMC": {"embedding_size": 16, "loss_type": "BPR"},
    "STAMP": {"embedding_size": 16, "loss_type": "CE"},
    "GRU4Rec": {"embedding_size": 16, "hidden_size": 16, "dropout_prob": 0.0, "loss_type": "BPR"},
    "NARM": {"embedding_size": 16, "hidden_size": 16, "dropout_probs": [0.0, 0.0], "loss_type": "CE"},
    "BERT4Rec": {"hidden_size": 16, "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "loss_type": "CE"},
    "MultiVAE": {"mlp_hidden_size": [16], "latent_dimension": 8, "dropout_prob": 0.0, "train_batch_size": 9},
    "SASRec": {"hidden_size": 16, "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "loss_type": "CE"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("devices") / "toy")


@pytest.fixture
def far(monkeypatch):
    """Tables are taken for ones that lie on another device."""
    monkeypatch.setattr(stream, "is_local", lambda table: False)


@pytest.mark.parametrize("model", TRIALS)
def test_batches_that_were_sent_to_a_gpu_train_what_recbole_trains(folder, model, far):
    settings = settings_of(folder, model, TRIALS[model], WIDTH)
    split = split_of(settings, folder)
    ours, theirs = run(settings, split, TORCH, folder), reference(settings, split, folder)
    assert_equal_runs(ours, theirs, undetermined=("key.bias",))  # a softmax leaves it free


def test_an_epoch_is_sent_at_once_and_sorted_within_each_batch(folder, far):
    settings = settings_of(folder, "GRU4Rec", TRIALS["GRU4Rec"], WIDTH)
    train, _, _ = make_loaders(TypedConfig(settings, CPU, folder / "scratch"), split_of(settings, folder))
    again, _, _ = make_loaders(TypedConfig(settings, CPU, folder / "scratch"), split_of(settings, folder))
    table = Table.of(train, CPU)
    plain = list(Stream(train).epoch())
    sent = list(placed(Stream(again).epoch(), table))
    assert len(sent) == len(plain) > 2
    for one, other in zip(plain, sent, strict=True):
        lengths = table.lengths[other.rows]
        assert torch.equal(lengths, lengths.sort(descending=True).values)
        assert torch.equal(other.places, other.rows)
        assert torch.equal(other.placed_negatives, other.negatives)
        assert sorted(one.rows.tolist()) == sorted(other.rows.tolist())
    shared = {batch.places.untyped_storage().data_ptr() for batch in sent}
    assert len(shared) == 1, "the rows of an epoch are one copy"


def test_a_table_on_the_cpu_is_left_as_it_is(folder):
    settings = settings_of(folder, "FPMC", TRIALS["FPMC"], WIDTH)
    train, _, _ = make_loaders(TypedConfig(settings, CPU, folder / "scratch"), split_of(settings, folder))
    batch = Batch(torch.tensor([2, 0, 1]), None)
    assert list(placed(iter([batch]), Table.of(train, CPU))) == [batch]


def test_packed_sequences_are_those_of_torch_with_its_gradients():
    here = torch.tensor([7, 5, 5, 2, 1])
    packing = Packing.of(Lengths(here, here))
    padded = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theirs = pack_padded_sequence(padded, here, batch_first=True)
    assert torch.equal(packing.sizes, theirs.batch_sizes)
    assert torch.equal(padded[packing.rows, packing.steps], theirs.data)
    real = padded * (torch.arange(7) < here[:, None])[:, :, None]
    torch.testing.assert_close(packing.sums(theirs.data), real.sum(1))
    assert torch.equal(packing.spread(real[:, 0]), real[:, 0][packing.rows])
    values = theirs.data.clone().requires_grad_()
    assert torch.autograd.gradcheck(packing.sums, (values,))
    assert torch.autograd.gradcheck(packing.spread, (real[:, 0].clone().requires_grad_(),))


@pytest.mark.parametrize("model", ["GRU4Rec", "NARM"])
def test_a_recurrence_copies_nothing_step_by_step(folder, model, far):
    settings = settings_of(folder, model, {**TRIALS[model], "epochs": 1}, WIDTH)
    split = split_of(settings, folder)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        run(settings, split, TORCH, folder)
    operators = {one.key for one in seen.key_averages()}
    assert "aten::gru" in operators
    assert [name for name in operators if "pack_padded" in name or "pad_packed" in name] == []


PRODUCTS = """
import json, sys, torch
from recsweep.training.fast import native
kernels = native.kernels()
draw = torch.Generator().manual_seed(3)
def rand(*shape): return torch.randn(*shape, generator=draw) * 0.3
d, h, items, samples = 24, 40, 700, 90
weights = [rand(items, d), rand(3 * h, d), rand(3 * h, h), rand(d, h), rand(d)]
gradients = [torch.zeros_like(w) for w in weights]
lengths = torch.randint(1, 13, (samples,), generator=draw)
table = torch.randint(1, items, (samples, 12), generator=draw) * (torch.arange(12) < lengths[:, None])
targets = torch.randint(1, items, (samples,), generator=draw)
for name in sys.argv[1:]:
    kernels.use_products(name)
    [g.zero_() for g in gradients]
    loss = kernels.gru4rec_step(
        weights, gradients, table, lengths, torch.arange(samples), targets, None, 1, [0.2], 5, 300
    )
    norms, some = [g.norm().item() for g in gradients], [g.flatten()[7].item() for g in gradients]
    print(json.dumps([loss, norms, some]))
"""


def test_all_libraries_of_matrix_products_give_the_same():
    from helpers.fast import compiled_kernels

    compiled_kernels()  # skips where nothing can build them
    (loss, norms, some), *others = map(json.loads, run_python(PRODUCTS, *LIBRARIES).splitlines())
    assert len(others) == 2
    for other_loss, other_norms, other_some in others:
        assert other_loss == pytest.approx(loss, rel=1e-6)
        assert other_norms == pytest.approx(norms, rel=1e-5)
        assert other_some == pytest.approx(some, rel=1e-3, abs=1e-7)
