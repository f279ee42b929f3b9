"""Engines own how to search, not what counts: slots, budgets and results belong to the store."""

from __future__ import annotations

from importlib import import_module

from recsweep.common.errors import UserError
from recsweep.search.engines.base import Engine
from recsweep.sweeps.engine_table import ENGINES, EngineRow


def make_engine(name: str) -> Engine:
    """The engine of that name, imported only now.

    Raises:
        UserError: there is no such engine, or its library is not installed.
    """
    row = ENGINES.get(name)
    if row is None:
        names = ", ".join(ENGINES)
        raise UserError(f"there is no engine {name}; the engines are: {names}; choose one of them")
    return make_engine_of(row)


def make_engine_of(row: EngineRow) -> Engine:
    """The engine of a row of the table.

    Raises:
        UserError: its library is not installed.
    """
    module, name = row.made_by.split(":")
    try:
        engine = getattr(import_module(f"{__name__}.{module}"), name)()
    except ModuleNotFoundError as error:
        if not row.library or (error.name or "").split(".")[0] != row.library:
            raise
        raise UserError(
            f"the engine {row.name} needs {row.library}, which is not installed; "
            + (f"run `{row.extra}`" if row.extra else f"install it (pip install {row.library})")
            + ", or choose another engine"
        ) from None
    if not isinstance(engine, Engine):
        raise TypeError(f"{row.made_by} must be an Engine, but is a {type(engine).__name__}")
    return engine
