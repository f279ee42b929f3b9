"""The energy of trials: counters read as they stand, shared by processor time, and never counted twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from recsweep.running import meter, power
from recsweep.running.meter import Meter, Readers
from recsweep.sweeps.energy import WATTS_PER_CORE, WORLD_GRAMS, EnergyConfig

CPU = torch.device("cpu")


@dataclass
class Machine:
    """Counters that the test turns."""

    joules: float = 100.0
    busy: float = 1000.0
    zones: bool = True
    gpu: tuple[float, int] | None = None
    own: dict[str, float] = field(default_factory=dict)

    def readers(self, worker: str = "one") -> Readers:
        self.own.setdefault(worker, 5.0)
        return Readers(
            lambda: {"intel-rapl:0": (self.joules, 1000.0)} if self.zones else {},
            lambda: self.busy,
            lambda: self.own[worker],
            lambda uuid: self.gpu,
        )

    def work(self, joules: float, **seconds: float) -> None:
        """Workers compute for so many seconds of a processor each, and the machine takes so many joules."""
        self.joules = (self.joules + joules) % 1000
        for worker, own in seconds.items():
            self.own[worker] = self.own.get(worker, 5.0) + own
            self.busy += own


def measured(machine: Machine, work: Callable[[], None], config: EnergyConfig | None = None):
    one = Meter(config or EnergyConfig(), CPU, machine.readers())
    one.start()
    work()
    return one.stop()


def test_joules_are_shared_by_processor_time() -> None:
    machine = Machine()
    first, other = (Meter(EnergyConfig(), CPU, machine.readers(name)) for name in ("one", "two"))
    first.start()
    other.start()
    machine.work(300, one=3, two=1, somebody_else=2)
    found = [meter.stop() for meter in (first, other)]
    assert [round(one.kwh * 3.6e6, 6) for one in found if one] == [150.0, 50.0], "none is counted twice"
    assert {(one.read, one.estimated) for one in found if one} == {("rapl", False)}


def test_a_counter_that_began_again_loses_nothing() -> None:
    machine = Machine(joules=900)
    found = measured(machine, lambda: machine.work(350, one=2))
    assert found is not None
    assert found.kwh * 3.6e6 == pytest.approx(350)


def test_where_nothing_can_be_read_it_is_estimated() -> None:
    machine = Machine(zones=False)
    found = measured(machine, lambda: machine.work(0, one=900), EnergyConfig(price_per_kwh=0.5))
    assert found is not None
    assert (found.read, found.estimated) == ("estimate", True)
    assert found.kwh == pytest.approx(900 * WATTS_PER_CORE / 3.6e6)
    assert found.co2_g == pytest.approx(found.kwh * WORLD_GRAMS)
    assert found.cost == pytest.approx(found.kwh / 2)


def test_switched_off_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> float:
        raise AssertionError("somebody looked")

    off = Meter(EnergyConfig(measure="off"), CPU, Readers(machine=read, own=read))
    off.start()
    assert off.stop() is None
    assert Meter(EnergyConfig(), CPU).stop() is None, "nothing has begun"


def test_a_gpu_is_shared_by_those_that_compute_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_uuid", lambda device: "GPU-1")
    machine = Machine(zones=False, gpu=(1000.0, 1))
    one = Meter(EnergyConfig(watts_per_core=1), torch.device("cuda"), machine.readers())
    one.start()
    machine.gpu = (1600.0, 3)
    machine.work(0, one=10)
    found = one.stop()
    assert found is not None
    assert found.kwh * 3.6e6 == pytest.approx(10 + 200)
    assert (found.read, found.estimated) == ("estimate+nvml", True)
    machine.gpu, machine.zones = None, True
    one.start()
    found = one.stop()
    assert found is not None
    assert found.estimated, "what the GPU took could not be read"


def test_counters_are_looked_at_while_a_trial_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "LOOK_SECONDS", 0.001)
    machine = Machine()
    one = Meter(EnergyConfig(), CPU, machine.readers())
    one.start()
    for _ in range(4):  # 2,400 joules: the counter begins again more than once
        machine.work(600, one=1)
        while one._last is not None and one._last.zones["intel-rapl:0"][0] != machine.joules:
            time.sleep(0.001)
    found = one.stop()
    assert found is not None
    assert found.kwh * 3.6e6 == pytest.approx(2400)


def zone(root: Path, name: str, label: str, joules: float) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "name").write_text(f"{label}\n")
    (root / name / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    (root / name / "max_energy_range_uj").write_text("262143328850\n")


def test_packages_and_memory_are_read_and_no_part_of_them(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 17)
    zone(tmp_path, "intel-rapl:0:0", "core", 9)
    zone(tmp_path, "intel-rapl:0:1", "dram", 3)
    zone(tmp_path, "intel-rapl:1", "package-1", 40)
    zone(tmp_path, "intel-rapl:2", "psys", 80)
    zone(tmp_path, "intel-rapl:3", "package-0-die-1", 17)
    (tmp_path / "intel-rapl:4").mkdir()
    found = power.joules_by_zone(tmp_path)
    assert {name: joules for name, (joules, _) in found.items()} == {
        "intel-rapl:0": 17,
        "intel-rapl:0:1": 3,
        "intel-rapl:1": 40,
    }, "a die that shows its package's counter is no second one"
    assert power.joules_by_zone(tmp_path / "nowhere") == {}


def test_seconds_of_the_machine_are_those_in_which_it_computes(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 20 30 9000 500 6 4 70 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert power.machine_seconds(tmp_path / "stat") == pytest.approx(1.6)
    assert power.machine_seconds(tmp_path / "nowhere") is None
    seconds = power.machine_seconds()
    assert seconds is None or seconds > 0
