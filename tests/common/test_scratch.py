"""Scratch folders: below the outputs, named after their process, removed when it is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from recsweep.common import scratch
from recsweep.common.owner import this_process

HOLDS_ONE = """
import sys, tempfile, time
from pathlib import Path
from recsweep.common import scratch
with scratch.used(Path(sys.argv[1])):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "weights").write_text("x")
        print(folder, flush=True)
        time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has a scratch folder, and the temporary folder that it made there."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS_ONE, tmp_path], stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.wait()


def test_temporary_files_of_any_library_lie_below_it_and_go_with_it(tmp_path):
    before = tempfile.gettempdir()
    with scratch.used(tmp_path / "scratch"):
        with tempfile.TemporaryDirectory() as folder:
            assert folder.startswith(f"{tmp_path}/scratch/")
        tempfile.mkdtemp()
        (own,) = (tmp_path / "scratch").iterdir()
        assert own.name == scratch.own_name()
        assert os.environ["TMPDIR"] == str(own)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert tempfile.gettempdir() == before


def test_what_a_killed_process_left_is_removed_and_not_before(tmp_path, holder):
    process, folder = holder
    scratch.clear(tmp_path)
    assert os.path.isdir(folder), "it lives"
    process.kill()
    process.wait()
    assert os.path.isdir(folder), "nobody could remove it"
    scratch.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_keeps_nothing(tmp_path):
    space, pid, ticks = scratch.own_name().split("-")
    (tmp_path / f"{space}-{pid}-{int(ticks) - 1}").mkdir()
    (tmp_path / scratch.own_name()).mkdir()
    scratch.clear(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == [scratch.own_name()]


def test_scratch_of_others_stays_and_another_machines_for_a_week(tmp_path):
    for name in ("notes", "0123456789abcdef-1-2", "fedcba9876543210-1-2"):
        (tmp_path / name).mkdir()
    week_ago = time.time() - 8 * 86400
    os.utime(tmp_path / "notes", (week_ago, week_ago))
    os.utime(tmp_path / "fedcba9876543210-1-2", (week_ago, week_ago))
    scratch.clear(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["0123456789abcdef-1-2", "notes"]


def test_what_was_about_to_become_an_entry_of_the_cache_goes_too(tmp_path):
    space, _, ticks = scratch.own_name().split("-")
    for name in (
        f".preparing-{space}-{os.getpid()}-{int(ticks) - 1}-abc",
        f".preparing-{scratch.own_name()}-x",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / "0123").mkdir()
    scratch.clear(tmp_path, scratch.PREPARING)
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == [f".preparing-{scratch.own_name()}-x", "0123"]


def test_without_a_scratch_folder_temporary_files_lie_in_the_systems(tmp_path):
    (tmp_path / "scratch").write_text("a file")
    before = tempfile.gettempdir()
    with scratch.used(tmp_path / "scratch"):
        assert tempfile.gettempdir() == before


def test_a_run_leaves_no_scratch_behind(make_plan, tmp_path):
    import io

    from recsweep.running.local_workers import LocalWorkers
    from recsweep.running.progress import Display
    from recsweep.running.supervisor import Supervisor

    plan = make_plan(max_evals=1)
    dead = plan.outputs.scratch / f"{scratch.own_name().rsplit('-', 1)[0]}-{this_process().ticks - 1}"
    dead.mkdir(parents=True)
    seen = []
    start = LocalWorkers.start

    def starting(workers, number, plan):
        hired = start(workers, number, plan)
        seen.append(sorted(entry.name for entry in plan.outputs.scratch.iterdir()))
        return hired

    with pytest.MonkeyPatch.context() as patch, Supervisor(Display(stream=io.StringIO())) as supervisor:
        patch.setattr(LocalWorkers, "start", starting)
        supervisor.run_study(plan, 1, 1)
        (own,) = plan.outputs.scratch.iterdir()
        assert str(supervisor._crew.members[0].hired.owner.worker) in own.name, "a worker's own"
    assert dead.name not in seen[0]
    assert list(plan.outputs.scratch.iterdir()) == []
    shutil.rmtree(plan.outputs.scratch)
