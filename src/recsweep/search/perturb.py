"""Perturbed parameters of a trial that goes on from another one's weights: population based training; pure.

Jaderberg et al., Population Based Training of Neural Networks, 2017, section 4: a parameter is multiplied by
0.8 or 1.2, or drawn anew. Both stay within the space here, a step on a grid leads to another point of it, and
what has no order has no step.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from random import Random
from typing import Any

from recsweep.sweeps import space as spaces
from recsweep.sweeps.parameters import Choice, Parameter
from recsweep.sweeps.space import Params, Space

DOWN, UP = 0.8, 1.2


def free(space: Space, fixed: Container[str]) -> list[str]:
    """The parameters that may be perturbed: none that is fixed, and none that others depend on.

    Args:
        fixed: those that may not change while a model trains.
    """
    parents = {parent for parameter in space.values() for parent in parameter.when or {}}
    return [name for name in space if name not in fixed and name not in parents]


def perturbed(
    space: Space, params: Mapping[str, Any], names: Container[str], resample: float, chance: Random
) -> Params:
    """The parameters with some of them perturbed, as far as constraints allow.

    Args:
        names: those that may be.
        resample: how likely each of them is drawn anew.
    """
    found = dict(params)
    for name, parameter in space.items():
        if name in names and name in params:
            found[name] = _perturbed(parameter, params[name], resample, chance)
    return spaces.mended(space, spaces.cast(space, found), dict(params))


def _perturbed(parameter: Parameter, value: Any, resample: float, chance: Random) -> Any:
    drawn, share, up = chance.random() < resample, chance.random(), chance.random() < 0.5
    if drawn:
        return parameter.from_unit(share)
    if isinstance(parameter, Choice):
        return _neighbour(parameter, value, up=up) if parameter.ordered else value
    moved = parameter.cast(value * (UP if up else DOWN))
    if moved == value and math.isfinite(parameter.size):
        return _neighbour(parameter, value, up=up)
    return moved


def _neighbour(parameter: Parameter, value: Any, *, up: bool) -> Any:
    """The next value of a grid; at its end, the value itself."""
    rank = parameter.rank(value) + (1 if up else -1)
    return parameter.at_rank(min(max(rank, 0), int(parameter.size) - 1))
