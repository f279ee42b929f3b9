"""How many trials of each study there are, by state: for all studies of a store at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Table, func, select

from recsweep.study.states import Reason
from recsweep.study.trial import OPEN, best, from_optuna, latest

_TRIALS: Table = models.TrialModel.__table__
_ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_DIRECTIONS: Table = models.StudyDirectionModel.__table__


@dataclass(frozen=True)
class Tally:
    """The trials of one study, counted.

    Attributes:
        failed: for a reason that is a result; trials that were put back are not among them.
        best: the best score in the first objective; of the pruned trials where none is complete.
        again: a slot that had failed waits or runs once more, so that its failure may not count.
    """

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    best: float | None = None
    again: bool = False

    @property
    def filled(self) -> int:
        """Slots that have their result."""
        return self.complete + self.pruned + self.failed


def tally_trials(trials: Iterable[FrozenTrial], *, maximize: bool) -> Tally:
    """The trials of one study counted one by one: exact, whatever happened to its slots."""
    own = [from_optuna(trial) for trial in trials]
    slots = latest(own)
    counted = [trial for trial in slots.values() if trial.counted]
    winner = best(counted, maximize=maximize)
    states = [str(trial.state) for trial in counted]
    still = [str(trial.state) for trial in own]
    return Tally(
        states.count("complete"),
        states.count("pruned"),
        states.count("failed"),
        still.count("running"),
        still.count("waiting"),
        None if winner is None else winner.score,
    )


def tally_storage(storage: BaseStorage) -> dict[int, Tally]:
    """The tallies of a storage that is asked through Optuna, by the ids of its studies."""
    found = {}
    for study in storage.get_all_studies():
        trials = storage.get_all_trials(study._study_id, deepcopy=False)
        more = study.directions[0] == StudyDirection.MAXIMIZE
        found[study._study_id] = tally_trials(trials, maximize=more)
    return found


def tally_tables(connection: Connection) -> dict[int, Tally]:
    """The tallies of a database in four queries, by the ids of its studies that have trials."""
    counts: dict[int, dict[str, int]] = {}
    query = select(_TRIALS.c.study_id, _TRIALS.c.state, func.count()).group_by(
        _TRIALS.c.study_id, _TRIALS.c.state
    )
    for study_id, state, number in connection.execute(query):
        counts.setdefault(study_id, {})[state.name] = number
    put_back, failed = _put_back(connection), {one for one, row in counts.items() if "FAIL" in row}
    again, scores = _again(connection) & failed, _best(connection)
    return {
        study_id: Tally(
            row.get("COMPLETE", 0),
            row.get("PRUNED", 0),
            row.get("FAIL", 0) - put_back.get(study_id, 0),
            row.get("RUNNING", 0),
            row.get("WAITING", 0),
            scores.get(study_id),
            study_id in again,
        )
        for study_id, row in counts.items()
    }


def _put_back(connection: Connection) -> dict[int, int]:
    """How many closed trials of each study say nothing: their slots were given back."""
    joined = _TRIALS.join(_ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
    query = select(_TRIALS.c.study_id, _ATTRIBUTES.c.value_json).select_from(joined)
    found: dict[int, int] = {}
    for study_id, text in connection.execute(
        query.where(_TRIALS.c.state == TrialState.FAIL, _ATTRIBUTES.c.key == "failure")
    ):
        if not _is_result(json.loads(text)):
            found[study_id] = found.get(study_id, 0) + 1
    return found


def _is_result(failure: Any) -> bool:
    kind = failure.get("kind") if isinstance(failure, dict) else None
    return kind is None or Reason(kind).is_result


def _again(connection: Connection) -> set[int]:
    """Studies with a slot that waits or runs for another time."""
    joined = _TRIALS.join(_ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
    query = select(_TRIALS.c.study_id.distinct()).select_from(joined)
    return set(
        connection.execute(query.where(_ATTRIBUTES.c.key == "attempt", _TRIALS.c.state.in_(OPEN))).scalars()
    )


def _best(connection: Connection) -> dict[int, float]:
    """The best value of the first objective; of complete trials before pruned ones."""
    joined = _TRIALS.join(_VALUES, _TRIALS.c.trial_id == _VALUES.c.trial_id).join(
        _DIRECTIONS, (_DIRECTIONS.c.study_id == _TRIALS.c.study_id) & (_DIRECTIONS.c.objective == 0)
    )
    value = _VALUES.c.value
    query = (
        select(_TRIALS.c.study_id, _TRIALS.c.state, _DIRECTIONS.c.direction, func.max(value), func.min(value))
        .select_from(joined)
        .where(_VALUES.c.objective == 0)
        .group_by(_TRIALS.c.study_id, _TRIALS.c.state, _DIRECTIONS.c.direction)
    )
    found: dict[int, float] = {}
    rows = sorted(connection.execute(query), key=lambda row: bool(row[1] == TrialState.COMPLETE))
    for study_id, _, direction, most, least in rows:
        found[study_id] = most if direction == StudyDirection.MAXIMIZE else least
    return found
