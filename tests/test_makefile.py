from __future__ import annotations

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


def test_a_name_is_no_command(tmp_path):
    said = make(f"X';touch {tmp_path}/pwned;'=1")
    assert said.returncode == 2
    assert not (tmp_path / "pwned").exists()


def test_every_file_that_a_target_runs_is_there():
    named = re.findall(r"(?:tests|benchmarks|envs)/[\w/.-]+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
