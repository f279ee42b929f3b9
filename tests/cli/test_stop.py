"""`recsweep stop` needs nothing but the store; `tune` and `open` go on after it, and a worker does not."""

from __future__ import annotations

import dataclasses
import shutil
import sys

import pytest

from helpers.phased import fill, workspace
from recsweep.cli import main
from recsweep.common.owner import this_process
from recsweep.running.supervisor import Supervisor
from recsweep.study import Store, raise_flag, standing

NAME = "s/toy/NARM/full"


@pytest.fixture
def plan(tmp_path, empty_store):
    plan = workspace(tmp_path).plan()
    (tmp_path / "outputs").mkdir()
    shutil.copy(empty_store, tmp_path / "outputs" / "recsweep.db")
    return plan


@pytest.fixture
def study(plan):
    """A study with one result of four; one of its trials runs in this process."""
    store = Store(plan.storage_url)
    fill(plan, store, [0.1])
    study = store.find_study(plan.name)
    study.claim(plan.budget, this_process())
    yield study
    store.close()


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder; its exit code and what it said."""
    (tmp_path / "empty").mkdir()

    def run(*words):
        monkeypatch.chdir(tmp_path / "empty")
        monkeypatch.setattr(sys, "argv", ["recsweep", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out.splitlines(), said.err.splitlines()

    return run


def test_a_study_is_stopped_by_its_name(plan, study, call):
    url = str(plan.storage_url)
    assert call("stop", NAME, "--storage", url) == (
        *(0, [f"{NAME}: 1 trial runs to its end, no other begins; 2 slots wait"]),
        [],
    )
    flag = standing(study)
    assert (flag.now, flag.everything) == (False, False)
    _, out, _ = call("stop", NAME, "--now", "--storage", url)
    assert out == [
        f"{NAME}: 1 trial runs to the end of its epoch, and its slot goes back, no other begins; 2 slots wait"
    ]
    assert standing(study).now


def test_all_means_what_is_being_worked_on(plan, study, call, monkeypatch):
    other = dataclasses.replace(plan, study_name="idle")
    fill(other, study.store, [0.1])
    monkeypatch.setenv("RECSWEEP_STORAGE", str(plan.storage_url))
    code, out, _ = call("stop", "--all")
    assert (code, [line.partition(":")[0] for line in out]) == (0, [NAME])
    assert standing(study).everything
    study.put_back_owned(this_process(), "it is over")
    assert call("stop", "--all")[:2] == (0, ["no study is being worked on"])


def test_one_that_nobody_works_on_is_kept_from_workers(plan, study, call):
    study.put_back_owned(this_process(), "it is over")
    code, out, _ = call("stop", NAME, "--config", str(plan.folder / "sweep.yaml"))
    assert (code, out) == (0, [f"{NAME}: no trial runs, and no worker that joins begins one; 3 slots wait"])
    assert standing(study)


def test_a_complete_study_gets_no_flag(plan, study, call):
    study.put_back_owned(this_process(), "it is over")
    fill(plan, study.store, [0.1] * 3)
    _, out, _ = call("stop", NAME, "--storage", str(plan.storage_url))
    assert out == [f"{NAME}: no trial runs and none waits, there is nothing to stop"]
    assert standing(study) is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("s/toy/NARN/full",), f"STUDY: the store has no study s/toy/NARN/full; did you mean `{NAME}`?"),
        ((), "--all: no study is named; name one study, or give --all"),
        ((NAME, "--all"), "--all: stands beside the name of a study; name one study, or give --all"),
    ],
)
def test_what_is_to_stop_has_to_be_there(plan, study, call, words, line):
    code, _, err = call("stop", *words, "--storage", str(plan.storage_url))
    assert (code, err) == (2, [f"recsweep: {line}"])


def test_a_store_that_is_not_there_is_not_made(call, tmp_path):
    url = f"sqlite:///{tmp_path}/none.db"
    code, _, err = call("stop", "--all", "--storage", url)
    assert (code, err) == (
        2,
        [f"recsweep: --storage: there is no store at {url}; give the address of one that is"],
    )
    assert not (tmp_path / "none.db").exists()


def test_to_tune_or_to_open_is_to_go_on(plan, study, call, monkeypatch):
    config = ("--config", str(plan.folder / "sweep.yaml"))
    seen = []
    monkeypatch.setattr(Supervisor, "run_study", lambda self, *given, **how: seen.append(standing(study)))
    for words in (("tune", "--dry-run"), ("tune",), ("open",)):
        flag = raise_flag(study, now=False)
        _, _, err = call(*words, *config)
        went_on = "toy/NARM: was stopped by `recsweep stop`, and goes on" in err
        assert went_on == ("--dry-run" not in words)
        assert standing(study) == (None if went_on else flag)
    assert seen == [None]


def test_a_worker_that_joins_does_not_go_on(plan, study, call):
    flag = raise_flag(study, now=False)
    code, _, err = call("worker", "--config", str(plan.folder / "sweep.yaml"))
    assert code == 3
    assert err[-1].startswith("recsweep: toy/NARM: stopped, as `recsweep stop` asked at ")
    assert standing(study) == flag


@pytest.mark.parametrize("command", ["tune", "open", "worker"])
def test_jobs_of_one_snakemake_are_stopped_as_one_run(plan, study, call, monkeypatch, command):
    """None of them takes back what was asked of another; Snakemake itself does, when it begins."""
    monkeypatch.setenv("RECSWEEP_TYPED", "snakemake --cores 1")
    monkeypatch.setattr(Supervisor, "run_study", lambda self, *given, **how: pytest.fail("begun"))
    flag = raise_flag(study, now=False, everything=True)
    code, _, err = call(command, "--config", str(plan.folder / "sweep.yaml"))
    said = f"not begun, as `recsweep stop --all` asked at {flag.at} on {flag.by}; no trial is lost, and "
    assert (code, err[-1]) == (3, f"recsweep: {said}running the same command again goes on")
    assert standing(study) == flag


def test_a_job_of_snakemake_leaves_a_flag_where_it_is(plan, study, call, monkeypatch):
    monkeypatch.setenv("RECSWEEP_TYPED", "snakemake --cores 1")
    flag = raise_flag(study, now=False)
    assert call("open", "--config", str(plan.folder / "sweep.yaml"))[0] == 0
    assert standing(study) == flag
