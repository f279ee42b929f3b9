"""The notebook of the documentation: its cells run, and say what is written below them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from helpers import warm

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
SCORE = re.compile(r"NDCG@10 (\d\.\d+)")


def test_the_cells_run_one_after_the_other_and_find_what_is_written(tmp_path):
    # As a script without `if __name__`: its workers are not to run it again.
    script = tmp_path / "cells.py"
    code = ["".join(cell["source"]) for cell in CELLS]
    script.write_text(
        "\n".join([*code, "print(study.best)", "print(len(found), open(__file__).read() != '')"])
    )
    told = warm.run_script(script, tmp_path, 300)
    assert told.returncode == 0, told.stderr
    best, count = told.stdout.splitlines()
    assert count == "2 True"
    shown = {kind: "".join(text) for kind, text in CELLS[2]["outputs"][0]["data"].items()}
    assert best == shown["text/plain"]
    # Each score that the notebook shows as it goes is a score of today.
    (went,) = ("".join(out["text"]) for out in CELLS[1]["outputs"] if out["output_type"] == "stream")
    assert SCORE.findall(told.stderr) == SCORE.findall(went)


def test_the_notebook_was_run_from_its_first_cell_to_its_last():
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    assert all(cell["outputs"] for cell in CELLS[1:])
