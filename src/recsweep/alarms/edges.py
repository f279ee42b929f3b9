"""A best value at the edge of the range that was searched: a better one may lie beyond."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recsweep.alarms.alarm import Alarm, Searched, about
from recsweep.common.escape import short
from recsweep.recbole_api import heeds
from recsweep.study import StudyRecord
from recsweep.sweeps.config import WHOLE, WITH_MODEL
from recsweep.sweeps.own_names import is_own
from recsweep.sweeps.space import Choice, Parameter, QUniform, RandInt

NAME = "edge"
SOURCE = "Shehzad and Jannach 2023"
ANSWER = "widen the range in the model's file and search again, with the best so far as warm_start"
NEAR_EDGE = 0.02
"""A share of a range, in the scale in which it is searched."""


def at_edges(search: Searched) -> Iterator[Alarm]:
    """The parameters of a winner at an edge beyond which there are values; the number is the value."""
    for name, value in search.parameters.items():
        if (bounds := open_edge(search.record, name, value)) is None:
            continue
        low, high = bounds
        text = f"{name} {short(value)} is at the edge of its range, {short(low)} to {short(high)}"
        yield Alarm(NAME, about(search), float(value), text, SOURCE, ANSWER)


def open_edge(record: StudyRecord, name: str, value: Any) -> tuple[Any, Any] | None:
    """The bounds of a searched range at whose edge a value lies, where there are values beyond it."""
    parameter = record.model.space.get(name)
    bounds = edge_of(parameter, value) if parameter and name in searched(record) else None
    if bounds is None or not can_be_widened(record.model.model, name, *bounds, value):
        return None
    return bounds


def can_be_widened(model: str, name: str, low: Any, high: Any, value: Any) -> bool:
    """True where a value beyond the edge is one that the model takes: no width is 0, no share above 1."""
    bound = low if value - low <= high - value else high
    if bound == low == 0:  # what is counted or measured begins there
        return False
    if isinstance(bound, int):
        beyond: Any = bound - 1 if bound == low else bound + 1
    else:
        beyond = bound - 0.01 * abs(bound) if bound == low else bound + 0.01 * abs(bound)
    return is_own(model) or heeds.mistake(model, name, beyond) is None


def searched(record: StudyRecord) -> set[str]:
    """The parameters that the phases of a model search."""
    if WHOLE in record.chain or WITH_MODEL in record.chain:
        return set(record.model.space)
    return {name for phase in record.chain for name in record.model.phases.get(phase, ())}  # type: ignore[call-overload]


def edge_of(parameter: Parameter, value: Any) -> tuple[Any, Any] | None:
    """The bounds of a range whose edge a value lies at; None where it lies inside, or there is no range."""
    if isinstance(parameter, Choice):
        if not parameter.ordered or parameter.size <= 2:  # one of two is always at an edge
            return None
        numbers: list[Any] = sorted(parameter.grid())
        return (numbers[0], numbers[-1]) if value in (numbers[0], numbers[-1]) else None
    if isinstance(parameter, QUniform | RandInt):
        at_edge = parameter.size > 2 and value in (parameter.min, parameter.max)
    else:
        share = parameter.to_unit(value)
        at_edge = min(share, 1 - share) <= NEAR_EDGE
    return (parameter.min, parameter.max) if at_edge else None
