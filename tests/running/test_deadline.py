"""When a scheduler ends the job that this process is part of."""

from __future__ import annotations

import io
import time

import pytest

from helpers.phased import fill, workspace
from helpers.thread_workers import ThreadWorkers
from recsweep.common.errors import TimeIsUp
from recsweep.common.interrupts import AskedToLeave, EndIsNear
from recsweep.running import deadline as module
from recsweep.running.crew import GRACE_SECONDS
from recsweep.running.deadline import Deadline, seconds_of
from recsweep.running.progress import Display
from recsweep.running.study_run import StudyRun
from recsweep.running.supervisor import Supervisor

JOB = {"SLURM_JOB_ID": "17"}


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Make a `squeue` that answers so."""

    def make(answer):
        program = tmp_path / "squeue"
        program.write_text(f'#!/bin/sh\ntest "$*" = "--noheader --jobs 17 --format %L" && echo "{answer}"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return make


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:07", 7), ("12:30", 750), ("2:00:01", 7201), ("1-01:00:00", 90_000), ("UNLIMITED", None), ("", None)],
)
def test_a_span_of_time_is_read_as_slurm_writes_it(text, seconds):
    assert seconds_of(text) == seconds


def test_elsewhere_nobody_ends_the_work():
    assert Deadline.of_this_job({}).left() is None
    assert not Deadline.of_this_job({"SLURM_JOB_ID": "17; rm"}).near()


def test_slurm_says_it_in_the_environment_or_is_asked(squeue):
    told = Deadline.of_this_job({**JOB, "SLURM_JOB_END_TIME": str(int(time.time()) + 1000)})
    assert told.left() == pytest.approx(1000, abs=2)
    squeue("59:00")
    assert Deadline.of_this_job(JOB).left() == pytest.approx(3540, abs=2)
    squeue("UNLIMITED")
    assert Deadline.of_this_job(JOB).left() is None


def test_where_slurm_does_not_answer_nobody_ends_the_work(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert Deadline.of_this_job(JOB).left() is None


@pytest.mark.parametrize(("whole", "margin"), [(7200, 60), (300, 30), (10, 1)])
def test_things_are_put_in_order_a_minute_or_a_tenth_before(monkeypatch, whole, margin):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    found = Deadline(whole)
    now[0] += whole - margin - 0.5
    assert not found.near()
    now[0] += 1
    assert found.near()


def test_a_supervisor_pauses_in_time(tmp_path, store):
    plan = workspace(tmp_path).plan()
    fill(plan, store, [0.1])
    with Supervisor(Display(stream=io.StringIO()), ThreadWorkers(lambda pipe: None)) as supervisor:
        supervisor._deadline = Deadline(0.0)
        run = StudyRun(plan, store.find_study(plan.name), print)
        with pytest.raises(TimeIsUp, match="the time of this job is nearly over; no trial is lost"):
            supervisor._turn(run)


def test_trials_have_longer_where_the_end_is_known_to_be_far():
    with Supervisor(Display(stream=io.StringIO()), ThreadWorkers(lambda pipe: None)) as supervisor:
        assert supervisor._grace(EndIsNear()) == GRACE_SECONDS
        supervisor._deadline = Deadline(115.0)
        assert supervisor._grace(EndIsNear()) == pytest.approx(100, abs=1)
        assert supervisor._grace(AskedToLeave()) == GRACE_SECONDS, "SIGTERM is followed by SIGKILL"
