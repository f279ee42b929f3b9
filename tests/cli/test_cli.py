"""Commands as a user types them, on studies whose trials came to their scores without training."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner

from helpers.phased import fill, workspace
from helpers.workspace import NARM, Workspace, make_workspace
from recsweep.api import sweep_run
from recsweep.cli import cli, main, tuning
from recsweep.common.errors import RecsweepError, StoreUnavailable, StudyPaused, UserError, disk_trouble
from recsweep.estimating.probe import Probe, Probes
from recsweep.planning.plan import StudyPlan
from recsweep.running.keeping import keeper_of
from recsweep.running.prober import Prober
from recsweep.running.supervisor import Supervisor
from recsweep.search.starts import begin, open_study
from recsweep.study import Store, best

STAMP = (
    "defaults: {embedding_size: 8}\nspace:\n  embedding_size: {type: choice, values: [8, 16]}\n"
    "phases: {coarse: [embedding_size]}\n"
)


@dataclass
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def call(monkeypatch, capsys, tmp_path) -> Callable[..., Said]:
    """Run a command on the sweep of this test."""

    def run(name: str, *options: str, config: Path | str = tmp_path / "sweep.yaml") -> Said:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["recsweep", name, "--config", str(config), *options])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def refused(call):
    """Run a command that ends with one line and exit code 2."""

    def run(*words: str) -> str:
        said = call(*words)
        assert said.code == 2, said
        assert said.out == ""
        (line,) = said.err.splitlines()
        return line.removeprefix("recsweep: ")

    return run


@pytest.fixture
def make(tmp_path, empty_store) -> Callable[..., Workspace]:
    """A sweep and an empty store of its own."""

    def new(search: str = "max_evals: 3", extra: str = "", store: bool = True) -> Workspace:
        space = workspace(tmp_path, search, extra)
        (tmp_path / "outputs").mkdir()
        if store:
            shutil.copy(empty_store, tmp_path / "outputs" / "recsweep.db")
        return space

    return new


def fill_in(plan: StudyPlan, *scores: float | None, tested: bool = True) -> None:
    """Trials of a study with these scores, begun as `recsweep tune` would, its winner tested."""
    store = Store(plan.storage_url)
    begun, origin = begin(plan, store)
    study = open_study(begun, store, origin=origin)
    fill(begun, store, scores, study=study)
    winner = best(study.results(), maximize=plan.maximize)
    if tested and winner is not None:
        study.set_attribute("test", {"trial_id": winner.id, "metrics": {"ndcg@10": 0.05}})
    store.close()


def two_models(space: Workspace) -> list[StudyPlan]:
    (space.root / "models" / "STAMP.yaml").write_text(STAMP)
    space.sweep.write_text(space.sweep.read_text().replace("[NARM]", "[NARM, STAMP]"))
    return space.plans()


# -- dry runs -------------------------------------------------------------------------------------


def test_a_dry_run_says_what_each_phase_would_train_and_makes_nothing(make, call, tmp_path):
    two_models(make("phases: [coarse, loss], max_evals: 9, engine: optuna", store=False))
    said = call("tune", "--dry-run")
    assert said.lines == [
        "toy/NARM/coarse: 5 of 5 trials to run",
        "toy/NARM/loss: 4 of 4 trials to run, from the best of coarse",
        "toy/STAMP: 9 of 9 trials to run",
        "3 studies, 18 trials to run with optuna/bayes, at most 300 epochs each",
    ]
    assert said.code == 0
    assert list((tmp_path / "outputs").iterdir()) == []


def test_a_dry_run_measures_once_how_long_a_sweep_takes(make, call, monkeypatch):
    two_models(make("max_evals: 9, engine: optuna", "training: {epochs: 5}\n"))
    asked = []

    def probes(self, plan, points, seconds):
        asked.append(plan.label)
        return Probes(2.0, 2**30, taken=tuple(Probe(one.name, {}, 1.0, 2.0, 0.5, 2) for one in points))

    monkeypatch.setattr(Prober, "probes", probes)
    for _ in range(2):
        said = call("tune", "--dry-run", "--estimate", "1", "--budget", "3m")
        narm, stamp, both, *rest = said.lines[3:]
        assert narm.startswith(
            "toy/NARM: about 1 min 44 s (1 min 29 s to 1 min 59 s), 1.0 GiB; 9 trials of 11 s"
        )
        # the worker that has tuned NARM starts no second time
        assert stamp.startswith("toy/STAMP: about 1 min 42 s")
        assert both.startswith("in all: about 3 min 26 s")
        assert [line.split("sweep.yaml ")[1] for line in rest if line.startswith("  recsweep tune")] == [
            "--max-evals 7",
            "--budget seconds --share 82",
        ]
    assert asked == ["toy/NARM", "toy/STAMP"]


def test_a_time_fits_a_dry_run_alone(make, refused):
    make()
    assert refused("tune", "--budget", "8h").startswith("--budget 8h: a time is for a dry run")


def test_a_dry_run_counts_what_is_in_the_store(make, call):
    narm, stamp = two_models(make("max_evals: 4", "pruning: {pruner: median}\n"))
    fill_in(narm, 0.1, None)
    fill_in(stamp, 0.1, 0.2, 0.3, 0.4)
    assert call("tune", "--dry-run").lines == [
        "toy/NARM: 2 of 4 trials to run",
        "toy/STAMP: 0 of 4 trials to run",
        "2 studies, 2 trials to run with hyperopt/bayes, pruned by median, at most 300 epochs each",
    ]
    assert call("tune", "--dry-run", "--max-evals", "6").lines[-1].startswith("2 studies, 6 trials to run")


def test_a_dry_run_counts_no_inherited_trial(make, call):
    coarse, loss = make("phases: [coarse, loss], max_evals: 9").plans()
    fill_in(coarse, *[0.1] * 5)
    assert call("tune", "--dry-run").lines[:2] == [
        "toy/NARM/coarse: 0 of 5 trials to run",
        "toy/NARM/loss: 4 of 4 trials to run, from the best of coarse",
    ]
    fill_in(loss, 0.1)
    assert "toy/NARM/loss: 3 of 4 trials to run" in call("tune", "--dry-run").out


def test_a_dry_run_knows_what_a_limit_has_ended(make, call):
    space = make("max_evals: 20, no_improvement_after: 2")
    fill_in(space.plan(), 0.3, 0.1, 0.1)
    assert call("tune", "--dry-run").lines[0] == "toy/NARM: 0 of 20 trials to run"
    assert (
        call("tune", "--dry-run", "--no-improvement-after", "3").lines[0]
        == "toy/NARM: 17 of 20 trials to run"
    )


def test_a_phase_that_is_not_listed_is_searched_with_the_whole_budget(make, call):
    make("max_evals: 9")
    assert call("tune", "--dry-run", "--phase", "loss").lines[0] == "toy/NARM: 9 of 9 trials to run"


# -- more -----------------------------------------------------------------------------------------


def test_more_adds_to_a_study_that_is_complete(make, call):
    fill_in(make().plan(), 0.1, 0.2, 0.3)
    said = call("tune", "--dry-run", "--more", "4")
    assert said.lines[0] == "toy/NARM: 4 of 7 trials to run"


def test_more_adds_to_what_is_there_and_not_to_max_evals(make, call):
    space = make("max_evals: 5")
    fill_in(space.plan(), *[0.1] * 5)
    said = call("tune", "--dry-run", "--more", "2", "--max-evals", "3")
    assert said.lines[0] == "toy/NARM: 2 of 7 trials to run"


def test_more_is_refused_where_every_configuration_is_there(make, refused):
    space = make("max_evals: 30, noise: false")
    space.model.write_text(NARM)
    plan = space.plan()
    assert (plan.budget, plan.how) == (2, "hyperopt/bayes, all 2 configurations")
    fill_in(plan, 0.1, 0.2)
    assert refused("tune", "--more", "4") == (
        "toy/NARM: --more 4 adds nothing, as all 2 configurations of its space are there; widen the space, "
        "or set search.noise: true to train some on other seeds"
    )


def test_more_is_refused_while_trials_are_to_run(make, refused):
    space = make()
    wanted = (
        "toy/NARM: --more 4 adds to a complete study, but of 3 trials some are to run; "
        "run `recsweep tune` with --max-evals 3 first"
    )
    assert refused("tune", "--more", "4") == wanted, "none has run"
    fill_in(space.plan(), 0.1)
    assert refused("tune", "--more", "4") == wanted
    assert refused("tune", "--dry-run", "--more", "4") == wanted


def test_an_interrupted_more_is_refused_again_and_says_how_to_go_on(make, refused, call):
    space = make()
    fill_in(space.plan(), 0.1, 0.2, 0.3)
    fill_in(dataclasses.replace(space.plan(), slots=7), 0.1)
    assert refused("tune", "--more", "4").endswith("run `recsweep tune` with --max-evals 7 first")
    assert call("tune", "--dry-run", "--max-evals", "7").lines[0] == "toy/NARM: 3 of 7 trials to run"


def filling(monkeypatch, *batches: int) -> None:
    """Let `tune` fill so many slots each time a study is run; Ctrl-C ends the run while any is open."""
    left = list(batches)

    def run_study(self, plan, *arguments, **options):
        store = Store(plan.storage_url)
        study = open_study(plan, store)
        count = left.pop(0)
        fill(plan, store, [0.1] * count, study=study)
        still = study.ensure_slots(plan.budget)
        winner = best(study.results(), maximize=plan.maximize)
        study.set_attribute("test", {"trial_id": winner.id, "metrics": {"ndcg@10": 0.05}})
        store.close()
        if still:
            raise KeyboardInterrupt

    monkeypatch.setattr(Supervisor, "run_study", run_study)


def test_more_is_repeated_until_its_trials_are_there_and_adds_nothing_twice(make, call, monkeypatch):
    plan = make().plan()
    fill_in(plan, 0.1, 0.2, 0.3)
    filling(monkeypatch, 2, 3, 1, 4)
    expected = [("5 of 9 trials done and 4 to run", 130), ("8 of 9 trials done and 1 to run", 130)]
    for text, code in expected:
        said = call("tune", "--model", "NARM", "--more", "6")
        assert said.code == code
        last = said.err.splitlines()[-1]
        assert last.startswith(f"recsweep: stopped; {text}, what there is stands in ")
        assert last.endswith("no trial is lost; go on with: " + last.partition("go on with: ")[2])
        assert shlex.split(last.partition("go on with: ")[2])[1:] == typed("--model", "NARM", "--more", "6")
    assert plan.outputs.summary("md").is_file()
    assert call("tune", "--dry-run", "--more", "6").lines[0] == "toy/NARM: 1 of 9 trials to run"
    other = call("tune", "--more", "4")
    assert (other.code, "run that command first" in other.err) == (2, True)
    assert call("tune", "--model", "NARM", "--more", "6").code == 0
    assert call("tune", "--dry-run", "--more", "4").lines[0] == "toy/NARM: 4 of 13 trials to run"
    assert call("tune", "--model", "NARM", "--more", "4").code == 0, "all there: the next one adds as many"


def typed(*options: str) -> list[str]:
    return ["tune", "--config", str(Path.cwd() / "sweep.yaml"), *options]


def test_more_of_several_studies_goes_on_where_it_was_interrupted(make, call, monkeypatch):
    narm, stamp = two_models(make())
    for plan in (narm, stamp):
        fill_in(plan, 0.1, 0.2, 0.3)
    filling(monkeypatch, 2, 1, 0, 1)
    said = call("tune", "--more", "2")
    assert (said.code, "9 of 10 trials done and 1 to run (toy/STAMP)" in said.err) == (130, True)
    assert call("tune", "--dry-run", "--more", "2").lines[:2] == [
        "toy/NARM: 0 of 5 trials to run",
        "toy/STAMP: 1 of 5 trials to run",
    ]
    assert call("tune", "--more", "2").code == 0, "the first one is complete, and gets nothing twice"
    assert call("tune", "--dry-run", "--more", "2").lines[0] == "toy/NARM: 2 of 7 trials to run"


def test_more_of_a_grid_is_refused(make, refused):
    make()
    assert refused("tune", "--more", "4", "--algo", "exhaustive") == (
        "toy/NARM: --more adds nothing to an exhaustive search; widen the space instead"
    )


# -- one study ------------------------------------------------------------------------------------


def test_a_name_for_several_studies_is_refused(make, refused):
    two_models(make("phases: [coarse, full], max_evals: 4"))
    assert refused("tune", "--study-name", "mine") == (
        "--study-name mine: a name is for one study, but 4 were asked for; "
        "name one with --dataset, --model and --phase"
    )
    assert "but 2 were asked for" in refused(
        "tune", "--study-name", "mine", "--model", "NARM", "--dataset", "toy"
    )


def test_a_study_under_another_name_stands_apart_from_its_own(make, call):
    space = make()
    fill_in(space.plan(), 0.1, 0.2, 0.3)
    assert call("tune", "--dry-run", "--study-name", "mine").lines[0] == "toy/NARM: 3 of 3 trials to run"
    said = call("open", "--study-name", "mine")
    assert said.lines == ["mine: 3 of 3 trials to run"]
    store = Store(space.plan().storage_url)
    assert sorted(store.names()) == ["mine", "s/toy/NARM/full"]
    store.close()


def test_a_phase_that_no_study_has_is_refused_with_the_nearest(make, refused):
    two_models(make("phases: [coarse, loss], max_evals: 4"))
    assert refused("tune", "--phase", "loss", "--model", "STAMP", "--dataset", "toy") == (
        "--phase: no study has the phase loss; use one of coarse"
    )
    assert refused("tune", "--phase", "coarze").startswith("--phases: must be one of full, coarse, ")
    assert refused("tune", "--phase", "coarze").endswith("did you mean `coarse`?")


def test_a_model_without_the_phase_is_refused_in_its_file(make, refused, tmp_path):
    make()
    assert refused("tune", "--phase", "training") == (
        f"{tmp_path}/models/NARM.yaml:8:3: NARM has none of the phases training; "
        "add one to `phases` of the model, or search the phase full"
    )


# -- open and worker ------------------------------------------------------------------------------


def test_opening_puts_slots_into_the_store_and_trains_nothing(make, call):
    space = make("phases: [coarse, loss], max_evals: 9")
    coarse, loss = space.plans()
    said = call("open", "--phase", "coarse")
    assert (said.code, said.lines) == (0, ["s/toy/NARM/coarse: 5 of 5 trials to run"])
    assert call("open", "--phase", "coarse").lines == said.lines, "again, and nothing changes"
    fill_in(coarse, *[0.1] * 5)
    assert call("open").lines == [
        "s/toy/NARM/coarse: 0 of 5 trials to run",
        "s/toy/NARM/loss: 4 of 4 trials to run",
    ]
    store = Store(loss.storage_url)
    states = [trial.state for trial in store.find_study(loss.name).trials()]
    store.close()
    assert states == ["complete", *["waiting"] * 4]


def test_a_phase_is_not_opened_before_the_one_before_it_is_complete(make, refused):
    make("phases: [coarse, loss], max_evals: 9")
    assert refused("open", "--phase", "loss") == (
        "toy/NARM/loss: starts from the best of the phase coarse, which is not in the store; "
        "run `recsweep tune` with --phase coarse first, or give a file with --best-params"
    )


def test_a_worker_refuses_what_was_not_opened(make, refused):
    make()
    assert refused("worker") == (
        "study s/toy/NARM/full is not in the store; a worker joins a sweep that was opened; "
        "start it with `recsweep tune`, or open it with `recsweep open`"
    )
    assert refused("worker", "--study", "s/toy/NARM/ful") == (
        "--study: the sweep has no study s/toy/NARM/ful; did you mean `s/toy/NARM/full`?"
    )


def test_a_worker_refuses_another_definition(make, refused, call):
    space = make()
    fill_in(space.plan(), 0.1)
    assert refused("worker", "--epochs", "3").startswith(
        "study s/toy/NARM/full has trials of another definition; training.epochs: 300 -> 3; "
    )


def test_a_worker_of_several_studies_leaves_out_what_is_not_open_yet(make, call):
    narm, _ = two_models(make())
    fill_in(narm, 0.1, 0.2, 0.3)
    said = call("worker")
    assert said.code == 0
    assert said.err.splitlines() == [
        "study 1/2 toy/NARM: all 3 trials are in the store, nothing to train",
        "toy/STAMP: not open yet",
    ]


def test_a_worker_joins_a_study_with_the_start_of_its_opening(make, call, tmp_path):
    """It is not told of the file, and may be on a machine that does not have it."""
    space = make()
    (tmp_path / "best.json").write_text(json.dumps({"n_layers": 2}))
    assert call("open", "--best-params", "best.json").lines == ["s/toy/NARM/full: 3 of 3 trials to run"]
    store = Store(space.plan().storage_url)
    begun, _ = begin(space.plan(), store, str(tmp_path / "best.json"))
    fill(begun, store, [0.1, 0.2, 0.3])
    store.close()
    (tmp_path / "best.json").unlink()
    said = call("worker")
    assert (said.code, said.err) == (
        0,
        "study 1/1 toy/NARM: all 3 trials are in the store, nothing to train\n",
    )


# -- what a study came to -------------------------------------------------------------------------


def test_a_complete_study_is_told_with_its_files_and_the_summary(make, call, tmp_path):
    fill_in(make().plan(), 0.1, 0.3, 0.2)
    said = call("tune")
    assert said.code == 0
    assert said.err.splitlines() == [
        "study 1/1 toy/NARM: all 3 trials are in the store, nothing to train",
        "toy/NARM: best NDCG@10 0.3000 on validation, 0.0500 on test, trial 1 of 3: "
        "n_layers 1, hidden_size 64, loss_type CE",
        f"train with it: recsweep train --config {tmp_path}/outputs/results/s/toy/NARM/best_config.yaml",
    ]
    assert "| toy | **NARM** | 0.3000 | 0.0500 | 3 | 1 |" in said.out
    assert (tmp_path / "outputs/results/s/summary.tex").is_file()
    assert call("tune", "--model", "NARM", "--dataset", "toy").out == "", "a part is no summary"


def test_each_run_continues_the_log_of_the_sweep(make, call, tmp_path):
    plan = make().plan()
    fill_in(plan, 0.1, 0.3, 0.2)
    for _ in range(2):
        call("tune", "--log", "own.log")
    log = plan.outputs.tune_log.read_text()
    assert log == (tmp_path / "own.log").read_text()
    assert log.count("recsweep tune begins as process") == 2
    assert log.count("best NDCG@10 0.3000 on validation") == 2
    folder = call("tune", "--log", str(tmp_path))
    assert (folder.code, len(folder.err.splitlines())) == (2, 1)


def test_a_study_that_a_limit_ended_is_told_so(make, call, tmp_path):
    fill_in(make("max_evals: 20, no_improvement_after: 2").plan(), 0.3, 0.1, 0.1)
    said = call("tune")
    reason = "no_improvement_after=2: no better trial since trial 0"
    assert said.err.splitlines()[:2] == [
        "study 1/1 toy/NARM: 3 of 20 trials are in the store, nothing to train",
        f"toy/NARM: ended by {reason}",
    ]
    assert f"toy/NARM was ended by {reason}." in said.out
    best_result = yaml.safe_load((tmp_path / "outputs/results/s/toy/NARM/best_result.yaml").read_text())
    assert best_result["budget"]["ended_by"] == reason


def test_a_study_in_which_no_trial_could_start_pauses_the_sweep(make, call):
    narm, _ = two_models(make(extra="timeout_minutes: 0.0000001\n"))
    fill_in(narm, 0.1, 0.2, 0.3)
    said = call("tune")
    assert said.code == 3
    last = re.sub(r"\d+\.\d minutes", "0.0 minutes", said.err.splitlines()[-1])  # on a busy machine
    assert last == (
        "recsweep: toy/STAMP: no trial has run; timeout_minutes=1e-07: trials of the sweep ran for "
        "0.0 minutes; "
        "raise the limit and run the same command again"
    )
    assert call("summarize").code == 0, "the table of the others can be had"


# -- a study's trouble is not the sweep's ---------------------------------------------------------


def test_a_study_that_came_to_nothing_keeps_no_other_from_its_end(make, call, tmp_path):
    narm, stamp = two_models(make())
    fill_in(narm, None, None, None)
    fill_in(stamp, 0.1, 0.2, 0.3)
    said = call("tune")
    assert said.code == 1
    assert "toy/STAMP: best NDCG@10 0.3000 on validation, 0.0500 on test" in said.err
    assert "| toy | **STAMP** |" in said.out
    head, listed = said.err.splitlines()[-2:]
    assert head == "recsweep: 1 of 2 studies came to no end, the others did:"
    assert listed.startswith("  toy/NARM: all 3 trials failed; the loss is NaN; ")
    kept = listed.rsplit("; traceback in ", 1)[1]
    assert kept == str(narm.outputs.trouble("toy", "NARM"))
    assert "UserError: toy/NARM: all 3 trials failed" in Path(kept).read_text()
    assert "Traceback" not in said.err
    assert listed.strip() in narm.outputs.tune_log.read_text()


def in_study(monkeypatch, label: str, error: Exception) -> list[str]:
    """Let a study raise this; the studies that were run are noted."""
    real, ran = Supervisor.run_study, []

    def run_study(self, plan, *arguments, **options):
        ran.append(plan.label)
        if plan.label == label:
            raise error
        return real(self, plan, *arguments, **options)

    monkeypatch.setattr(Supervisor, "run_study", run_study)
    return ran


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RecsweepError("toy/NARM: the test of the winner failed; ValueError: x"), "the test of the winner"),
        (StudyPaused("toy/NARM: the first 3 trials all failed alike; x; y"), "the first 3 trials all failed"),
        (UserError("toy.inter cannot be read; it is gone; put it back"), "toy.inter cannot be read"),
        (FileNotFoundError(2, "No such file", "toy.inter"), "FileNotFoundError: [Errno 2] No such file"),
        (AssertionError("a bug"), "AssertionError: a bug"),
    ],
)
def test_trouble_in_one_study_is_kept_and_the_next_one_runs(make, call, monkeypatch, error, line):
    narm, stamp = two_models(make())
    fill_in(stamp, 0.1, 0.2, 0.3)
    error.add_note("In the worker:\nTraceback of the worker")
    ran = in_study(monkeypatch, "toy/NARM", error)
    said = call("tune")
    assert (said.code, ran) == (1, ["toy/NARM", "toy/STAMP"])
    listed = said.err.splitlines()[-1]
    assert listed.startswith(f"  toy/NARM: {line}")
    kept = narm.outputs.trouble("toy", "NARM").read_text()
    assert type(error).__name__ in kept
    assert "Traceback of the worker" in kept


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("the store is away; x; y"),
        disk_trouble(OSError(errno.ENOSPC, "full")),
        OSError(28, "full"),
    ],
)
def test_what_is_no_studys_fault_pauses_the_whole_sweep(make, call, monkeypatch, error):
    two_models(make())
    ran = in_study(monkeypatch, "toy/NARM", error)
    assert call("tune").code == 3
    assert ran == ["toy/NARM"]


def test_a_run_on_one_study_ends_with_its_own_code(make, call, monkeypatch):
    narm, _ = two_models(make())
    for error, code in ((StudyPaused("a; b; c"), 3), (UserError("a; b; c"), 2), (RecsweepError("a"), 1)):
        in_study(monkeypatch, narm.label, error)
        assert call("tune", "--model", "NARM").code == code
        assert narm.outputs.trouble("toy", "NARM").is_file() == (code == 1), "a line of ours says all"


def test_a_phase_without_a_start_is_left_out_and_said(make, call, monkeypatch):
    two_models(make("phases: [coarse, loss], max_evals: 4"))
    ran = in_study(monkeypatch, "toy/NARM/coarse", StudyPaused("toy/NARM/coarse: x; y; z"))
    monkeypatch.setattr(sweep_run, "write_and_tell", lambda *given: None)
    monkeypatch.setattr(Supervisor, "_search", lambda *given: None)
    said = call("tune")
    assert ran == ["toy/NARM/coarse", "toy/STAMP"]
    assert said.err.splitlines()[-3] == "recsweep: 2 of 3 studies came to no end, the others did:"
    assert said.err.splitlines()[-1] == "  toy/NARM/loss: left out, for it starts from the best of coarse"


def test_a_study_of_another_definition_is_refused_before_any_is_run(make, call, monkeypatch):
    _, stamp = two_models(make())
    fill_in(stamp, 0.1)
    (stamp.folder / "models" / "STAMP.yaml").write_text(STAMP.replace("[8, 16]", "[8, 16, 32]"))
    ran = in_study(monkeypatch, "", ValueError())
    said = call("tune")
    assert (said.code, ran) == (2, [])
    assert "study s/toy/STAMP/full has trials of another definition" in said.err


def test_a_study_in_which_every_trial_failed_says_why(make, call, tmp_path):
    fill_in(make().plan(), None, None, None)
    said = call("tune")
    assert said.code == 2
    assert said.err.splitlines()[-1] == (
        "recsweep: toy/NARM: all 3 trials failed; the loss is NaN; correct the cause, and pass "
        "--restart or a "
        f"new sweep name; see {tmp_path}/outputs/results/s/toy/NARM/trials.csv"
    )


def test_phases_are_told_in_order_and_the_last_is_tested(make, call, tmp_path):
    coarse, loss = make("phases: [coarse, loss], max_evals: 5").plans()
    fill_in(coarse, 0.1, 0.3, 0.2, tested=False)
    fill_in(loss, 0.1, 0.2)
    said = call("tune")
    assert said.code == 0
    assert "toy/NARM/coarse: best NDCG@10 0.3000 on validation, trial 1 of 3" in said.err
    assert "toy/NARM/loss: best NDCG@10 0.3000 on validation, 0.0500 on test, trial 0 of 3" in said.err
    folder = tmp_path / "outputs/results/s/toy/NARM"
    assert (folder / "coarse" / "best_params.json").is_file()
    assert yaml.safe_load((folder / "coarse" / "best_result.yaml").read_text())["test"] is None
    assert "| toy | **NARM** | 0.3000 | 0.0500 | 5 | 0 |" in said.out
    assert "Every model had the same budget: 5 trials." in said.out


def test_a_winner_started_from_a_file_is_evaluated_without_it(make, call, tmp_path):
    space = make()
    (tmp_path / "best.json").write_text(json.dumps({"n_layers": 2}))
    store = Store(space.plan().storage_url)
    begun, _ = begin(space.plan(), store, str(tmp_path / "best.json"))
    trials = fill(begun, store, [0.1, 0.3, 0.2])
    store.find_study(begun.name).set_attribute(
        "test", {"trial_id": trials[1].id, "metrics": {"ndcg@10": 0.05}}
    )
    store.close()
    said = call("evaluate")
    assert (said.code, said.lines) == (0, ["toy/NARM test ndcg@10 0.0500"])
    assert "n_layers 2" in said.err


def test_the_test_split_stays_unseen_until_a_study_is_closed(make, refused):
    fill_in(make().plan(), 0.1)
    assert refused("evaluate") == (
        "toy/NARM: 2 of 3 trials are still to run; the test split stays unseen until the study is closed; "
        "run `recsweep tune` first"
    )


def test_a_study_is_shown_with_the_budget_that_it_was_opened_with(make, call):
    space = make()
    fill_in(space.plan(), 0.1, 0.2, 0.3)
    before = call("summarize").out
    text = space.sweep.read_text()
    assert "max_evals: 3" in text
    space.sweep.write_text(text.replace("max_evals: 3", "max_evals: 9"))
    assert call("summarize").out == before


def test_a_summary_names_the_studies_that_are_not_there(make, call):
    narm, _ = two_models(make())
    fill_in(narm, 0.1, 0.2, 0.3)
    said = call("summarize")
    assert said.err == "1 of 2 studies is not in the store yet\n"
    assert "Every model has the same budget: 3 trials." in said.out
    assert "Not begun: toy/STAMP." in said.out


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("gone", "toy: the data is not there; "),
        ("other", "toy: the data has changed; "),
    ],
)
def test_what_was_found_is_shown_although_the_data_are_no_longer_there(make, call, how, said, monkeypatch):
    monkeypatch.setattr("recsweep.report.plots.write_study_plots", lambda result: None)
    space = make()
    plan = space.plan()
    fill_in(plan, 0.1, 0.3, 0.2)
    before = call("summarize")
    names = ("best_result.yaml", "trials.csv", "study_results.json")
    files = {name: (plan.outputs.study(*plan.folder_names) / name).read_bytes() for name in names}
    if how == "gone":
        shutil.rmtree(space.inter.parent)
    else:
        space.write_rows("1\t1\t1")
    after = call("summarize")
    assert (after.code, after.out) == (0, before.out)
    assert after.err == f"{said}what is shown was found on what was there when it was tuned\n"
    assert {name: (plan.outputs.study(*plan.folder_names) / name).read_bytes() for name in names} == files
    drawn = call("plots")
    assert (drawn.code, drawn.err) == (0, after.err)
    assert call("tune").code == 2, "to train is another matter"


def test_a_dry_run_takes_another_config_and_a_worker_does_not(make, call, refused):
    make()
    assert call("open").code == 0
    assert call("tune", "--dry-run", "--epochs", "3").lines[0] == "toy/NARM: 3 of 3 trials to run"
    assert refused("worker", "--epochs", "3").startswith("study s/toy/NARM/full has trials of another")
    assert call("open", "--epochs", "3").code == 0
    assert refused("worker").startswith("study s/toy/NARM/full has trials of another")


@pytest.mark.parametrize("command", [name for name, one in cli.commands.items() if "max_evals" in one.takes])
def test_a_mistake_in_an_option_is_one_line_of_every_command(make, refused, command):
    make()
    words = [command, *{"checkpoints": ["ls"], "recommend": ["--to", "lists.csv"]}.get(command, [])]
    assert refused(*words, "--max-evals", "many").startswith("--max-evals: must be a whole number")
    assert refused(*words, "--engine", "optunna").endswith("did you mean `optuna`?")
    assert refused(*words, "--models", "NRAM").startswith(
        "--models: unknown model `NRAM`; did you mean `NARM`?"
    )


@pytest.mark.parametrize("command", ["tune", "open", "worker", "plots", "summarize", "prepare", "evaluate"])
def test_a_missing_sweep_file_is_one_line_of_every_command(make, call, tmp_path, command):
    make()
    said = call(command, config=tmp_path / "sweeep.yaml")
    assert said.code == 2
    assert said.err == (
        f"recsweep: {tmp_path}/sweeep.yaml:1:1: there is no such file; use one of sweep.yaml, or create it\n"
    )


@pytest.mark.parametrize("command", ["tune", "open"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--best-params: there is no file best.json; give a best_params.json"),
        ({"layers": 1}, "best.json: NARM does not search `layers`; did you mean `n_layers`?"),
    ],
)
def test_a_file_to_start_from_that_does_not_fit_is_one_line(
    make, refused, tmp_path, command, content, message
):
    make()
    if content is not None:
        (tmp_path / "best.json").write_text(json.dumps(content))
    assert refused(command, "--best-params", "best.json") == message


def test_a_sweep_in_python_is_given_as_config_or_as_sweep(make, call, monkeypatch, capsys, tmp_path):
    make()
    (tmp_path / "mine.py").write_text(
        "from recsweep.sweeps.config import SweepConfig\n"
        'sweep = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",), search={"max_evals": 5})\n'
    )
    said = call("tune", "--dry-run", config="mine.py:sweep")
    assert said.lines[0] == "toy/NARM: 5 of 5 trials to run"
    monkeypatch.setattr(
        sys, "argv", ["recsweep", "tune", "--sweep", "mine.py:sweep", "--dry-run", "--n-trials", "2"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("toy/NARM: 2 of 2 trials to run")


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_what_only_looks_makes_no_store(make, call, tmp_path, kind):
    make(store=False)
    url = f"{kind}:///{tmp_path}/own.store"
    assert call("tune", "--dry-run", "--storage", url).lines[0] == "toy/NARM: 3 of 3 trials to run"
    assert call("summarize", "--storage", url).err == "1 of 1 study is not in the store yet\n"
    assert not (tmp_path / "own.store").exists()


@pytest.mark.parametrize("command", ["tune", "open", "worker", "summarize", "evaluate", "plots", "dashboard"])
def test_a_store_in_a_missing_folder_is_refused_and_not_made(make, refused, tmp_path, command):
    make(store=False)
    said = refused(command, "--storage", f"sqlite:///{tmp_path}/elsewhere/own.store")
    assert said == (
        f"--storage: there is no folder {tmp_path}/elsewhere; a store is not made in one that is missing; "
        "make the folder, or correct the path"
    )
    assert not (tmp_path / "elsewhere").exists()


def test_models_that_are_not_asked_for_need_no_files(tmp_path):
    workspace = make_workspace(tmp_path, sweep="sweep: s\nmodels: [NARM, GRU4Rec]\ndatasets: [toy]\n")
    done = CliRunner().invoke(
        cli, ["tune", "--dry-run", "--config", str(workspace.sweep), "--models", "NARM", "--model", "NARM"]
    )
    assert done.exit_code == 0, done.output
    assert "toy/NARM: 20 of 20 trials to run" in done.output


def test_a_worker_waits_for_the_next_phase_to_be_opened(tmp_path, monkeypatch):
    coarse, loss = workspace(tmp_path, "phases: [coarse, loss], max_evals: 4").plans()
    monkeypatch.setattr(tuning, "_POLL_SECONDS", 0.05)
    store, other = Store(coarse.storage_url), Store(coarse.storage_url)
    fill(coarse, store, [0.1, 0.2])

    def open_next() -> None:
        begun, origin = begin(loss, other)
        open_study(begun, other, origin=origin).ensure_slots(begun.budget)

    timer = threading.Timer(0.5, open_next)
    timer.start()
    begun = tuning._opened(loss, store, alone=False)
    assert begun is not None
    assert begun.inherits
    monkeypatch.setattr(tuning, "OPENING_SECONDS", 0.2)
    elsewhere = dataclasses.replace(loss, dataset_name="elsewhere")
    assert tuning._opened(elsewhere, store, alone=False) is None, "nothing of it was opened"
    timer.join()
    for one in (store, other):
        one.close()


@pytest.mark.parametrize("command", ["tune", "open", "prepare"])
def test_what_may_not_be_meant_in_the_data_is_said(make, call, monkeypatch, command):
    space = make()
    rows = space.inter.read_text(encoding="utf-8")
    space.inter.write_text(rows.replace("2\t4\t", "2\t4 \t"), encoding="utf-8")
    filling(monkeypatch, 3)
    monkeypatch.setattr("recsweep.datasets.prepare.prepare", prepared_without_work)
    said = call(command)
    assert said.code == 0, said
    remark = "toy: 1 id of `item_id` in toy.inter with spaces at an end or invisible characters, such as '4 '"
    (line,) = [line for line in (said.err + said.out).splitlines() if remark in line]
    if command == "tune":
        (log,) = space.root.rglob("tune.log")
        assert line in log.read_text(encoding="utf-8")


def prepared_without_work(*arguments, **others):
    from recsweep.datasets.prepare import Prepared

    return Prepared(SimpleNamespace(statistics={"users": 4}), "0" * 64, cached=False)


@pytest.mark.parametrize("command", ["tune", "open", "worker", "prepare"])
def test_every_command_that_reads_data_refuses_a_cut_off_above_the_items(make, refused, command):
    make().write_rows(*(f"{user}\t{user + n}\t{n}" for user in range(3) for n in range(5)))
    assert "the cut-off 10 is above the 7 items of toy; use 7 or less, or more items" in refused(command)


# -- checkpoints ----------------------------------------------------------------------------------


def leave_weights(plan: StudyPlan, slot: int) -> None:
    """Weights of a trial that were not sent."""
    keeper = keeper_of(plan)
    folder = keeper.weights(slot).folder
    folder.mkdir(parents=True)
    (folder / "best.pth").write_text("weights")
    keeper.keep_weights(keeper.described(slot, 0, 4, 0.2))


def test_checkpoints_are_listed_and_sent(make, call, tmp_path):
    depot = tmp_path / "depot"
    plan = make(extra=f"checkpoints: {{path: {depot}}}\n").plan()
    fill_in(plan, 0.1, 0.2, 0.15)
    leave_weights(plan, 1)
    (row,) = json.loads(call("checkpoints", "ls", "--json").out)
    assert {name: row[name] for name in ("study", "trial", "kind", "epoch", "score", "sent")} == {
        **{"study": plan.name, "trial": 1, "kind": "weights", "epoch": 4, "score": 0.2, "sent": "no"}
    }
    assert call("checkpoints", "sync") == Said(0, "all checkpoints are at their place\n", "")
    assert [path.name for path in sorted(depot.rglob("*.*"))] == ["best.pth", "manifest.json"]
    listed = call("checkpoints", "ls").out
    assert "yes" in listed
    assert plan.name in listed


def test_no_checkpoints_are_said_to_be_none(make, call, refused):
    make()
    assert call("checkpoints", "ls") == Said(0, "", "no checkpoints are on this machine\n")
    assert refused("checkpoints", "sync").startswith("checkpoints are sent nowhere")


def test_a_bucket_without_its_package_is_one_line_with_the_command(make, refused, monkeypatch, tmp_path):
    monkeypatch.setattr("recsweep.api.slots.missing_package", lambda depot: "s3fs")
    make(extra="checkpoints: {path: s3://mine/x}\n")
    line = f"{tmp_path / 'sweep.yaml'}:6:21: checkpoints at s3://mine/x need s3fs, which is not installed; "
    assert refused("tune") == f"{line}run `make setup-buckets`"
    assert refused("tune", "--checkpoints", "s3://mine/y").startswith(
        "--checkpoints: checkpoints at s3://mine/y"
    )


# -- what the data are ----------------------------------------------------------------------------


def test_doctor_describes_the_data_and_says_which_split_fits(make, call):
    make(store=False)
    said = call("doctor", "--data")
    assert said.code == 0
    assert said.lines[0] == "toy: 24 interactions of 4 users with 15 items"
    assert any(line.startswith("  * leave-one-out by time ") for line in said.lines)
    assert "  what fits it: leave-one-out by time, as its file has it" in said.lines
    (found,) = json.loads(call("doctor", "--data", "toy", "--json").out)
    assert (found["dataset"], found["users"], found["lengths"]["0.5"]) == ("toy", 4, 6.0)
    assert found["splits"][found["split"]]["test"] == 4
    assert found["fits"]["split"]["type"] == "leave_one_out"


def test_doctor_refuses_names_and_json_without_data(refused, make):
    make(store=False)
    assert (
        refused("doctor", "toy") == "toy: has no effect on `recsweep doctor` without `--data`; add `--data`"
    )
    assert refused("doctor", "--json").startswith("--json: has no effect")
