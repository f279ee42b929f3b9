"""Parquet files: written in parts, whole or not at all."""

import numpy as np
import pytest

from recsweep.common.errors import InputError
from recsweep.common.parquet import Coded, Words, parquet_rows, read_parquet, write_parquet

COLUMNS = {"user": "text", "item": "words", "rank": "int32", "score": "float64"}


ITEMS = Words(["a", "ü"])


def rows(users):
    n = len(users)
    return {
        "user": users,
        "item": Coded(np.arange(n) % 2, ITEMS),
        "rank": np.arange(n),
        "score": np.arange(n) / 3,
    }


def test_parts_are_read_back_as_one_with_their_notes(tmp_path):
    file = tmp_path / "sub" / "some.parquet"
    with parquet_rows(file, COLUMNS, {"split": "test"}) as write:
        write(rows(["1", "2", "3"]))
        write(rows(["01"]))
    found, notes = read_parquet(file)
    assert list(found) == list(COLUMNS)
    assert found["user"].tolist() == ["1", "2", "3", "01"]
    assert found["item"].tolist() == ["a", "ü", "a", "a"]
    assert found["score"].tolist() == [0, 1 / 3, 2 / 3, 0]
    assert notes == {"split": "test"}


def test_an_error_leaves_the_file_that_was_there(tmp_path):
    file = tmp_path / "some.parquet"
    write_parquet(file, COLUMNS, rows(["1"]))
    with pytest.raises(KeyError), parquet_rows(file, COLUMNS) as write:
        write({"user": ["2", "3"]})
    assert read_parquet(file)[0]["user"].tolist() == ["1"]
    assert [path.name for path in tmp_path.iterdir()] == ["some.parquet"]


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("user,item\n")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_parquet(tmp_path / "text.parquet")
    with pytest.raises(InputError, match="there is no such file"):
        read_parquet(tmp_path / "none.parquet")
