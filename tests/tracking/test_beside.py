"""The process beside a run: told by a pipe, ended with the run, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from helpers.found import workspace
from helpers.tracked import Told, beside, of_kind, sent

RUN = """
import sys, time
from pathlib import Path
from helpers.found import workspace
from helpers.tracked import Told, beside
root, folder = map(Path, sys.argv[1:])
told = Told(workspace(root).plan())
one = beside(told, folder)
told.trial()
print(one._process.pid, flush=True)
time.sleep(3600)
"""


@pytest.fixture
def told(tmp_path):
    told = Told(workspace(tmp_path, budget=4).plan())
    yield told
    told.store.close()


def test_sends_what_there_is_and_ends_with_the_run(told, tmp_path):
    one = beside(told, tmp_path / "sent" / "bad")
    told.trial()
    assert one.end() == []
    assert one._process.returncode == 0
    assert len(of_kind(sent(tmp_path / "sent"), "ended")) == 1


@pytest.mark.long
def test_says_what_it_could_not_send_and_keeps_no_run_waiting(told, tmp_path):
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "bad.how").write_text("hangs")
    one = beside(told, tmp_path / "sent" / "bad")
    told.trial()
    (line,) = one.end()
    assert line == "5 events not sent to bad; `recsweep track sync` sends them"
    assert one._process.returncode == 0


@pytest.mark.long
def test_of_a_run_that_was_killed_all_is_sent_and_nothing_stays(tmp_path):
    folder, helpers = tmp_path / "sent" / "bad", str(Path(__file__).parents[1])
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([helpers, *sys.path])},
    )
    follower = psutil.Process(int(run.stdout.readline()))
    run.kill()
    run.wait()
    follower.wait(60)
    assert len(of_kind(sent(tmp_path / "sent"), "ended")) == 1
