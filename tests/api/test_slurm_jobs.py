"""Studies as jobs of SLURM; the real one is asked in end_to_end/test_slurm.py."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from helpers.workspace import SWEEP, make_workspace
from recsweep.api import slurm_jobs
from recsweep.common.errors import UserError

STAND_IN = """\
#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    kept = {{n: os.environ[n] for n in os.environ if n.startswith("RECSWEEP_")}}
    print(json.dumps([sys.argv[1:], sys.stdin.read(), kept]), file=log)
print({answer!r}.format(number=sum(1 for _ in open({log!r}))))
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    made = make_workspace(tmp_path, SWEEP + "resources: {cpus: 2, mem_gib: 3, minutes: 50}\n")
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Stand-ins for `sbatch` and `sinfo`, and what `sbatch` was given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "jobs"

    def make(name, answer, log):
        program = folder / name
        program.write_text(STAND_IN.format(python=sys.executable, log=str(log), answer=answer))
        program.chmod(0o755)

    make("sbatch", "{number};here", log)
    make("sinfo", "main* 1:00:00 (null)\nlong 2-00:00:00 gpu:a100:4(S:0-1)", tmp_path / "asked")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def recsweep(*words, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "recsweep", *words],
        env={**os.environ, **{f"RECSWEEP_{name}": value for name, value in environment.items()}},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_job_asks_for_the_resources_of_its_study(workspace):
    plan = workspace.plan(device="cpu")
    job = slurm_jobs.workers_of(plan, 4, ["recsweep", "worker"])
    assert {"--cpus-per-task=2", "--mem=3072M", "--time=50", "--array=1-4", "--requeue"} < set(job.options)
    assert not any("gres" in option for option in job.options)
    workspace.model.write_text(workspace.model.read_text() + "resources: {gpus: 2}\n")
    assert "--gres=gpu:2" in slurm_jobs.workers_of(workspace.plan(), 4, ["recsweep"]).options


def test_no_word_of_a_script_is_read_as_anything_else(workspace):
    words = ["recsweep", "worker", "--config=a b'; touch x; '.yaml", "$(touch y)"]
    script = slurm_jobs.workers_of(workspace.plan(), 1, words).script
    line = next(line for line in script.splitlines() if "worker" in line)
    assert shlex.split(line) == [*words, "&"]
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


@pytest.mark.parametrize(
    ("send", "code", "requeued"),
    [("USR1", 3, True), ("USR1", 0, False), ("TERM", 130, False), ("", 2, False)],
)
def test_only_a_job_that_ran_out_of_time_is_queued_again(tmp_path, workspace, send, code, requeued):
    work = (
        f"trap 'exit {code}' USR1 TERM; echo up; sleep 5 >&- 2>&- & wait; exit {code}"
        if send
        else f"exit {code}"
    )
    script = slurm_jobs.closing_of(workspace.plan(), [["bash", "-c", work]]).script
    scontrol = "scontrol() { echo again $*; }\n"
    signalled = script.replace(
        "work=$!\n", f"work=$!\nsleep 0.3; kill -{send} $$ {'$work' * (send == 'TERM')}\n"
    )
    done = subprocess.run(
        ["bash"],
        input=scontrol + (signalled if send else script),
        capture_output=True,
        text=True,
        env={"SLURM_JOB_ID": "17", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == code
    assert ("again requeue 17" in done.stdout) is requeued


def test_a_sweep_is_opened_and_its_jobs_follow_each_other(workspace, slurm):
    workspace.model.write_text(workspace.model.read_text() + "phases: {coarse: [n_layers]}\n")
    code, out, err = recsweep(
        *("slurm", "--config", "sweep.yaml", "--tasks", "3", "--phases", "coarse full", "--device", "cpu"),
        *("--max-evals", "4", "--storage", "sqlite:///outputs/s.db"),
    )
    assert code == 0, err
    assert out.splitlines() == [
        "toy-sweep/toy/NARM/coarse: 2 of 2 trials to run",
        "SLURM job 1: 3 workers on toy-sweep/toy/NARM/coarse",
        "SLURM job 2: tests its winner and writes its files, after them",
        "SLURM job 3: 3 workers on toy-sweep/toy/NARM/full",
        "SLURM job 4: tests its winner and writes its files, after them",
    ]
    (first, script, given), (closing, last, _), (second, *_), _ = slurm()
    assert "--array=1-3" in first
    assert "--dependency=afterany:1" in closing
    assert "--dependency=afterok:2" in second
    assert "recsweep worker --config=sweep.yaml" in script
    assert "--storage" not in script + last
    assert given["RECSWEEP_STORAGE"] == "sqlite:///outputs/s.db"
    assert "TASKS" not in "".join(given)
    assert last.count("--phase=") == 2, "it opens the next phase"


def test_minutes_above_the_partitions_limit_are_refused(workspace, slurm):
    workspace.sweep.write_text(SWEEP + "resources: {minutes: 61}\n")
    code, _, err = recsweep("slurm", "--config", "sweep.yaml")
    assert code == 2
    assert "resources.minutes is 61, but SLURM's partition main ends jobs after 60; ask for less" in err


def test_the_partition_decides_on_gpus_where_nobody_has_said(workspace, slurm):
    usual = slurm_jobs.partition_of(dict(os.environ))
    assert usual == slurm_jobs.Partition("main", 3600.0, gpus=False)
    plan = workspace.plan()
    assert plan.resources.gpus == 1
    assert slurm_jobs.fitted(plan, usual).resources.gpus == 0
    assert slurm_jobs.fitted(plan, slurm_jobs.Partition("long", None, gpus=True)).resources.gpus == 1
    workspace.model.write_text(workspace.model.read_text() + "resources: {gpus: 1}\n")
    assert slurm_jobs.fitted(workspace.plan(), usual).resources.gpus == 1, "it was said"


def test_without_slurm_one_line_says_so():
    with pytest.raises(
        UserError, match="there is no `sinfo` on this machine; SLURM's commands are on its login"
    ):
        slurm_jobs.partition_of({"PATH": "/nowhere"})


def test_a_dry_run_shows_the_jobs_and_submits_none(workspace, slurm):
    code, out, _ = recsweep("slurm", "--config", "sweep.yaml", "--dry-run")
    assert code == 0
    assert out.startswith("sbatch --parsable --job-name=recsweep-NARM")
    assert not (workspace.root / "jobs").exists()
    assert not (workspace.root / "outputs").exists()
