"""Engines own how to search, not what counts: slots, budgets and results belong to the store."""

from __future__ import annotations

from recsweep.common.errors import UserError
from recsweep.search.engines.base import Engine


def make_engine(name: str) -> Engine:
    """The engine of that name, imported only now.

    Raises:
        UserError: there is no such engine.
    """
    if name == "hyperopt":
        from recsweep.search.engines.hyperopt_ import HyperoptEngine

        return HyperoptEngine()
    if name == "optuna":
        from recsweep.search.engines.optuna_ import OptunaEngine

        return OptunaEngine()
    raise UserError(f"there is no engine {name}; the engines are: hyperopt, optuna; choose one of them")
