"""Rows as pandas DataFrames. pandas is imported here, when a table is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from pandas import DataFrame

__all__ = ["TIME", "DataFrame", "frame_of"]

TIME: Literal["datetime64[ns, UTC]"] = "datetime64[ns, UTC]"
"""The type of a column of times; a row has them as text."""


def frame_of(
    rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str], index: Sequence[str] = ()
) -> DataFrame:
    """A table of rows; where a row lacks a column, nothing stands there.

    Args:
        rows: in the order of their columns.
        kinds: the types of columns that are there even where there are no rows; the values of the other
            columns decide on theirs.
        index: the columns that name a row.
    """
    names = dict.fromkeys([*(name for row in rows for name in row), *kinds])
    frame = DataFrame({name: _column([row.get(name) for row in rows], kinds.get(name)) for name in names})
    return frame.set_index(list(index)) if index else frame


def _column(values: list[Any], kind: str | None) -> Any:
    if kind == TIME:
        return pd.to_datetime(pd.Series(values, dtype="object"), utc=True, format="ISO8601").astype(TIME)
    return pd.Series(values, dtype=kind or _kind_of(values))


def _kind_of(values: list[Any]) -> str:
    """The type in which values stand as what they are: whole numbers stay whole where one is missing."""
    there = {type(value) for value in values if value is not None}
    gaps = any(value is None for value in values)
    if there == {bool}:
        return "boolean" if gaps else "bool"
    if there == {int}:
        return "Int64" if gaps else "int64"
    return "float64" if there in ({float}, {float, int}) else "object"
