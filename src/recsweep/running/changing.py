"""The parameters of a study that may change while its model trains; found by making the models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from recsweep.common.errors import ScheduleRefused, UserError
from recsweep.planning.plan import StudyPlan
from recsweep.recbole_api.data import Split
from recsweep.search.perturb import free
from recsweep.sweeps import space as spaces
from recsweep.sweeps.parameters import Parameter
from recsweep.sweeps.scheduler_table import POPULATION
from recsweep.training import schedules
from recsweep.training.schedules import Part

_FEW = 8
"""So many values of a grid are all looked at; of more, and of a range, both ends."""


def changeable(plan: StudyPlan, split: Split) -> tuple[str, ...]:
    """Names of the parameters that may be perturbed.

    Raises:
        UserError: there is none, so that nothing would come of the study.
    """
    fixed = {name: why for name in plan.space if (why := _why_fixed(plan, name, split)) is not None}
    names = tuple(free(plan.space, fixed))
    if not names:
        reasons = "; ".join(f"{name}: {fixed.get(name, 'others depend on it')}" for name in plan.space)
        raise UserError(
            f"{plan.label}: scheduler {POPULATION} changes parameters while a model trains, and none of the "
            f"space can ({reasons}); search one that can, such as learning_rate, or take another scheduler"
        )
    return names


def _why_fixed(plan: StudyPlan, name: str, split: Split) -> str | None:
    """Why a parameter has to stay as it is; None where it may change."""
    if name not in plan.defaults:
        return "it does not exist with the defaults"
    before = plan.settings(plan.defaults, plan.seed)
    for value in _looked_at(plan.space[name]):
        params = spaces.cast(plan.space, {**plan.defaults, name: value})
        try:
            after = plan.settings(params, plan.seed)
            schedules.check([Part(1, 1, before), Part(2, None, after)], split)
        except ScheduleRefused as refused:
            return refused.problem.partition(": ")[2]
        except Exception as error:  # a model that cannot be made so, for whatever reason
            return f"{value} cannot be used beside the defaults ({type(error).__name__})"
    return None


def _looked_at(parameter: Parameter) -> Iterator[Any]:
    if not math.isfinite(parameter.size):
        yield from (parameter.from_unit(0.0), parameter.from_unit(1.0))
    elif parameter.size <= _FEW:
        yield from (parameter.at(index) for index in range(int(parameter.size)))
    else:
        yield from (parameter.at_rank(0), parameter.at_rank(int(parameter.size) - 1))
