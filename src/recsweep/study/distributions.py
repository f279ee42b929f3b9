"""Parameters and their values in Optuna's terms."""

from __future__ import annotations

import json
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from recsweep.sweeps.space import Choice, Params, QUniform, RandInt, Space


def in_optunas_terms(space: Space, params: Params) -> dict[str, tuple[BaseDistribution, Any]]:
    """Distribution and value of each parameter of a trial."""
    return {
        name: (distribution_of(space[name]), for_optuna(space[name], value)) for name, value in params.items()
    }


def distribution_of(parameter: Any) -> BaseDistribution:
    """A parameter in Optuna's terms."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution([for_optuna(parameter, value) for value in parameter.grid()])
    if isinstance(parameter, RandInt):
        return IntDistribution(parameter.min, parameter.max, log=parameter.is_log)
    if isinstance(parameter, QUniform):
        if parameter.integral:
            return IntDistribution(int(parameter.min), int(parameter.max), step=int(parameter.q))
        return FloatDistribution(parameter.min, parameter.max, step=parameter.q)
    return FloatDistribution(parameter.min, parameter.max, log=parameter.is_log)


def for_optuna(parameter: Any, value: Any) -> Any:
    """Optuna's categories are scalars; a list becomes its JSON text."""
    if isinstance(parameter, Choice) and isinstance(value, list | tuple):
        return json.dumps(list(value))
    return value
