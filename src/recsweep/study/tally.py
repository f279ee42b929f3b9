"""How many trials of each study there are, by state: for all studies of a store at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from optuna.storages import BaseStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, String, Table, and_, func, null, select, type_coerce

from recsweep.study.journal_storage import everything
from recsweep.study.states import Reason, State
from recsweep.study.trial import OPEN, best, from_optuna, latest

_TRIALS: Table = models.TrialModel.__table__
_ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_DIRECTIONS: Table = models.StudyDirectionModel.__table__


class Tally(NamedTuple):
    """The trials of one study, counted.

    Attributes:
        failed: for a reason that is a result; trials that were put back are not among them.
        best: the best score in the first objective; of the pruned trials where none is complete.
        given_back: trials that failed for a reason that is no result.
        again: a slot that had failed waits or runs once more, so that its failure may not count.
    """

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    best: float | None = None
    again: bool = False
    given_back: int = 0

    @property
    def filled(self) -> int:
        """Slots that have their result."""
        return self.complete + self.pruned + self.failed


def tally_trials(trials: Iterable[FrozenTrial], *, maximize: bool) -> Tally:
    """The trials of one study counted one by one: exact, whatever happened to its slots."""
    frozen = list(trials)
    if not any(trial.state == TrialState.FAIL or "attempt" in trial.user_attrs for trial in frozen):
        return _tally_plain(frozen, maximize=maximize)
    own = [from_optuna(trial) for trial in frozen]
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
        given_back=sum(trial.state == State.FAILED and not trial.counted for trial in own),
    )


def _tally_plain(trials: Sequence[FrozenTrial], *, maximize: bool) -> Tally:
    """The same where each slot had one trial, and none failed: nothing else of them need be read."""
    values: dict[TrialState, list[float]] = {}
    counts = Counter(trial.state for trial in trials)
    for trial in trials:
        if trial.values:
            values.setdefault(trial.state, []).append(trial.values[0])
    scores = values.get(TrialState.COMPLETE) or values.get(TrialState.PRUNED)
    return Tally(
        counts[TrialState.COMPLETE],
        counts[TrialState.PRUNED],
        0,
        counts[TrialState.RUNNING],
        counts[TrialState.WAITING],
        None if not scores else max(scores) if maximize else min(scores),
    )


def tally_storage(storage: BaseStorage) -> dict[int, Tally]:
    """The tallies of a storage that is asked through Optuna, by the ids of its studies."""
    return {
        study._study_id: tally_trials(trials, maximize=study.directions[0] == StudyDirection.MAXIMIZE)
        for study, trials in everything(storage)
    }


def tally_tables(
    connection: Connection, ids: Collection[int] | None = None, *, scores: bool = True
) -> dict[int, Tally]:
    """The tallies of a database in two queries, by the ids of its studies that have trials.

    Two more where trials failed: not every failure is a result.

    Args:
        ids: of the studies that are asked for; all by default. What others have is not looked at.
        scores: look for the best; else trials are counted by an index alone.
    """
    among = _among(_TRIALS, ids)
    more = dict(connection.execute(_DIRECTION.where(*_among(_DIRECTIONS, ids))).tuples().all())
    counts: dict[int, dict[str, int]] = {}
    best_of: dict[int, tuple[bool, float | None]] = {}
    for study_id, state, number, most, least in connection.execute(
        (_COUNTS if scores else _STATES).where(*among)
    ):
        counts.setdefault(study_id, {})[state] = number
        if most is not None and not best_of.get(study_id, (False, None))[0]:
            best_of[study_id] = state == "COMPLETE", most if more.get(study_id) == "MAXIMIZE" else least
    failed = {study_id for study_id, row in counts.items() if "FAIL" in row}
    put_back, again = (_put_back(connection, among), _again(connection, among)) if failed else ({}, set())
    return {
        study_id: Tally(
            row.get("COMPLETE", 0),
            row.get("PRUNED", 0),
            row.get("FAIL", 0) - put_back.get(study_id, 0),
            row.get("RUNNING", 0),
            row.get("WAITING", 0),
            best_of.get(study_id, (False, None))[1],
            study_id in again and study_id in failed,
            put_back.get(study_id, 0),
        )
        for study_id, row in counts.items()
    }


# States and directions as the text that they are: of thousands, Optuna's enums take as long as the query.
_STATE = type_coerce(_TRIALS.c.state, String)
_DIRECTION = select(_DIRECTIONS.c.study_id, type_coerce(_DIRECTIONS.c.direction, String)).where(
    _DIRECTIONS.c.objective == 0
)
_COUNTS = (
    select(_TRIALS.c.study_id, _STATE, func.count(), func.max(_VALUES.c.value), func.min(_VALUES.c.value))
    .select_from(
        _TRIALS.outerjoin(_VALUES, and_(_VALUES.c.trial_id == _TRIALS.c.trial_id, _VALUES.c.objective == 0))
    )
    .group_by(_TRIALS.c.study_id, _TRIALS.c.state)
)
"""Of each study and state: how many trials, the greatest and the least value of the first objective."""
_STATES = select(_TRIALS.c.study_id, _STATE, func.count(), null(), null()).group_by(
    _TRIALS.c.study_id, _TRIALS.c.state
)
"""The same without the values."""


def _among(table: Table, ids: Collection[int] | None) -> tuple[Any, ...]:
    return () if ids is None else (table.c.study_id.in_(ids),)


def _put_back(connection: Connection, among: Sequence[Any]) -> dict[int, int]:
    """How many closed trials of each study say nothing: their slots were given back."""
    joined = _TRIALS.join(_ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
    query = select(_TRIALS.c.study_id, _ATTRIBUTES.c.value_json).select_from(joined)
    found: dict[int, int] = {}
    for study_id, text in connection.execute(
        query.where(*among, _TRIALS.c.state == TrialState.FAIL, _ATTRIBUTES.c.key == "failure")
    ):
        if not _is_result(json.loads(text)):
            found[study_id] = found.get(study_id, 0) + 1
    return found


def _is_result(failure: Any) -> bool:
    kind = failure.get("kind") if isinstance(failure, dict) else None
    return kind is None or Reason(kind).is_result


def _again(connection: Connection, among: Sequence[Any]) -> set[int]:
    """Studies with a slot that waits or runs for another time."""
    joined = _TRIALS.join(_ATTRIBUTES, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
    query = select(_TRIALS.c.study_id.distinct()).select_from(joined)
    query = query.where(*among, _ATTRIBUTES.c.key == "attempt", _TRIALS.c.state.in_(OPEN))
    return set(connection.execute(query).scalars())
