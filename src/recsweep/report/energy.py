"""The energy of several trials together, and words for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from recsweep.common.files import counted
from recsweep.study import Trial
from recsweep.study.states import State

_WORDS = {"rapl": "RAPL", "nvml": "NVML", "estimate": "an estimate by processor time"}


@dataclass(frozen=True)
class Spent:
    """The energy of some trials.

    Attributes:
        trials: of which it is known.
        of: that were trained.
        read: where it was read, as `Energy` says.
        cost: None where it is not known of all of them.
    """

    kwh: float
    co2_g: float
    trials: int
    of: int
    read: frozenset[str]
    estimated: bool
    cost: float | None = None

    def plain(self, prefix: str) -> dict[str, Any]:
        """For files.

        Args:
            prefix: of the names of its numbers.
        """
        numbers = {"kwh": self.kwh, "co2_g": self.co2_g, "cost": self.cost}
        plain = {f"{prefix}{name}": digits(value) for name, value in numbers.items() if value is not None}
        partly = {} if self.trials == self.of else {"trials": self.trials, "of_trials": self.of}
        return {**plain, "read": "+".join(sorted(self.read)), "estimated": self.estimated, **partly}

    def text(self) -> str:
        """`1.23 Wh and 0.58 g of CO2-equivalent, read by RAPL`, for people."""
        kwh = f"{digits(self.kwh):g} kWh" if self.kwh >= 0.1 else f"{digits(self.kwh * 1000):g} Wh"
        co2 = f"{digits(self.co2_g / 1000):g} kg" if self.co2_g >= 1000 else f"{digits(self.co2_g):g} g"
        money = "" if self.cost is None else f", at a price of {digits(self.cost):g}"
        how = " and ".join(_WORDS.get(word, word) for word in sorted(self.read))
        how = how if self.read == {"estimate"} else f"read by {how}"
        partly = "" if self.trials == self.of else f"; known of {self.trials} of {counted(self.of, 'trial')}"
        return f"{kwh} and {co2} of CO2-equivalent{money}, {how}{partly}"


def spent(trials: Iterable[Trial]) -> Spent | None:
    """The energy of the trials that a study trained, those that came to nothing too; None: unknown."""
    ran = [one for one in trials if not one.inherited and one.state not in (State.WAITING, State.RUNNING)]
    found = [trial.result.energy for trial in ran if trial.result.energy is not None]
    if not found:
        return None
    costs = [energy.cost for energy in found if energy.cost is not None]
    return Spent(
        sum(energy.kwh for energy in found),
        sum(energy.co2_g for energy in found),
        len(found),
        len(ran),
        frozenset(word for energy in found for word in energy.read.split("+") if word),
        any(energy.estimated for energy in found),
        sum(costs) if len(costs) == len(found) else None,
    )


def together(parts: Iterable[Spent | None]) -> Spent | None:
    """The energy of several studies; None where it is known of none."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    costs = [part.cost for part in found if part.cost is not None]
    return Spent(
        sum(part.kwh for part in found),
        sum(part.co2_g for part in found),
        sum(part.trials for part in found),
        sum(part.of for part in found),
        frozenset().union(*(part.read for part in found)),
        any(part.estimated for part in found),
        sum(costs) if len(costs) == len(found) else None,
    )


COLUMNS = ("kwh", "co2_g", "energy_cost", "energy_read")
"""Of tables in files, where the energy of a row is known."""


def columns(parts: Sequence[Any]) -> tuple[str, ...]:
    """Those that a table has: none where no row has a value, and no cost where nobody knows a price.

    Args:
        parts: of its rows, each an `Energy`, a `Spent` or None.
    """
    if not any(part is not None for part in parts):
        return ()
    priced = any(part is not None and part.cost is not None for part in parts)
    return COLUMNS if priced else tuple(name for name in COLUMNS if name != "energy_cost")


def cells(part: Any, names: Sequence[str]) -> list[Any]:
    """The cells of a row; empty where its energy is not known."""
    if part is None:
        return ["" for _ in names]
    read = part.read if isinstance(part.read, str) else "+".join(sorted(part.read))
    cost = "" if part.cost is None else digits(part.cost)
    values = {"kwh": digits(part.kwh), "co2_g": digits(part.co2_g), "energy_cost": cost, "energy_read": read}
    return [values[name] for name in names]


def digits(value: float) -> float:
    """A number in four digits that mean something."""
    return float(f"{value:.4g}")
