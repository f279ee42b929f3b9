"""How the energy of trials is worked out: the section `energy` of a sweep file."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import Field, field_validator

from recsweep.sweeps.documents import nearest
from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.values import Real, Text

WORLD_GRAMS = 475.0
"""CO2-equivalent of a kWh from a socket, grams, over all of the world: IEA, Global Energy & CO2 Status Report
2019; CodeCarbon's default too."""
WATTS_PER_CORE = 4.0
"""Of a processor that cannot be read, for each of its threads: CodeCarbon 3.3.2, `DEFAULT_POWER_PER_CORE`."""
ON, OFF = "on", "off"


class EnergyConfig(Frozen):
    """The energy of trials, and what is worked out from it."""

    measure: Literal["on", "off"] = "on"
    """Read it, or estimate it where nothing can be read. `energy: off` says the same as `measure: off`."""
    country: Text | None = None
    """Where the machines stand, as three letters (`DEU`); for the CO2 of a kWh there."""
    grid_g_per_kwh: Real | None = Field(None, ge=0, le=5000)
    """CO2-equivalent of a kWh in grams, where it is known better. None: the country's, else the world's."""
    price_per_kwh: Real | None = Field(None, ge=0, le=1_000_000)
    """The price of a kWh, in any currency; None: nothing is said of money."""
    watts_per_core: Real = Field(WATTS_PER_CORE, gt=0, le=10_000)
    """For estimates: watts of a core that computes."""

    @field_validator("measure", mode="before")
    @classmethod
    def _switch(cls, given: Any) -> Any:
        words = {True: ON, False: OFF}
        return words[given] if isinstance(given, bool) else given  # YAML's `on` and `off`

    @field_validator("country")
    @classmethod
    def _in_the_table(cls, country: str | None) -> str | None:
        if country is not None and country not in _grid():
            raise ValueError(
                f"a country is three letters such as DEU, but got {country!r}; {nearest(country, _grid())}, "
                "or give grid_g_per_kwh"
            )
        return country

    @property
    def grams_per_kwh(self) -> float:
        """CO2-equivalent of a kWh, in grams."""
        if self.grid_g_per_kwh is not None:
            return self.grid_g_per_kwh
        return WORLD_GRAMS if self.country is None else _grid()[self.country]


def as_section(given: Any) -> Any:
    """The section, of `energy: off` and `energy: on` too."""
    return {"measure": given} if isinstance(given, bool | str) else given


@cache
def _grid() -> dict[str, float]:
    """Grams of CO2-equivalent of a kWh, by country."""
    text = resources.files("recsweep.sweeps").joinpath("grid.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {row["country"]: float(row["g_per_kwh"]) for row in csv.DictReader(lines)}
