"""Inputs that were wrong, or only looked so: what each comes to, without a training.

The cases lie in `tests/cases`, one a line: the files of a base and what is changed in them, the arguments of
`recsweep tune`, and what is wanted. Nothing may end in a traceback, and nothing may pass without a word.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.cases import CASES, Runner, cases

KINDS = ("options", "config", "data", "public", "more")
ALL = {case.name: case for kind in KINDS for case in cases(kind)}
SECRET = "sekret"
"""The password in every address of the cases."""


@pytest.fixture
def runner(monkeypatch, capsys, empty_store):
    return Runner(monkeypatch, capsys, empty_store)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ALL.values(), ids=ALL)
def test_every_input_comes_to_what_is_wanted(case, runner, tmp_path):
    if "cuda" in case.args and Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU")
    tmp_path = tmp_path / "a" / "b" / "c"  # a case that goes up is not to leave the folder
    runner.enter(case, tmp_path)
    outcome = runner.judge(case)
    wanted = {"refuse": {2}, "ok": {0}, "handle": {0}, "refuse-or-handle": {0, 2}}[case.want]
    assert outcome.code in wanted, outcome.text
    assert "Traceback" not in outcome.text
    assert SECRET not in outcome.text
    assert not (tmp_path / "PWNED").exists()
    if outcome.code == 2:
        last = outcome.text.strip().splitlines()[-1]
        assert case.says, f"nothing is said of what refuses it: {last}"
        assert case.says in last.replace(f"{tmp_path}/", "")
        assert last.isprintable()
        assert re.search(r"; |Error: ", last), "an error says what to do"
    else:
        _check_counts(tmp_path.parent.parent.parent)


def _check_counts(folder: Path) -> None:
    """All rows of the file are in the split, and all its users and items."""
    (report,) = folder.rglob("prepared/**/*.yaml")
    found = yaml.safe_load(report.read_text())
    (inter,) = folder.rglob("*.inter")
    lines = inter.read_bytes().decode("utf-8-sig").split("\n")
    header, *rows = [line.rstrip("\r").split("\t") for line in lines if line.strip("\r")]
    names = [cell.split(":")[0] for cell in header]
    users, items = ({row[names.index(name)] for row in rows} for name in ("user_id", "item_id"))
    assert found["interactions"] == len(rows)
    for split in found["splits"].values():
        assert (split["users"], split["items"]) == (len(users), len(items))


def test_there_is_a_case_for_each_of_the_inputs_that_were_tried():
    counts = {kind: len(cases(kind)) for kind in KINDS}
    assert sum(counts[kind] for kind in ("options", "config", "data")) == 165
    assert counts["public"] == 31
    assert counts["more"] >= 60
    assert len(ALL) == sum(counts.values()), "each has a name of its own"


def test_the_cases_are_one_a_line():
    for kind in KINDS:
        text = (CASES / f"{kind}.json").read_text()
        assert len(text.splitlines()) == len(json.loads(text)) + 2


REAL = [
    *("000-control", "d52-quote-swallows-rows", "a13b-cooldown-inf", "a17-log-dir", "a21-device-cuda"),
    *("c22c-path-nul", "c33-deep-nest", "c28b-topk-huge", "d37-2-per-user", "p04-label-late"),
    *("e02-cooldown-inf", "t01-no-folder", "u01-port-is-text", "o08-warm-start-missing"),
]


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_a_real_process_comes_to_the_same(name, tmp_path):
    case = ALL[name]
    case.unpack(tmp_path)
    command = [
        sys.executable,
        "-m",
        "recsweep",
        "tune",
        "--config",
        case.config,
        "--device",
        "cpu",
        *case.args,
    ]
    environment = {**os.environ, **case.env, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == (2 if case.want == "refuse" else 0), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert case.says in done.stderr or case.want != "refuse"
