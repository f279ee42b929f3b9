from __future__ import annotations

import pytest

from recsweep.running.cooldown import Cooldown, decide, rest
from recsweep.running.nvml import gpu_temperature, visible
from recsweep.sweeps.config import CooldownConfig


class Clock:
    """Sleeps in no time and remembers how long."""

    def __init__(self):
        self.slept = []

    def __call__(self, seconds):
        self.slept.append(seconds)


@pytest.mark.parametrize(
    ("config", "device", "seconds", "reason"),
    [
        ({}, "cpu", 0.0, "no GPU is used, and cooldown is for a GPU's heat"),
        ({}, "cuda", 60.0, "the default with a GPU"),
        ({}, "cuda:1", 60.0, "the default with a GPU"),
        ({"seconds": 0}, "cuda", 0.0, "as configured"),
        ({"seconds": 5}, "cpu", 5.0, "as configured"),
    ],
)
def test_the_rest_and_its_reason_follow_config_and_device(config, device, seconds, reason):
    decided = decide(CooldownConfig(**config), device)
    assert (decided.seconds, decided.reason) == (seconds, reason)


def test_a_temperature_limit_is_kept_where_a_gpu_is_used():
    assert decide(CooldownConfig(until_celsius=50), "cuda").until_celsius == 50


def test_a_cooldown_of_zero_has_no_effect_at_all():
    def never():
        raise AssertionError("must not be asked")

    clock = Clock()
    assert rest(Cooldown(0.0, 50.0, "as configured"), never, never, clock) == 0
    assert clock.slept == []


def test_a_rest_lasts_as_long_as_asked_and_looks_up_every_second():
    clock = Clock()
    assert rest(Cooldown(2.5, None, ""), lambda: None, lambda: False, clock) == 2.5
    assert clock.slept == [1.0, 1.0, 0.5]


def test_a_rest_ends_once_the_gpu_is_cool():
    temperatures = iter([80.0, 60.0, 49.0])
    assert rest(Cooldown(60.0, 50.0, ""), lambda: next(temperatures), lambda: False, Clock()) == 2.0


def test_a_gpu_exactly_at_the_limit_is_not_cool_yet():
    assert rest(Cooldown(3.0, 50.0, ""), lambda: 50.0, lambda: False, Clock()) == 3.0


def test_without_a_thermometer_the_rest_lasts_its_whole_time():
    assert rest(Cooldown(3.0, 50.0, ""), lambda: None, lambda: False, Clock()) == 3.0


def test_a_rest_ends_when_told_to_stop():
    told = iter([False, False, True])
    assert rest(Cooldown(60.0, None, ""), lambda: None, lambda: next(told), Clock()) == 2.0


def test_the_temperature_is_a_number_or_unknown_and_never_an_error():
    found = gpu_temperature()
    assert found is None or 0 < found < 150


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, [0, 1, 2]), ("1", [1]), ("2, 0", [2, 0]), ("GPU-5fd4", [0, 1, 2]), ("7", [])],
)
def test_only_the_heat_of_our_own_gpus_counts(monkeypatch, given, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible(3) == expected
