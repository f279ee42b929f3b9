"""Workers that are forked from a template: what they take over, what they share, and when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers import forked, warm
from recsweep.running import processes, templates
from recsweep.running.events import Broken, Died
from recsweep.running.local_workers import LocalWorkers, death_of
from recsweep.running.processes import start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no template here")
LIMIT_SECONDS = 30.0
# A template that imports nothing more than itself.
LIGHT = "from recsweep.running import template as t; t._NEEDED = (); t._import_recbole = int; t.main({})"


@pytest.fixture
def light(monkeypatch):
    """Templates of the test's own, there at once."""
    own = templates._Templates()
    monkeypatch.setattr(templates, "_TEMPLATE", LIGHT)
    monkeypatch.setattr(processes, "TEMPLATES", own)
    yield own
    own.close()


def ask(question, threads=1):
    """What a worker answers."""
    process, pipe = start(forked.answering, (question,), threads)
    try:
        assert pipe.poll(LIMIT_SECONDS), "no answer"
        return pipe.recv()
    finally:
        pipe.close()
        process.join(LIMIT_SECONDS)
        assert process.exitcode == 0


def gone(*pids):
    deadline = time.monotonic() + LIMIT_SECONDS
    while living := [pid for pid in pids if lives(pid)]:
        assert time.monotonic() < deadline, f"they live on: {living}"
        time.sleep(0.02)


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_workers_are_forked_from_has_one_thread_and_no_gpu():
    found = ask("torch", threads=2)
    assert found == {"threads of the template": 1, "bad fork": False, "torch": 2, "openmp": 2, "blas": 2}
    assert "torch" in ask("modules")


def test_a_forked_worker_is_like_one_started_by_its_parent(light, tmp_path, monkeypatch):
    template = light.get()
    ask("surroundings")  # it runs
    before = os.umask(0o027)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setenv("PGPASSWORD", "of-this-test")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    try:
        found = ask("surroundings", threads=3)
    finally:
        os.umask(before)
    environment, of_workers = found["environment"], templates.worker_environment(3)
    environment.pop("KMP_DUPLICATE_LIB_OK")  # of what sets the threads of BLAS
    assert environment["OMP_NUM_THREADS"] == "3"
    assert (environment["CUDA_VISIBLE_DEVICES"], environment["TQDM_DISABLE"]) == ("7", "1")
    own = {name: value for name, value in os.environ.items() if name not in of_workers}
    own.pop("KMP_DUPLICATE_LIB_OK", None)
    assert {name: value for name, value in environment.items() if name not in of_workers} == own
    assert found["folder"] == str(tmp_path)
    assert found["umask"] == 0o027
    assert found["path"] == sys.path
    assert "of-this-test" not in found["command line"]
    assert int(found["oom_score_adj"]) > int(Path("/proc/self/oom_score_adj").read_text())
    assert light.get() is template, "nothing of this is read when a library is loaded"


def test_workers_of_one_template_draw_different_numbers(light):
    one, other = ask("numbers"), ask("numbers")
    assert not set(one) & set(other)


def test_a_library_is_not_taken_from_a_template_with_another_environment(light, monkeypatch):
    first = light.get()
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    second = light.get()
    assert second is not first
    monkeypatch.delenv("MALLOC_ARENA_MAX")
    assert light.get() is first


