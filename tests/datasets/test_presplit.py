"""Files that are already split: taken as they are, and refused where a row stands in two of them."""

from __future__ import annotations

import pytest

from helpers.workspace import HEADER, ROWS, Workspace, make_workspace
from recsweep.common.errors import InputError
from recsweep.planning.plan import check_data

FILES = "path: toy\nprotocol:\n  split: {type: files}\n"


def presplit(root, dataset: str = FILES, **parts: list[str]) -> Workspace:
    """Each user's last row in the test file, the one before in that of validation."""
    space = make_workspace(root.resolve(), dataset=dataset)
    space.inter.unlink()
    own = {"train": [row for n, row in enumerate(ROWS) if n % 6 < 4], "valid": list(ROWS[4::6])}
    for part, rows in {**own, "test": list(ROWS[5::6]), **parts}.items():
        text = "".join(f"{line}\n" for line in (HEADER, *rows))
        space.inter.with_name(f"toy.{part}.inter").write_text(text)
    return space


def refused(space: Workspace) -> str:
    with pytest.raises(InputError) as caught:
        check_data(space.load())
    return str(caught.value).replace(f"{space.root}/datasets/", "")


def test_all_their_rows_are_read(tmp_path):
    assert check_data(presplit(tmp_path).load()) == {"toy": len(ROWS)}


def test_a_row_in_two_files_is_refused_with_both_places(tmp_path):
    said = refused(presplit(tmp_path, test=[*ROWS[5::6], ROWS[0]]))
    assert said.startswith(
        "toy/toy.test.inter:6:1: user '1' and item '1' at 101 stand in toy.train.inter:2 too; "
    )


def test_what_is_wrong_in_a_file_is_pointed_at_there(tmp_path):
    said = refused(presplit(tmp_path, valid=["1\t5\tnoon"]))
    assert said.startswith("toy/toy.valid.inter:2:5: `timestamp` must be a number, but got 'noon'")


def test_a_file_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    dataset = "path: toy\nsplit: {type: files, files: [train, dev, test]}\n"
    said = refused(presplit(tmp_path, dataset))
    assert said.startswith("toy.yaml:2:37: there is no file ")
    assert said.endswith("toy.dev.inter; name those that are there: [train, valid, test]")


def test_a_file_of_another_form_is_refused(tmp_path):
    space = presplit(tmp_path)
    path = space.inter.with_name("toy.test.inter")
    path.write_text(path.read_text().replace("item_id:token", "item_id:float", 1))
    assert refused(space).startswith("toy/toy.test.inter:1:1: `item_id` must be a token, but is a float")


def test_a_sequence_that_goes_back_in_time_is_refused_for_sequential_models(tmp_path):
    space = presplit(tmp_path, test=["1\t9\t50"])
    said = refused(space)
    assert said.startswith("toy/toy.test.inter:2:1: user '1' has a row for test that is older than")
    assert "toy.train.inter:2; NARM would be shown" in said
