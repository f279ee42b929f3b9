"""The configurations of a study that are probed: its start, the corners of its space in cost, some within."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recsweep.estimating.probe import DEFAULTS, LARGE, SMALL, Point
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import MODEL_PARAMETER
from recsweep.sweeps.parameters import Choice, Parameter

WITHIN = 5
"""Configurations that are drawn from the whole space: their mean stands for the mean of a search's trials."""
_CHEAPER = "batch_size"
"""The more of it, the less an epoch costs."""


def points(plan: StudyPlan) -> list[Point]:
    """The configurations to probe, the most telling first; each once."""
    named: list[tuple[str, spaces.Params]] = [(DEFAULTS, plan.defaults)]
    if plan.space:
        within = [(f"within {number}", _within(plan, number)) for number in range(1, WITHIN + 1)]
        named += [within[0], (LARGE, corner(plan, large=True)), *within[1:]]
        named.append((SMALL, corner(plan, large=False)))
    seen: list[spaces.Params] = []
    found: list[Point] = []
    for slot, (name, params) in enumerate(named):
        if params not in seen:
            seen.append(params)
            found.append(Point(name, params, plan.trial_seed(slot), plan.split_seed(slot)))
    return found


def corner(plan: StudyPlan, *, large: bool) -> spaces.Params:
    """The dearest or the cheapest configuration as far as sizes tell: whole numbers, and lists of them.

    Rates, weights and words stay as they are where the search starts.
    """
    start = {**plan.constants, **plan.defaults}
    for name in spaces.parents_first(plan.space):
        if name != MODEL_PARAMETER and spaces.is_active(plan.space, name, start):
            size = _largest(plan.space[name], max if large != (_CHEAPER in name) else min)
            start[name] = start.get(name, plan.space[name].from_unit(0.5)) if size is None else size
    return _possible(plan, start)


def _largest(parameter: Parameter, choose: Callable[..., Any]) -> Any | None:
    """The largest or smallest size that a parameter can have; None where it is none."""
    values = parameter.values if isinstance(parameter, Choice) else _ends(parameter)
    sizes = [_size(value) for value in values]
    if any(size is None for size in sizes):
        return None
    return values[choose(range(len(values)), key=sizes.__getitem__)]


def _ends(parameter: Parameter) -> tuple[Any, Any]:
    return parameter.from_unit(0.0), parameter.from_unit(1.0)


def _size(value: Any) -> float | None:
    if isinstance(value, list | tuple):
        parts = [_size(one) for one in value]
        return None if any(one is None for one in parts) else float(sum(one or 0.0 for one in parts))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _within(plan: StudyPlan, number: int) -> spaces.Params:
    """A configuration of the space; several fill it evenly, and are the same every time."""
    base = 2.0  # of Roberts's sequence: the root of x ** (d + 1) = x + 1
    for _ in range(60):
        base = (1.0 + base) ** (1.0 / (len(plan.space) + 1))
    shares = {name: (0.5 + number / base ** (position + 1)) % 1.0 for position, name in enumerate(plan.space)}
    return _possible(plan, spaces.from_unit(plan.space, shares))


def _possible(plan: StudyPlan, params: spaces.Params) -> spaces.Params:
    return spaces.mended(plan.space, spaces.cast(plan.space, params), plan.defaults)
