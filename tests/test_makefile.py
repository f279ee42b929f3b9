from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(*arguments):
    """What make says without running anything."""
    return subprocess.run(["make", "-n", "help", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("MODELS", "TUNABLE_MODELS"), ("MAX_EVLAS", "MAX_EVALS"), ("EPOCH", "EPOCHS"), ("TRIALS", "one of")],
)
def test_a_variable_that_nothing_reads_is_refused_with_the_nearest(slip, meant):
    said = make(f"{slip}=A B")
    assert said.returncode == 2
    assert f"recsweep: {slip} is no variable of this Makefile; " in said.stderr
    assert meant in said.stderr


@pytest.mark.parametrize(
    "given", ["TUNABLE_MODELS=A B=c", "SEED=3", "CONFIG=x.yaml", "OMP_NUM_THREADS=2", "PYTHON=python3"]
)
def test_a_variable_that_is_read_is_not(given):
    assert make(given).returncode == 0


@pytest.mark.parametrize(
    ("goals", "code"), [(["tune"], 2), (["plots"], 2), (["tune-all"], 0), (["tune-smoke"], 0)]
)
def test_cores_are_for_snakemake_alone(goals, code):
    said = subprocess.run(["make", "-n", *goals, "CORES=2"], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == code
    assert ("CORES is for Snakemake" in said.stderr) == bool(code)


def options_of(target, *words):
    """The options that a target gives to its command."""
    said = subprocess.run(["make", "-n", target, *words], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return set(re.findall(r"(?<=--)[a-z-]+(?==)", said.stdout.splitlines()[-1]))


def test_a_target_gives_what_its_command_takes_and_what_was_typed(monkeypatch):
    monkeypatch.setenv("SEED", "3")
    monkeypatch.setenv("WORKERS", "2")
    assert options_of("tune", "MODEL=FPMC") == {"config", "seed", "workers", "model"}
    assert options_of("dashboard") == {"config"}
    assert options_of("plots") == {"config"}
    assert options_of("plots", "WORKERS=2") == {"config", "workers"}, "to be refused with a hint"
    assert options_of("tune", "STORAGE=postgresql+psycopg://me:pw@host/db") == {"config", "seed", "workers"}


def test_studies_are_named_word_by_word(tmp_path):
    fake = tmp_path / "recsweep"
    fake.write_text('#!/bin/sh\nfor word; do echo "[$word]"; done\n')
    fake.chmod(0o755)
    given = ("-o", "setup", "compare", f"STUDY=a * b;touch {tmp_path}/pwned")
    (tmp_path / "bin").symlink_to(tmp_path)
    said = subprocess.run(
        ["make", "-s", *given, f"VENV={os.path.relpath(tmp_path, ROOT)}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    words = said.stdout.splitlines()
    assert words[2:] == ["[--]", "[a]", "[*]", "[b;touch]", f"[{tmp_path}/pwned]"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(("words", "told"), [(["STORAGE=x"], "STORAGE"), ([], "")])
def test_make_says_that_an_address_was_typed(words, told):
    printed = subprocess.run(
        ["make", "-pn", "help", *words], cwd=ROOT, capture_output=True, text=True, env={**os.environ}
    )
    (line,) = re.findall(r"^RECSWEEP_OPEN := ?(.*)$", printed.stdout, flags=re.MULTILINE)
    assert line == told


def test_a_name_is_no_command(tmp_path):
    said = make(f"X';touch {tmp_path}/pwned;'=1")
    assert said.returncode == 2
    assert not (tmp_path / "pwned").exists()


def test_every_file_that_a_target_runs_is_there():
    named = re.findall(r"(?:tests|benchmarks|envs)/[\w/.-]+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
