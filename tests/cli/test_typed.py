"""What is printed to go on with is what was typed, whoever started us."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recsweep.cli.typed import command_line

ROOT = Path(__file__).parents[2]
WORDS = ["tune", "--models", "GRU4Rec SASRec", "--outputs", "a $(b) 'c'", "--more", "6"]


def program(folder: Path) -> Path:
    path = folder / "recsweep"
    path.touch()
    path.chmod(0o755)
    return path


def test_our_own_command_is_quoted_for_a_shell(tmp_path, monkeypatch):
    own = str(program(tmp_path))
    typed = command_line([own, *WORDS], {})
    assert shlex.split(typed) == [own, *WORDS], "a shell would not find it by its name"
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {typed}"], capture_output=True, text=True)
    assert done.stdout.splitlines() == [own, *WORDS]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_line([own, "tune"], {}) == "recsweep tune"


def test_a_module_is_run_by_its_python(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    words = command_line(["/somewhere/recsweep/__main__.py", "tune"], {})
    assert words == f"{sys.executable} -m recsweep tune"


def test_of_snakemake_and_make_it_is_theirs():
    snakemake = {"RECSWEEP_TYPED": "snakemake --cores 1"}
    assert command_line(["recsweep", *WORDS], snakemake) == "snakemake --cores 1"
    make = {"RECSWEEP_GOAL": "tune-all", "RECSWEEP_GIVEN": "MODELS SEED", "RECSWEEP_MODELS": "A B"}
    environment = {**snakemake, **make, "RECSWEEP_SEED": "3"}
    assert command_line(["recsweep", *WORDS], environment) == "make tune-all 'MODELS=A B' SEED=3"


def test_a_password_is_left_to_the_environment():
    url = "postgresql+psycopg://me:marked-word@host/sweeps"
    for words in (["--storage", url], [f"--storage={url}"]):
        typed = command_line(["/bin/recsweep", "tune", *words, "--more", "6"], {})
        assert typed == "RECSWEEP_STORAGE=*** /bin/recsweep tune --more 6"
    make = {"RECSWEEP_GOAL": "tune", "RECSWEEP_GIVEN": "STORAGE", "RECSWEEP_STORAGE": url}
    assert command_line(["x"], make) == "RECSWEEP_STORAGE=*** make tune"
    snakemake = {"RECSWEEP_TYPED": f"snakemake --config storage={url}"}
    assert command_line(["x"], snakemake) == "RECSWEEP_STORAGE=*** snakemake --config"
    again = {"RECSWEEP_TYPED": "RECSWEEP_STORAGE=*** make tune 'MODELS=A B'"}
    assert command_line(["x"], again) == "RECSWEEP_STORAGE=*** make tune 'MODELS=A B'"


@pytest.mark.parametrize("environment", [{}, {"MAX_EVALS": "7"}])
def test_make_tells_its_target_and_what_was_given(environment):
    shown = "tune: ; @echo $$RECSWEEP_GOAL: $$RECSWEEP_GIVEN\nsetup: ;\n"
    command = ["make", "-f", "Makefile", "-f", "-", "tune", "MODEL=A B", "CORES=", "DATASET=x"]
    path = {"PATH": "/usr/bin:/bin"}
    made = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=path | environment, input=shown
    )
    names = set(made.stdout.strip().removeprefix("tune: ").split())
    assert names == {"MODEL", "DATASET", *environment}, made.stderr
