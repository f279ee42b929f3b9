"""A store on PostgreSQL: each step of a trial is one statement, and so one journey to the server.

What several workers do at once is kept apart by the database: a claim locks the row that it takes and
leaves rows that others hold (`SKIP LOCKED`), a change locks the row that it changes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from recsweep.study.backend import Change
from recsweep.study.locks import server_lock
from recsweep.study.record_table import TableRecords
from recsweep.study.rows import score_type
from recsweep.study.states import State
from recsweep.study.tables import Tables
from recsweep.study.trial import Trial, from_attributes

_TRIES = 100
_PAUSE_SECONDS = 0.01

_NOW = text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
_CLAIM = text("""
WITH retry AS (
  SELECT t.trial_id, CAST(s.value_json AS integer) AS slot
  FROM trial_user_attributes a
  JOIN trials t ON t.trial_id = a.trial_id
  JOIN trial_user_attributes s ON s.trial_id = t.trial_id AND s.key = 'slot'
  WHERE a.key = 'attempt' AND t.study_id = :study AND t.state = 'WAITING'
    AND CAST(s.value_json AS integer) < :budget
    AND NOT (:shared AND EXISTS (
      SELECT 1 FROM trial_user_attributes l
      WHERE l.trial_id = t.trial_id AND l.key = 'alone' AND l.value_json = 'true'))
  ORDER BY slot, t.number LIMIT 1 FOR UPDATE OF t SKIP LOCKED
), fresh AS (
  SELECT t.trial_id, CAST(s.value_json AS integer) AS slot
  FROM trials t
  JOIN trial_user_attributes s ON s.trial_id = t.trial_id AND s.key = 'slot'
  WHERE t.study_id = :study AND t.state = 'WAITING'
    AND NOT EXISTS (
      SELECT 1 FROM trial_user_attributes a WHERE a.trial_id = t.trial_id AND a.key = 'attempt')
  ORDER BY t.trial_id LIMIT 1 FOR UPDATE OF t SKIP LOCKED
), lowest AS (
  SELECT trial_id FROM (
    SELECT trial_id, slot FROM retry UNION ALL SELECT trial_id, slot FROM fresh WHERE slot < :budget
  ) both_kinds ORDER BY slot LIMIT 1
), taken AS (
  UPDATE trials SET state = 'RUNNING', datetime_start = clock_timestamp() AT TIME ZONE 'UTC'
  FROM lowest WHERE trials.trial_id = lowest.trial_id
  RETURNING trials.trial_id, trials.number
), owned AS (
  INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT trial_id, 'owner', :owner FROM taken
  ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json
)
SELECT taken.trial_id, taken.number, (
  SELECT json_object_agg(a.key, CAST(a.value_json AS json)) FROM trial_user_attributes a
  WHERE a.trial_id = taken.trial_id AND a.key IN ('slot', 'attempt', 'crashes', 'alone')
) AS attributes FROM taken
""")

_PARTS = {
    "attributes": """
  INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT open.trial_id, new.key, new.value
  FROM open, unnest(CAST(:keys AS text[]), CAST(:texts AS text[])) AS new(key, value)
  ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json""",
    "params": """
  INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
  SELECT open.trial_id, new.name, new.value, new.distribution
  FROM open, unnest(CAST(:names AS text[]), CAST(:internals AS float8[]), CAST(:distributions AS text[]))
    AS new(name, value, distribution)
  ON CONFLICT (trial_id, param_name) DO UPDATE
    SET param_value = excluded.param_value, distribution_json = excluded.distribution_json""",
    "scores": """
  INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
  SELECT open.trial_id, new.step, new.score, CAST(new.kind AS trialintermediatevaluetype)
  FROM open, unnest(CAST(:steps AS integer[]), CAST(:scores AS float8[]), CAST(:kinds AS text[]))
    AS new(step, score, kind)
  ON CONFLICT (trial_id, step) DO UPDATE
    SET intermediate_value = excluded.intermediate_value,
        intermediate_value_type = excluded.intermediate_value_type""",
    "values": """
  INSERT INTO trial_values (trial_id, objective, value, value_type)
  SELECT open.trial_id, new.objective - 1, new.value, 'FINITE'
  FROM open, unnest(CAST(:objectives AS float8[])) WITH ORDINALITY AS new(value, objective)
  ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value""",
    "state": """
  UPDATE trials
    SET state = CAST(:state AS trialstate), datetime_complete = clock_timestamp() AT TIME ZONE 'UTC'
  FROM open WHERE trials.trial_id = open.trial_id""",
    "count": """
  INSERT INTO study_user_attributes (study_id, key, value_json) SELECT study_id, 'trials_ended', '1' FROM open
  ON CONFLICT (study_id, key) DO UPDATE
    SET value_json = CAST(CAST(study_user_attributes.value_json AS integer) + 1 AS text)
  RETURNING value_json""",
    "place": """
  INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT open.trial_id, 'ended', count_written.value_json FROM open, count_written
  ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json""",
}


@cache
def _changing(parts: tuple[str, ...]) -> Any:
    """The statement that writes these parts of a change to a trial that is open; gives its id if it is."""
    steps = ",".join(f"\n{name}_written AS ({_PARTS[name]}\n)" for name in parts)
    return text(
        "WITH open AS (\n  SELECT trial_id, study_id FROM trials WHERE trial_id = :id"  # noqa: S608 - our own parts
        f" AND state IN ('WAITING', 'RUNNING') FOR UPDATE\n),{steps}\nSELECT trial_id FROM open"
    )


class Postgres(Tables):
    """PostgreSQL.

    Args:
        storage: opened (`database.open_backend`).
    """

    def __init__(self, storage: RDBStorage) -> None:
        super().__init__(storage, postgresql.insert)
        self._at_once: sqlalchemy.Engine = storage.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reading = self._at_once
        self.records = TableRecords(self._engine, self._at_once)

    def _now(self, connection: sqlalchemy.Connection) -> datetime:
        # The server's: machines need not agree, and setting the clock of one moves nothing.
        found: datetime = connection.execute(_NOW).scalar_one()
        return found

    def _locking(self, query: Any) -> Any:
        return query.with_for_update()

    @contextmanager
    def exclusive(self, study_id: int) -> Iterator[None]:
        with server_lock(self._engine, f"slots of {study_id}"):
            yield

    def claim(
        self, study_id: int, budget: int, owner: Mapping[str, Any], *, shared: bool, again: bool
    ) -> Trial | None:
        if again and (mine := self._claimed_before(study_id, owner)) is not None:
            return mine
        values = {
            "study": study_id,
            "budget": budget,
            "shared": shared,
            "owner": json.dumps(owner),
        }
        for _ in range(_TRIES):
            with self._at_once.connect() as connection:
                row = connection.execute(_CLAIM, values).first()
            if row is not None:
                return from_attributes(row.trial_id, row.number, State.RUNNING, row.attributes or {})
            if not any(t.slot < budget and not (shared and t.alone) for t in self.waiting(study_id)):
                return None
            # Another claim holds the row for this moment; it may take another one.
            time.sleep(_PAUSE_SECONDS)
        return None

    def apply(self, study_id: int, trial_id: int, change: Change, *, again: bool) -> bool:
        if change.then is not None:
            return super().apply(study_id, trial_id, change, again=again)
        parts, values = _bound(change)
        with self._at_once.connect() as connection:
            if connection.execute(_changing(parts), {**values, "id": trial_id}).first() is not None:
                return True
        return again and change.state is not None and super().apply(study_id, trial_id, change, again=True)


def _bound(change: Change) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The parts of a change that hold something, and the values of their parameters."""
    distributions = [distribution for distribution, _ in change.params.values()]
    columns: dict[str, dict[str, list[Any]]] = {
        "attributes": {
            "keys": list(change.attributes),
            "texts": [json.dumps(value) for value in change.attributes.values()],
        },
        "params": {
            "names": list(change.params),
            "internals": [float(d.to_internal_repr(value)) for d, value in change.params.values()],
            "distributions": [distribution_to_json(distribution) for distribution in distributions],
        },
        "scores": {
            "steps": list(change.scores),
            "scores": [score if math.isfinite(score) else None for score in change.scores.values()],
            "kinds": [score_type(score).name for score in change.scores.values()],
        },
        "values": {"objectives": [float(value) for value in change.values]},
    }
    parts = [part for part, held in columns.items() if any(held.values())]
    values: dict[str, Any] = {name: column for part in parts for name, column in columns[part].items()}
    if change.state is not None:
        parts.append("state")
        values["state"] = change.state.name
    if change.ends:
        parts += ["count", "place"]
    return tuple(parts), values
