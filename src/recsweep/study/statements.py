"""Optuna's tables, and what SQLite and PostgreSQL are asked alike: the statements that do not change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Table, and_, bindparam, select, update

from recsweep.study.trial import CLOSED, OPEN

TRIALS: Table = models.TrialModel.__table__
ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
VALUES: Table = models.TrialValueModel.__table__
SCORES: Table = models.TrialIntermediateValueModel.__table__
STUDIES: Table = models.StudyModel.__table__

INDEXES = {
    "recsweep_states": "CREATE INDEX recsweep_states ON trials (study_id, state, trial_id)",
    "recsweep_retries": (
        "CREATE INDEX recsweep_retries ON trial_user_attributes (trial_id) WHERE key = 'attempt'"
    ),
}
"""Indexes that make the cost of a claim independent of the number of trials. Optuna does not mind them."""

_WRITTEN = {
    ATTRIBUTES: (("trial_id", "key"), ("value_json",)),
    PARAMS: (("trial_id", "param_name"), ("param_value", "distribution_json")),
    VALUES: (("trial_id", "objective"), ("value", "value_type")),
    SCORES: (("trial_id", "step"), ("intermediate_value", "intermediate_value_type")),
}
"""Of each table of which a trial has rows: what names a row, and what stands in it."""


@cache
def upserts(insert: Callable[[Table], Any]) -> Mapping[Table, Any]:
    """For each table of which a trial has rows, the statement that writes one, new or not.

    Args:
        insert: of the dialect; standard SQL has no such statement.
    """
    return {table: _upsert(insert(table), keys, columns) for table, (keys, columns) in _WRITTEN.items()}


def _upsert(insert: Any, keys: Sequence[str], columns: Sequence[str]) -> Any:
    statement = insert.values({name: bindparam(name) for name in (*keys, *columns)})
    new = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=list(keys), set_=new)


def _of_study(*states: TrialState) -> Any:
    return and_(TRIALS.c.study_id == bindparam("study"), TRIALS.c.state.in_(states))


# -- what waits ----------------------------------------------------------------------------------

SLOT = select(ATTRIBUTES.c.value_json).where(
    ATTRIBUTES.c.trial_id == bindparam("id"), ATTRIBUTES.c.key == "slot"
)
FIRST_WAITING = (
    select(TRIALS.c.trial_id, TRIALS.c.number)
    .where(TRIALS.c.study_id == bindparam("study"), TRIALS.c.state == TrialState.WAITING)
    .order_by(TRIALS.c.trial_id)
    .limit(1)
)
WAITING = (
    select(TRIALS.c.trial_id, TRIALS.c.number, ATTRIBUTES.c.value_json)
    .select_from(
        TRIALS.outerjoin(
            ATTRIBUTES, and_(ATTRIBUTES.c.trial_id == TRIALS.c.trial_id, ATTRIBUTES.c.key == "slot")
        )
    )
    .where(_of_study(TrialState.WAITING))
    .order_by(TRIALS.c.trial_id)
)
# The literal, and not a parameter: only so the planner takes the small index of retries.
RETRIES: Mapping[tuple[TrialState, ...], Any] = {
    states: select(TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state)
    .select_from(ATTRIBUTES.join(TRIALS, TRIALS.c.trial_id == ATTRIBUTES.c.trial_id))
    .where(
        sqlalchemy.literal_column("trial_user_attributes.key") == sqlalchemy.literal_column("'attempt'"),
        # An expression, and not the column, and ordered by the index of retries: else SQLite goes
        # through all trials of the study first.
        TRIALS.c.study_id + 0 == bindparam("study"),
        TRIALS.c.state.in_(states),
    )
    .order_by(ATTRIBUTES.c.trial_id)
    for states in ((TrialState.WAITING,), OPEN)
}

# -- what runs, and what is closed ---------------------------------------------------------------

RUNNING = select(TRIALS.c.trial_id).where(_of_study(TrialState.RUNNING)).order_by(TRIALS.c.trial_id)
AT_WORK = select(TRIALS.c.study_id).where(TRIALS.c.state == TrialState.RUNNING).distinct()
FINISHED = (
    select(TRIALS.c.trial_id)
    .where(_of_study(*CLOSED), TRIALS.c.trial_id >= bindparam("since"))
    .order_by(TRIALS.c.trial_id)
)
_OF_STUDY = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == bindparam("study"))
# `ORDER BY … LIMIT 1` and not `MIN`, for which SQLite walks through all trials of the study.
FIRST_OPEN = [_OF_STUDY.where(TRIALS.c.state == state).order_by(TRIALS.c.trial_id).limit(1) for state in OPEN]
LAST = _OF_STUDY.order_by(TRIALS.c.trial_id.desc()).limit(1)

# -- one trial -----------------------------------------------------------------------------------

STATE = select(TRIALS.c.state).where(TRIALS.c.trial_id == bindparam("id"))
TAKE = (
    update(TRIALS)
    .where(TRIALS.c.trial_id == bindparam("id"), TRIALS.c.state == TrialState.WAITING)
    .values(state=TrialState.RUNNING, datetime_start=bindparam("now"))
)
CLOSE = (
    update(TRIALS)
    .where(TRIALS.c.trial_id == bindparam("id"))
    .values(state=bindparam("new_state"), datetime_complete=bindparam("now"))
)
COUNT_END = sqlalchemy.text("""
INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (:study, 'trials_ended', '1')
ON CONFLICT (study_id, key) DO UPDATE
  SET value_json = CAST(CAST(study_user_attributes.value_json AS INTEGER) + 1 AS TEXT)
RETURNING value_json""")
"""Of how many trials of a study the end was written, this one among them. A count of rows would grow."""
