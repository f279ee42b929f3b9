"""`make` and Snakemake, as the README says to use them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.quick_venv import quick_venv
from recsweep.study import Store
from running import LIMIT_SECONDS, ROOT, make

pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv" / "installed.lock").is_file(), reason="`make setup` has not been run here"
)


@pytest.fixture
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What `make` is given to start `recsweep` by a fork, without its imports."""
    with quick_venv(tmp_path_factory.mktemp("quick")) as made:
        yield [f"VENV={os.path.relpath(made, ROOT)}"]


def counted(outputs: Path, model: str = "FPMC") -> list[int]:
    store = Store(f"sqlite:///{outputs}/recsweep.db")
    study = store.find_study(f"smoke/ml-100k-small/{model}/full")
    assert study is not None
    slots = [trial.slot for trial in study.results()]
    assert len(study.trials()) == len(slots), "a slot was run more than once"
    store.close()
    return slots


def test_the_pipeline_runs_resumes_and_never_trains_a_finished_trial_again(
    tmp_path: Path, forked: list[str]
) -> None:
    outputs = tmp_path / "out puts"  # a blank must not matter
    settings = ("TUNABLE_MODELS=FPMC", "COOLDOWN=0", "EPOCHS=1", f"OUTPUTS={outputs}")

    first = make("tune-smoke", *settings, "MAX_EVALS=1", *forked)
    assert first.returncode == 0, first.stderr
    assert "1 study, 1 trial to run with hyperopt/bayes, at most 1 epoch each" in first.stdout
    assert counted(outputs) == [0]
    assert "| ml-100k-small | **FPMC** |" in (outputs / "results/smoke/summary.md").read_text()

    again = make("tune-smoke", *settings, "MAX_EVALS=1")
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stderr

    more = make("tune-smoke", *settings, "MAX_EVALS=2", *forked)
    assert more.returncode == 0, more.stderr
    assert "1 of 2 trials to run" in more.stderr
    assert counted(outputs) == [0, 1]

    best = outputs / "results/smoke/ml-100k-small/FPMC/best_result.yaml"
    before = best.read_bytes()
    best.unlink()
    rebuilt = make("tune-smoke", *settings, "MAX_EVALS=2", *forked)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "all 2 trials are in the store, nothing to train" in rebuilt.stderr
    assert best.read_bytes() == before
    assert counted(outputs) == [0, 1]


@pytest.mark.parametrize(
    "value",
    [
        "FPMC; touch {marker}",
        "$(shell touch {marker})",
        "$$(touch {marker})",
        "`touch {marker}`",
        '"; touch {marker}; "',
        "1",
    ],
)
@pytest.mark.parametrize("target", ["tune-smoke", "tune"])
def test_a_value_is_never_run_as_a_command(
    tmp_path: Path, forked: list[str], target: str, value: str
) -> None:
    marker = tmp_path / "marker"
    given = f"TUNABLE_MODELS={value.format(marker=marker)}", f"OUTPUTS={tmp_path / 'outputs'}"
    done = make(target, *given, *forked)
    assert done.returncode == 2
    refused = "unknown model" if value == "1" else "a name has letters"
    named = "--models" if target == "tune" else "--config models"
    assert f"recsweep: {named}: {refused}" in done.stderr
    assert not marker.exists()
    assert not (tmp_path / "outputs").exists()


def test_a_wrong_number_is_one_line(tmp_path: Path, forked: list[str]) -> None:
    done = make("tune", "MAX_EVALS=many", f"OUTPUTS={tmp_path}", *forked)
    assert done.returncode == 2
    assert "recsweep: --max-evals: must be a whole number" in done.stderr


def test_several_models_reach_the_pipeline_in_one_variable(tmp_path: Path, forked: list[str]) -> None:
    given = ("TUNABLE_MODELS=GRU4Rec SASRec", "MAX_EVALS=7", "ESTIMATE=0", f"OUTPUTS={tmp_path}")
    done = make("dry-run", *given, *forked)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "ml-100k/GRU4Rec: 7 of 7 trials to run",
        "ml-100k/SASRec: 7 of 7 trials to run",
    ]


def test_make_alone_lists_every_target_and_every_variable() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text()
    settings = next(line for line in makefile.splitlines() if line.startswith("SETTINGS :=")).split()[2:]
    for name in (*settings, "CONFIG", "MODEL", "DATASET"):
        assert f"  {name} " in done.stdout
    for target in ("tune-all", "tune-smoke", "tune", "test", "setup", "lock", "summarize", "doctor"):
        assert f"  {target} " in done.stdout


def test_the_environments_settings_hold_in_jobs_too(
    tmp_path: Path,
) -> None:
    outer = tmp_path / "Snakefile"
    names = ("MAX_EVALS", "CONFIG", "MODEL", "STORAGE")
    printed = "".join(f"print('SEEN {name}', os.environ.get('RECSWEEP_{name}'))\n" for name in names)
    outer.write_text(f'include: "{ROOT / "Snakefile"}"\n\n{printed}', encoding="utf-8")
    given = {"MAX_EVALS": "1", "CONFIG": "config/smoke.yaml", "MODEL": "NARM", "MODELS": "FPMC"}
    given |= {"STORAGE": f"sqlite:///{tmp_path}/a.db", "OUTPUTS": str(tmp_path)}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RECSWEEP_")}
    done = subprocess.run(
        [ROOT / ".venv/bin/snakemake", "-n", "--snakefile", outer, "--directory", ROOT, "--nolock"],
        cwd=ROOT,
        env={**environment, **{f"RECSWEEP_{name}": value for name, value in given.items()}},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    seen = dict(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("SEEN "))
    assert seen == {**{name: given[name] for name in names}, "MODEL": "None"}
