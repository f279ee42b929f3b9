"""Scores of each user, in memory and in files."""

from __future__ import annotations

import io

import numpy as np
import pytest

from recsweep.common.errors import InputError
from recsweep.statistics.users import UserScores

ROWS = {"ndcg@10": np.array([0.25, 1.0, 0.0, 0.5]), "hit@10": np.array([1.0, 1.0, 0.0, 1.0])}


def scores() -> UserScores:
    return UserScores.of_rows(np.array(["u9", "10", "NA", "u9"]), ROWS, {"trial": 3})


def test_users_are_sorted_as_text_and_their_rows_summed_to_the_mean():
    found = scores()
    assert found.users.tolist() == ["10", "NA", "u9"]
    assert found.metrics["ndcg@10"].tolist() == pytest.approx([0.75, 0.0, 0.5625])
    assert found.means() == pytest.approx({name: values.mean() for name, values in ROWS.items()})


def test_a_user_of_one_row_keeps_its_value():
    users = np.array(["b", "a", "c", "d"])
    found = UserScores.of_rows(users, ROWS)
    assert found.metrics["ndcg@10"].tolist() == [1.0, 0.25, 0.0, 0.5]


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "model" / "users.parquet"
    scores().write(path)
    found = UserScores.read(path)
    assert found.users.tolist() == ["10", "NA", "u9"]
    assert found.about == {"trial": 3}
    assert {name: values.tolist() for name, values in found.metrics.items()} == {
        name: values.tolist() for name, values in scores().metrics.items()
    }
    assert [file.name for file in path.parent.iterdir()] == ["users.parquet"]


def test_no_users_are_no_error(tmp_path):
    empty = UserScores.of_rows(np.array([], dtype=np.str_), {})
    empty.write(tmp_path / "users.parquet")
    assert len(UserScores.read(tmp_path / "users.parquet").users) == 0
    assert empty.means() == {}


def test_a_damaged_file_is_the_users_error(tmp_path):
    path = tmp_path / "users.parquet"
    scores().write(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        UserScores.read(path)


def test_csv_has_a_row_a_user_and_every_digit():
    text = io.StringIO()
    UserScores.of_rows(np.array(["a", "b,c"]), {"mrr@10": np.array([1 / 3, 0.0])}).write_csv(text)
    assert text.getvalue() == 'user,mrr@10\na,0.3333333333333333\n"b,c",0.0\n'
