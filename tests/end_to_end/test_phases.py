"""Phases, jobs of a study, models searched as one, several objectives, known good starts: for real."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from recsweep.study import Store
from running import LIMIT_SECONDS, ROOT, Folder, make, tune_options

RESULTS = "results/smoke/ml-100k-small"


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


PHASES = ("coarse", "architecture", "training")


def assert_a_chain(outputs: Path) -> None:
    """The phases of GRU4Rec, with three trials: each starts from the one before, and has its part of them."""
    model = outputs / RESULTS / "GRU4Rec"
    coarse, architecture, training = (
        read(model / part / "best_result.yaml") for part in ("coarse", "architecture", ".")
    )
    assert coarse["score"] <= architecture["score"] <= training["score"]
    assert [part["budget"]["counted"] for part in (coarse, architecture, training)] == [1, 1, 1]
    assert architecture["budget"]["inherited"] == training["budget"]["inherited"] == 1
    # Each phase leaves alone what it does not search.
    assert architecture["search"]["searched"] == ["num_layers", "embedding_size", "hidden_size"]
    for name in ("learning_rate", "dropout_prob"):
        assert architecture["parameters"][name] == coarse["parameters"][name]
    for name in architecture["search"]["searched"]:
        assert training["parameters"][name] == architecture["parameters"][name]
    assert [part["test"] is None for part in (coarse, architecture, training)] == [True, True, False]
    assert "Every model had the same budget: 3 trials." in (outputs / "results/smoke/summary.md").read_text()


def test_phases_run_from_one_command_and_the_last_is_never_worse(folder: Folder) -> None:
    options = (*tune_options(3, models="GRU4Rec"), "--phases", " ".join(PHASES))
    done = folder.run("tune", *options)
    assert done.returncode == 0, done.stderr
    assert_a_chain(folder.outputs)


def test_phases_are_jobs_of_snakemake_one_after_the_other(tmp_path: Path) -> None:
    settings = ("sweep_file=config/smoke.yaml", "max_evals=3", "models=GRU4Rec", f"outputs={tmp_path}")
    phases = f"phases={' '.join(PHASES)}"
    done = subprocess.run(
        [ROOT / ".venv/bin/snakemake", "-n", "--nolock", "--quiet", "host", "--config", *settings, phases],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    jobs = dict(re.findall(r"input: (.*)\n    output: (\S+/best_result\.yaml)", done.stdout))
    waits_for = {Path(output).parent.name: given for given, output in jobs.items()}
    assert waits_for.keys() == {"coarse", "architecture", "GRU4Rec"}
    assert "best_params.json" not in waits_for["coarse"]
    assert f"{RESULTS}/GRU4Rec/coarse/best_params.json" in waits_for["architecture"]
    assert f"{RESULTS}/GRU4Rec/architecture/best_params.json" in waits_for["GRU4Rec"]


@pytest.mark.long
def test_phases_run_by_snakemake(tmp_path: Path) -> None:
    settings = (
        "TUNABLE_MODELS=GRU4Rec",
        f"PHASES={' '.join(PHASES)}",
        "MAX_EVALS=3",
        "EPOCHS=1",
        "COOLDOWN=0",
        f"OUTPUTS={tmp_path}",
    )
    done = make("tune-smoke", *settings)
    assert done.returncode == 0, done.stderr
    assert_a_chain(tmp_path)
    again = make("tune-smoke", *settings)
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stderr


@pytest.mark.long
def test_snakemake_starts_several_jobs_for_a_study(tmp_path: Path) -> None:
    settings = ("TUNABLE_MODELS=FPMC", "MAX_EVALS=4", "EPOCHS=1", "COOLDOWN=0", f"OUTPUTS={tmp_path}")
    done = make("tune-smoke", *settings, "WORKERS_PER_STUDY=2", "CORES=2")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "logs/smoke/work/ml-100k-small/FPMC").glob("*.log")) == [
        "full.0.log",
        "full.1.log",
    ]
    store = Store(f"sqlite:///{tmp_path}/recsweep.db")
    trials = store.find_study("smoke/ml-100k-small/FPMC/full").trials()
    store.close()
    assert sorted(trial.slot for trial in trials) == list(range(4))
    assert "all 4 trials are in the store, nothing to train" in done.stderr, "the last job only closed it"


def test_models_are_searched_as_one(folder: Folder) -> None:
    (folder.path / "config/models/Two.yaml").write_text("model_variants: [FPMC, STAMP]\n")
    done = folder.run("tune", *tune_options(5, models="Two"), "--engine", "optuna")
    assert done.returncode == 0, done.stderr
    best = read(folder.outputs / RESULTS / "Two/best_result.yaml")
    assert best["study"] == "smoke/ml-100k-small/Two/full_with_model"
    model = best["parameters"]["model"]
    assert all(name == "model" or name.startswith(f"{model}.") for name in best["parameters"])
    config = read(folder.outputs / RESULTS / "Two/best_config.yaml")
    assert config["model"] == model
    assert config["learning_rate"] == best["parameters"][f"{model}.learning_rate"]
    trained = folder.run("train", "--config", str(folder.outputs / RESULTS / "Two/best_config.yaml"))
    assert trained.returncode == 0, trained.stderr
    rows = list(csv.DictReader((folder.outputs / RESULTS / "Two/trials.csv").open()))
    assert [row["model"] for row in rows][:2] == ["FPMC", "STAMP"], "each model's defaults come first"


def test_several_objectives_end_in_a_pareto_front(folder: Folder) -> None:
    folder.edit(
        "smoke.yaml",
        search__engine="optuna",
        search__algo="nsga2",
        evaluation__objectives=["NDCG@10", "ItemCoverage@10"],
    )
    done = folder.run("tune", *tune_options(5))
    assert done.returncode == 0, done.stderr
    study = folder.outputs / RESULTS / "FPMC"
    results = json.loads((study / "study_results.json").read_text())
    front = results["pareto_front"]
    assert front
    assert results["best_trial"] in front
    points = {trial["trial"]: list(trial["objectives"].values()) for trial in results["trials"]}
    for slot in front:
        beaten = [p for p in points.values() if p != points[slot] and all(map(float.__ge__, p, points[slot]))]
        assert not beaten
    assert len((study / "pareto.md").read_text().splitlines()) >= len(front)


@pytest.mark.long
def test_known_good_configurations_come_first_and_finished_studies_take_more(folder: Folder) -> None:
    good = {"learning_rate": 0.005, "embedding_size": 32, "weight_decay": 0.0}
    (folder.path / "good.json").write_text(json.dumps(good))
    first = folder.run("tune", *tune_options(3), "--model", "FPMC", "--warm-start", "good.json")
    assert first.returncode == 0, first.stderr
    trials = {trial.slot: trial for trial in folder.trials("smoke/ml-100k-small/FPMC/full")}
    assert trials[1].params == good
    more = folder.run("tune", *tune_options(3), "--model", "FPMC", "--warm-start", "good.json", "--more", "2")
    assert more.returncode == 0, more.stderr
    counted = [t.slot for t in folder.trials("smoke/ml-100k-small/FPMC/full") if t.counted]
    assert sorted(counted) == list(range(5))
    assert read(folder.outputs / RESULTS / "FPMC/best_result.yaml")["budget"]["counted"] == 5
    best = str(folder.outputs / RESULTS / "*" / "best_params.json")
    named = folder.run(
        "tune", *tune_options(1), "--model", "FPMC", "--best-params", best, "--study-name", "mine"
    )
    assert named.returncode == 0, named.stderr
    (trial,) = folder.trials("mine")
    found = json.loads((folder.outputs / RESULTS / "FPMC/best_params.json").read_text())
    assert trial.params == found


def test_a_limit_ends_a_study_and_is_said_in_the_result(folder: Folder) -> None:
    options = (*tune_options(30), "--no-improvement-after", "3")
    done = folder.run("tune", *options)
    assert done.returncode == 0, done.stderr
    assert "ended by no_improvement_after=3: no better trial since trial" in done.stderr
    best = read(folder.outputs / RESULTS / "FPMC/best_result.yaml")
    assert best["budget"]["ended_by"].startswith("no_improvement_after=3")
    assert best["budget"]["counted"] < 30
    assert best["test"] is not None
    again = folder.run("tune", *options)
    assert again.returncode == 0, again.stderr
    assert "nothing to train" in again.stderr


@pytest.mark.long
def test_a_pruned_trial_is_a_result_with_its_reason(folder: Folder) -> None:
    folder.edit("smoke.yaml", pruning__warmup_epochs=1, pruning__min_trials=2, training__stopping_step=20)
    done = folder.run("tune", *tune_options(8, epochs=8), "--pruner", "median")
    assert done.returncode == 0, done.stderr
    assert "pruned at epoch" in done.stderr
    rows = list(csv.DictReader((folder.outputs / RESULTS / "FPMC/trials.csv").open()))
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    assert all(
        row["reason"].startswith("pruned: at epoch ") and "< median" in row["reason"] for row in pruned
    )
    assert all(int(row["epochs"]) < 8 for row in pruned)
    assert rows[0]["state"] == "complete", "the defaults are never pruned"
    best = read(folder.outputs / RESULTS / "FPMC/best_result.yaml")
    assert best["budget"]["pruned"] == len(pruned)
