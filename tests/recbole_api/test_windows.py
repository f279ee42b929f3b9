"""Sequences that are filled when they are looked at: the table that RecBole stores, to whoever asks."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers.fast import CPU, settings_of, split_of, write_interactions
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import interaction, joined, make_loaders
from recsweep.recbole_api.windows import Windows, rows_of

WIDTH = 4
SMALL = {"embedding_size": 8, "loss_type": "CE"}
NEGATIVES = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}
OWN_CODE = {
    "Caser": {**SMALL, "n_h": 2, "n_v": 2},
    "DIN": {"embedding_size": 8, "mlp_hidden_size": [8], "train_neg_sample_args": NEGATIVES},
    "FEARec": {"hidden_size": 8, "inner_size": 8, "n_heads": 2, "loss_type": "CE"},
    "BERT4Rec": {
        "hidden_size": 8,
        "inner_size": 8,
        "n_heads": 2,
        "loss_type": "CE",
        "transform": "mask_itemseq",
    },
}


@pytest.fixture(scope="module", params=[torch.int64, torch.float32], ids=str)
def both(request):
    """Windows of all lengths, and the same table."""
    lengths = torch.tensor([0, 1, 2, 3, 4, 4, 4])
    begins = torch.tensor([9, 0, 3, 5, 6, 1, 20], dtype=torch.int32)
    array = torch.cat([torch.arange(1, 25), torch.zeros(WIDTH, dtype=torch.int64)]).to(request.param)
    rows = [array[begin : begin + length] for begin, length in zip(begins, lengths, strict=True)]
    table = torch.stack([torch.nn.functional.pad(row, (0, WIDTH - len(row))) for row in rows])
    return Windows(array, begins, lengths, WIDTH), table


MASK = torch.tensor([True, False, True, True, False, False, True])
LOOKS = {
    "rows": lambda table: table[torch.tensor([3, 1, 1])],
    "a list": lambda table: table[[2, 6]],
    "an array": lambda table: table[np.array([5, 0])],
    "a mask": lambda table: table[MASK],
    "a mask in a list": lambda table: table[MASK.tolist()],
    "a slice": lambda table: table[1:6:2],
    "one row": lambda table: table[-2],
    "a column": lambda table: table[:, -1],
    "a cell of rows": lambda table: table[MASK, 1],
    "some of the width": lambda table: table[:, :2],
    "places": lambda table: table.gather(1, torch.tensor([[0], [1], [2], [3], [0], [1], [2]])),
    "one more dimension": lambda table: table.unsqueeze(-1),
    "itself twice": lambda table: torch.cat([table, table]),
    "beside others": lambda table: torch.cat([table, torch.zeros_like(table)]),
    "a sum": lambda table: table + 1,
    "repeated": lambda table: table.repeat(2, 1),
    "another type": lambda table: table.double(),
    "a copy": copy.deepcopy,
    "pickled": lambda table: pickle.loads(pickle.dumps(table)),
    "numbers": lambda table: torch.from_numpy(table.numpy()),
    "a list of lists": lambda table: torch.tensor(table.tolist(), dtype=table.dtype),
    "of no row": lambda table: table[[]],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_whoever_looks_sees_the_padded_table(both, look):
    windows, table = both
    found, wanted = look(windows), look(table)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert torch.equal(found, wanted)


def test_what_is_put_together_or_reordered_takes_no_more_memory(both):
    windows, table = both
    assert type(torch.cat([windows, windows])) is Windows
    order = torch.tensor([4, 2, 0])
    chosen = rows_of({"a": windows, "b": windows, "length": windows.lengths}, order)
    assert torch.equal(chosen["a"].dense(), table[order])
    assert chosen["a"].begins is chosen["b"].begins
    assert chosen["a"].lengths is chosen["length"]


def test_nothing_is_changed_in_place(both):
    windows, _ = both
    for change in (lambda: windows.add_(1), lambda: windows.__setitem__((0, 0), 1), lambda: windows.zero_()):
        with pytest.raises(RuntimeError, match="cannot be changed; clone them first"):
            change()


def test_a_table_is_sorted_as_recbole_sorts_it():
    numbers = np.random.default_rng(3)
    columns = {name: torch.from_numpy(numbers.integers(0, 5, 50)) for name in ("a", "b")}
    table = interaction({**columns, "row": torch.arange(50)})
    table.sort(by=["a", "b"])
    assert table["row"].tolist() == np.lexsort((columns["b"].numpy(), columns["a"].numpy())).tolist()


def _trained(settings, split, folder):
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder)
        train, valid, test = make_loaders(config, split)
        model = recbole.make_model(config, train)
        trainer = recbole.make_trainer(config, model)
        _, metrics = recbole.fit(trainer, train, valid, lambda epoch, score: None)
        return recbole.weights(model), metrics, recbole.evaluate(trainer, test)


def _dense(split):
    """The same split with tables that are stored, as RecBole has them."""
    found = copy.copy(split)
    parts = tuple(copy.copy(part) for part in split.parts)
    for part in parts:
        columns = part.inter_feat.interaction
        part.inter_feat = interaction({name: columns[name] + 0 for name in columns})
        assert not any(type(column) is Windows for column in part.inter_feat.interaction.values())
    object.__setattr__(found, "parts", parts)
    return found


@pytest.mark.parametrize("model", OWN_CODE)
def test_recboles_own_code_trains_the_same(tmp_path, model):
    folder = write_interactions(tmp_path / "toy", users=30, items=40, longest=12)
    settings = {**settings_of(folder, model, OWN_CODE[model], width=6), "epochs": 2}
    split = joined(split_of(settings, folder))
    assert type(split.parts[0].inter_feat["item_id_list"]) is Windows
    (weights, *scores), (others, *wanted) = (
        _trained(settings, one, tmp_path) for one in (split, _dense(split))
    )
    assert scores == wanted
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in others)


def test_no_distributed_tensors_are_loaded_for_windows():
    code = (
        "import sys, torch\n"
        "from recsweep.recbole_api.windows import Windows, spare_distributed\n"
        "spare_distributed()\n"
        "rows = Windows(torch.arange(4), torch.tensor([0, 1]), torch.tensor([2, 1]), 2)\n"
        "print(rows[torch.tensor([1, 0])].tolist(), 'torch.distributed.tensor' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[[1, 0], [0, 1]] False\n", "")
