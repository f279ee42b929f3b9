"""Arrays in one plain file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsweep.datasets.arrays import read_arrays, write_arrays

ARRAYS = [
    torch.arange(12).reshape(3, 4),
    torch.arange(12).reshape(3, 4).t(),
    torch.tensor([True, False]),
    torch.rand(5, dtype=torch.float64),
    torch.rand(2, 3, 4),
    torch.zeros(0, 7, dtype=torch.int32),
    torch.from_numpy(np.arange(3)[np.zeros(3, dtype=bool)]),
    torch.tensor(3.5, dtype=torch.bfloat16),
    torch.tensor([1, 2, 3], dtype=torch.uint8)[1:],
]


def test_arrays_come_back_as_they_were(tmp_path):
    index, _ = write_arrays(tmp_path / "a", ARRAYS)
    again = read_arrays(tmp_path / "a", index)
    assert [(a.dtype, a.shape) for a in again] == [(a.dtype, a.shape) for a in ARRAYS]
    assert all(torch.equal(a, b) for a, b in zip(again, ARRAYS, strict=True))


def test_no_arrays_are_none(tmp_path):
    assert read_arrays(tmp_path / "a", write_arrays(tmp_path / "a", [])[0]) == []
    assert (tmp_path / "a").read_bytes() == b""


def test_who_changes_an_array_changes_neither_the_file_nor_others(tmp_path):
    index, _ = write_arrays(tmp_path / "a", [torch.zeros(4), torch.ones(4)])
    before = (tmp_path / "a").read_bytes()
    mine, others = read_arrays(tmp_path / "a", index), read_arrays(tmp_path / "a", index)
    mine[0].fill_(7)
    assert torch.equal(others[0], torch.zeros(4))
    assert (tmp_path / "a").read_bytes() == before


def test_what_keeps_one_array_does_not_save_all_of_them(tmp_path):
    index, _ = write_arrays(tmp_path / "a", [torch.zeros(4), torch.ones(100_000)])
    torch.save(read_arrays(tmp_path / "a", index)[0], tmp_path / "saved")
    assert (tmp_path / "saved").stat().st_size < 5_000


def test_an_array_of_a_kind_without_bytes_is_refused(tmp_path):
    with pytest.raises(TypeError, match="complex64"):
        write_arrays(tmp_path / "a", [torch.zeros(2, dtype=torch.complex64)])


ENTRY = {"type": "int64", "shape": [2], "at": 0}


@pytest.mark.parametrize(
    "index",
    [
        None,
        {"0": ENTRY},
        [None],
        [{}],
        [{**ENTRY, "code": "x"}],
        [{**ENTRY, "type": "object"}],
        [{**ENTRY, "type": ["int64"]}],
        [{**ENTRY, "type": "load"}],
        [{**ENTRY, "shape": 2}],
        [{**ENTRY, "shape": [-1]}],
        [{**ENTRY, "shape": [2.0]}],
        [{**ENTRY, "shape": [True]}],
        [{**ENTRY, "shape": [10**30]}],
        [{**ENTRY, "shape": [3]}],
        [{**ENTRY, "at": -64}],
        [{**ENTRY, "at": 8, "shape": [1]}],
        [{**ENTRY, "at": 64}],
        [{**ENTRY, "at": None}],
    ],
    ids=str,
)
def test_an_index_that_names_what_is_not_there_is_refused(tmp_path, index):
    write_arrays(tmp_path / "a", [torch.arange(2)])
    with pytest.raises(ValueError, match=r"array"):
        read_arrays(tmp_path / "a", index)
