"""Several workers to a device, in real processes. No GPU is at hand: the CPU goes by two names."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from recsweep.running import seats
from recsweep.running.crew import Crew
from recsweep.running.gpus import Gpus
from recsweep.running.progress import Display
from recsweep.running.supervisor import Supervisor
from recsweep.study import Store


@pytest.fixture
def two_devices(monkeypatch):
    """To torch `cpu:0` and `cpu:1` are the CPU."""

    def gpus(*arguments):
        made = Gpus(*arguments)
        made.devices = [device.replace("cuda", "cpu") for device in made.devices]
        made._limits = {device.replace("cuda", "cpu"): limit for device, limit in made._limits.items()}
        return made

    monkeypatch.setattr(seats, "Gpus", gpus)
    monkeypatch.setattr(Crew, "gpus", property(lambda crew: 2, lambda crew, said: None), raising=False)


def test_workers_get_their_device_with_their_order_and_no_trial_is_lost(make_plan, two_devices):
    plan = make_plan(max_evals=7, workers=3)
    workers = plan.sweep.workers.model_copy(
        update={"trials_per_gpu": 2, "threads": 1, "trials_per_worker": 3}
    )
    plan = replace(plan, sweep=plan.sweep.model_copy(update={"workers": workers}))
    said = io.StringIO()
    with Supervisor(Display(stream=said)) as running:
        assert running.run_study(plan, 1, 1)
    store = Store(plan.storage_url)
    trials = store.find_study(plan.name).trials()
    store.close()
    assert sorted(trial.slot for trial in trials) == list(range(7))
    assert all(trial.state == "complete" for trial in trials)
    assert {trial.environment["device"] for trial in trials} == {"cpu:0", "cpu:1"}
    assert set(re.findall(r"worker (\d) on cpu:[01]", said.getvalue())) >= {"1", "2", "3"}
