"""The parameters that were searched: range, default, the chosen value, and where in the range it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recsweep.alarms.edges import open_edge, searched
from recsweep.common.escape import short
from recsweep.report.comparison import Entry
from recsweep.report.results import StudyResult
from recsweep.sweeps.space import Choice, Parameter, QUniform, RandInt

_MOST_TICKS = 24


@dataclass(frozen=True)
class Searched:
    """One parameter of a model.

    Attributes:
        kind: how its values are drawn, in words.
        values: its range, or its values.
        default: of trial number one; `-` where the model's file names none.
        chosen: the winner's; `-` where there is none, or where the winner has no such parameter.
        share: where the chosen value lies in the range, from 0 to 1, in the scale in which it is searched.
        ticks: the places of all values, where there are few.
        edge: the chosen value is at an edge of the range, and there are values beyond it: the alarm's rule.
        when: the condition under which it exists; empty: always.
    """

    name: str
    kind: str
    values: str
    default: str
    chosen: str
    share: float | None
    ticks: tuple[float, ...]
    edge: bool
    when: str = ""


def space_of(result: StudyResult) -> list[Searched]:
    """The parameters that the phases of a model search, in the order of its file."""
    record = result.record
    wanted = searched(record)
    return [
        _searched(name, parameter, result)
        for name, parameter in record.model.space.items()
        if name in wanted or name in record.space
    ]


@dataclass(frozen=True)
class Space:
    """The parameters that were searched for a model, on all data sets where they were the same.

    Attributes:
        rows: for each parameter, what it came to on each data set, in the order of the entries.
    """

    model: str
    entries: tuple[Entry, ...]
    rows: tuple[tuple[Searched, ...], ...]


def spaces_of(entries: Sequence[Entry]) -> list[Space]:
    """The spaces of all models, each once where it is the same on several data sets."""
    groups: dict[tuple[object, ...], list[tuple[Entry, list[Searched]]]] = {}
    for entry in entries:
        rows = space_of(entry.result)
        alike = (entry.model, *((one.name, one.kind, one.values, one.default, one.when) for one in rows))
        groups.setdefault(alike, []).append((entry, rows))
    return [
        Space(
            own[0][0].model,
            tuple(entry for entry, _ in own),
            tuple(zip(*(rows for _, rows in own), strict=True)),
        )
        for own in groups.values()
    ]


def _searched(name: str, parameter: Parameter, result: StudyResult) -> Searched:
    held = result.parameters
    chosen = held.get(name)
    there = name in held
    defaults = result.record.model.defaults
    return Searched(
        name,
        kind_of(parameter),
        values_of(parameter),
        short(parameter.cast(defaults[name])) if name in defaults else "-",
        short(chosen) if there else "-",
        parameter.to_unit(chosen) if there and _has_order(parameter) else None,
        _ticks(parameter),
        there and open_edge(result.record, name, chosen) is not None,
        _condition(parameter),
    )


def kind_of(parameter: Parameter) -> str:
    """How the values of a parameter are drawn."""
    if isinstance(parameter, Choice):
        return "one of"
    if isinstance(parameter, RandInt):
        return "log-integer" if parameter.is_log else "integer"
    return "log-uniform" if parameter.is_log else "uniform"


def values_of(parameter: Parameter) -> str:
    """`0.0001 to 0.01`, `64, 128, 256`."""
    if isinstance(parameter, Choice):
        return ", ".join(map(short, parameter.grid()))
    step = f", in steps of {short(parameter.q)}" if isinstance(parameter, QUniform) else ""
    return f"{short(parameter.min)} to {short(parameter.max)}{step}"


def _has_order(parameter: Parameter) -> bool:
    return not isinstance(parameter, Choice) or parameter.ordered


def _ticks(parameter: Parameter) -> tuple[float, ...]:
    if not _has_order(parameter) or parameter.size > _MOST_TICKS:
        return ()
    values: Sequence[Any] = parameter.grid() or ()
    return tuple(sorted(parameter.to_unit(value) for value in values))


def _condition(parameter: Parameter) -> str:
    parts = []
    for name, wanted in (parameter.when or {}).items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        parts.append(f"{name} is {' or '.join(map(short, values))}")
    return " and ".join(parts)


def fixed_of(result: StudyResult) -> str:
    """The settings of a model that stay the same in every trial, in words; empty where there are none."""
    return ", ".join(f"{name} {short(value)}" for name, value in result.record.model.fixed.items())
