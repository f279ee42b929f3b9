"""The section `energy`: one switch in every form, countries from a table, a better figure before both."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.energy import WORLD_GRAMS, EnergyConfig
from recsweep.sweeps.overrides import override


def sweep(**more: Any) -> SweepConfig:
    return SweepConfig(sweep="one", models=("FPMC",), datasets=("ml-100k",), **more)


@pytest.mark.parametrize(
    ("given", "measured"),
    [(False, "off"), ("off", "off"), (True, "on"), ({"measure": False}, "off"), ({"country": "FRA"}, "on")],
)
def test_one_switch_in_each_form_of_a_file(given: Any, measured: str) -> None:
    assert sweep(energy=given).energy.measure == measured


def test_the_switch_as_an_option_leaves_the_rest() -> None:
    config = override(sweep(energy={"country": "FRA"}), {"energy": "off"}, {})
    assert (config.energy.measure, config.energy.country) == ("off", "FRA")


def test_grams_are_the_given_ones_else_the_countrys_else_the_worlds() -> None:
    assert EnergyConfig().grams_per_kwh == WORLD_GRAMS
    assert EnergyConfig(country="FRA").grams_per_kwh < 100 < EnergyConfig(country="POL").grams_per_kwh
    assert EnergyConfig(country="FRA", grid_g_per_kwh=12).grams_per_kwh == 12


@pytest.mark.parametrize(
    "given", ["offf", 3, {"country": "Germany"}, {"grid_g_per_kwh": -1}, {"price": 1}, {"watts_per_core": 0}]
)
def test_what_is_none_of_it_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        sweep(energy=given)


def test_a_country_that_is_none_is_told_the_nearest() -> None:
    with pytest.raises(ValidationError, match="three letters such as DEU, but got 'DEE'"):
        EnergyConfig(country="DEE")
