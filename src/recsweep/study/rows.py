"""Rows of Optuna's tables to trials, and a change of a trial to rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from sqlalchemy import Connection, Table, select

from recsweep.study import statements as sql
from recsweep.study.backend import Change
from recsweep.study.trial import STATES, Trial, from_attributes
from recsweep.study.wholeness import read_json

_FINITE = models.TrialValueModel.TrialValueType.FINITE
_ScoreType = models.TrialIntermediateValueModel.TrialIntermediateValueType
_AT_ONCE = 500
"""Trials that are read in one query: SQLite allows 999 values in one."""


# -- to trials -----------------------------------------------------------------------------------


def light_trials(connection: Connection, rows: Sequence[Any]) -> list[Trial]:
    """Trials with what their slots need to know."""
    attributes = read_attributes(
        connection, [row.trial_id for row in rows], "slot", "attempt", "crashes", "alone"
    )
    return [
        from_attributes(row.trial_id, row.number, STATES[row.state], attributes[row.trial_id]) for row in rows
    ]


def whole_trials(connection: Connection, ids: Sequence[int]) -> list[Trial]:
    """Trials with all that is known of them, in the order of their ids."""
    attributes = read_attributes(connection, ids)
    return [trial for part in _parts(ids) for trial in _some_whole(connection, part, attributes)]


def _some_whole(
    connection: Connection, ids: Sequence[int], attributes: Mapping[int, Mapping[str, Any]]
) -> list[Trial]:
    values, curves = read_values(connection, ids), read_curves(connection, ids)
    table = sql.TRIALS.c
    columns = (table.trial_id, table.number, table.state, table.datetime_start, table.datetime_complete)
    query = select(*columns).where(table.trial_id.in_(ids)).order_by(table.trial_id)
    return [
        from_attributes(
            trial_id,
            number,
            STATES[state],
            attributes[trial_id],
            values=tuple(values.get(trial_id, ())),
            curve=curves.get(trial_id, {}),
            started=_local(started),
            finished=_local(finished),
        )
        for trial_id, number, state, started, finished in connection.execute(query)
    ]


def read_attributes(connection: Connection, ids: Sequence[int], *names: str) -> dict[int, dict[str, Any]]:
    """The attributes of trials, by id and name.

    Args:
        names: of those that are wanted; all where none is given.
    """
    found: dict[int, dict[str, Any]] = {id_: {} for id_ in ids}
    table = sql.ATTRIBUTES.c
    for part in _parts(ids):
        query = select(table.trial_id, table.key, table.value_json).where(table.trial_id.in_(part))
        if names:
            query = query.where(table.key.in_(names))
        for trial_id, name, text in connection.execute(query):
            found[trial_id][name] = read_json(text, trial_id, name)
    return found


def read_values(connection: Connection, ids: Sequence[int]) -> dict[int, list[float]]:
    """The values of the objectives of trials, by id."""
    found: dict[int, list[float]] = {}
    table = sql.VALUES.c
    query = select(table.trial_id, table.value, table.value_type).where(table.trial_id.in_(ids))
    for trial_id, value, kind in connection.execute(query.order_by(table.objective)):
        stored = models.TrialValueModel.stored_repr_to_value(value, kind)
        found.setdefault(trial_id, []).append(stored)
    return found


def read_curves(connection: Connection, ids: Sequence[int]) -> dict[int, dict[int, float]]:
    """The validation scores of trials, by id and epoch."""
    found: dict[int, dict[int, float]] = {}
    table = sql.SCORES.c
    columns = (table.trial_id, table.step, table.intermediate_value, table.intermediate_value_type)
    for trial_id, step, score, kind in connection.execute(select(*columns).where(table.trial_id.in_(ids))):
        stored = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(score, kind)
        found.setdefault(trial_id, {})[step] = stored
    return found


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _AT_ONCE):
        yield ids[begin : begin + _AT_ONCE]


def _local(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC).astimezone().replace(tzinfo=None) if time else None


# -- to rows -------------------------------------------------------------------------------------


def rows_of(trial_id: int, change: Change) -> dict[Table, list[dict[str, Any]]]:
    """The rows that a change of a trial writes, by table."""
    params = [
        {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }
        for name, (distribution, value) in change.params.items()
    ]
    values = [
        {"objective": number, "value": value, "value_type": _FINITE}
        for number, value in enumerate(change.values)
    ]
    scores = [
        {
            "step": step,
            "intermediate_value": score if math.isfinite(score) else None,
            "intermediate_value_type": score_type(score),
        }
        for step, score in change.scores.items()
    ]
    own = {sql.PARAMS: params, sql.VALUES: values, sql.SCORES: scores}
    rows = {table: [{"trial_id": trial_id, **row} for row in some] for table, some in own.items()}
    return {sql.ATTRIBUTES: attribute_rows(trial_id, change.attributes), **rows}


def attribute_rows(trial_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a trial's attributes."""
    return [
        {"trial_id": trial_id, "key": name, "value_json": json.dumps(value)}
        for name, value in attributes.items()
    ]


def score_type(score: float) -> Any:
    """Which of Optuna's kinds of numbers a score is."""
    if math.isnan(score):
        return _ScoreType.NAN
    if math.isinf(score):
        return _ScoreType.INF_POS if score > 0 else _ScoreType.INF_NEG
    return _ScoreType.FINITE
