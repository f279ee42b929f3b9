"""Workers on Ray; `make test-ray` runs what needs it."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil
import pytest

from helpers.light_hand import process_main
from helpers.ray import kept_link, needs_ray
from helpers.workers_contract import WorkersContract
from recsweep.api.slots import store_of
from recsweep.running.progress import Display
from recsweep.running.ray_workers import RayWorkers
from recsweep.running.supervisor import Supervisor


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    yield from kept_link(tmp_path_factory.mktemp("scratch"))


@needs_ray
class TestRayWorkers(WorkersContract):
    limit_seconds = 120.0

    @pytest.fixture
    def workers(self, link):
        workers = RayWorkers(process_main, link)
        yield workers
        workers.close()


@needs_ray
def test_our_own_ray_listens_on_this_machine_alone(link):
    listening = set()
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            listening |= {one.laddr.ip for one in process.net_connections("inet") if one.status == "LISTEN"}
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert link.ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")


@needs_ray
def test_a_study_on_ray_survives_a_killed_worker(make_plan, link):
    plan = make_plan(max_evals=4, workers=2, workers_on="ray")
    said, killed = [], []
    workers = RayWorkers(link=link)

    class Watching(Display):
        def line(self, text):
            said.append(text)
            if "trial 0" in text and not killed:
                killed.append(workers.kill(2))

    with Watching(plan.outputs.tune_log) as display, Supervisor(display, workers) as supervisor:
        metrics = supervisor.run_study(plan, 1, 1)
    assert killed, said
    assert set(metrics) >= {"ndcg@10"}
    with store_of(plan) as store:
        results = store.find_study(plan.name).results()
    assert [trial.slot for trial in results] == [0, 1, 2, 3]
    assert {trial.owner.process.pid for trial in results} == {os.getpid()}, "trials are the supervisor's"