def test_a_worker_tells_nothing_to_whoever_reads_what_its_parent_prints():
    script = (
        "import os, signal\n"
        "from recsweep.running import templates\n"
        f"templates._TEMPLATE = {LIGHT!r}\n"
        "template = templates._Templates().get()\n"
        "os.kill(template.pid, signal.SIGSTOP)\n"
        "print(template.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert time.monotonic() - began < 30, done.stderr
    pid = int(done.stdout)
    try:
        assert lives(pid), "its end is not what ended the reading"
    finally:
        os.kill(pid, signal.SIGCONT)
    gone(pid)


def test_signals_of_a_terminal_end_no_template(light):
    template = light.get()
    ask("numbers")
    for name in ("SIGINT", "SIGHUP", "SIGQUIT"):
        os.kill(template.pid, getattr(signal, name))
    ask("numbers")
    assert light.get() is template


def test_a_killed_template_takes_its_workers_along_and_is_replaced(light, make_plan):
    plan, workers = make_plan(), LocalWorkers(forked.waiting)
    hired = workers.start(1, plan)
    template = light.get()
    os.kill(template.pid, signal.SIGKILL)
    gone(hired.owner.worker)
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (told := workers.events(0.1)):
        assert time.monotonic() < deadline
    assert told == [(1, Died("ended with the process that it was forked from"))]
    again = workers.start(1, plan)
    assert light.get() is not template
    assert psutil.Process(again.owner.worker).ppid() == light.get().pid
    workers.close()
    gone(again.owner.worker)


def test_a_stopped_worker_and_its_template_end_with_their_parent():
    script = (
        "import os, signal, time\n"
        "from helpers import forked\n"
        "from recsweep.running import processes, templates\n"
        f"templates._TEMPLATE = {LIGHT!r}\n"
        "process, pipe = processes.start(forked.answering, ('numbers',), 1)\n"
        "pipe.recv()\n"
        "os.kill(process.pid, signal.SIGSTOP)\n"
        "print(process.pid, processes.TEMPLATES.get().pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(lives, pids))
    parent.kill()
    parent.wait()
    gone(*pids)


def test_a_fork_of_the_parent_holds_no_template(light):
    template = light.get()
    ask("numbers")
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    try:
        light._by_environment.clear()
        template._control.close()  # as the kernel does for a parent that dies
        assert template._process.wait(LIMIT_SECONDS) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_template_that_cannot_import_lets_the_worker_say_so(light, monkeypatch, make_plan):
    monkeypatch.setattr(templates, "_TEMPLATE", "raise ImportError('no torch, {}')")
    workers, plan = LocalWorkers(forked.breaking), make_plan()
    hired = workers.start(1, plan)
    told = []
    deadline = time.monotonic() + LIMIT_SECONDS
    while not any(isinstance(event, Died) for event in told):
        told += [event for _, event in workers.events(0.1)]
        assert time.monotonic() < deadline
    assert isinstance(told[0], Broken)
    reason = f"No module named 'no_such_module' (traceback in {hired.log})"
    assert told[0].message == f"ModuleNotFoundError: {reason}"
    assert light.get() is None, "it is not tried again"


def test_one_that_nobody_needed_is_ended_and_one_that_forked_stays(light):
    unused = light.get()
    light.end_unused()
    assert not unused.alive
    used = light.get()
    used.proven = True
    light.end_unused()
    assert light.get() is used


def test_workers_are_started_afresh_where_that_is_asked_for(monkeypatch):
    monkeypatch.setenv(templates.SWITCH, "0")
    assert templates.TEMPLATES.get() is None
    assert ask("parent") == os.getpid()


def test_one_whose_end_nobody_could_tell_is_dead_for_a_reason():
    assert death_of(None) == "ended with the process that it was forked from"
    assert death_of(1) == "exit code 1"


SCORES = """
import io, json, os, sys
from pathlib import Path
import pickle
from recsweep.running.progress import Display
from recsweep.running.supervisor import Supervisor
from recsweep.study import Store

os.environ["RECSWEEP_TEMPLATE"] = sys.argv[1]
plan = pickle.loads(Path(sys.argv[2]).read_bytes())
with Supervisor(Display(stream=io.StringIO())) as supervisor:
    test = supervisor.run_study(plan, 1, 1)
assert "torch" not in sys.modules, "the parent trains nothing"
trials = Store(plan.storage_url).find_study(plan.name, plan.definition).results()
print(json.dumps([test, [[t.params, t.score, t.curve, t.seed] for t in trials]]))
"""


def test_results_are_those_of_workers_that_are_started_afresh(make_plan, tmp_path, monkeypatch):
    import pickle

    script = tmp_path / "scores.py"
    script.write_text(SCORES)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    said = []
    for how in ("1", "0"):
        plan = make_plan("GRU4Rec", max_evals=2, outputs=str(tmp_path / how), engine="optuna", algo="bayes")
        (tmp_path / how / "plan.pkl").write_bytes(pickle.dumps(plan))
        done = warm.run_script(script, tmp_path, LIMIT_SECONDS * 8, how, str(tmp_path / how / "plan.pkl"))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines()[-1])
    assert said[0] == said[1]
    assert said[0].count("learning_rate") == 2
