"""How many trials of each study there are, by state: for all studies of a store at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from optuna.storages import BaseStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    Connection,
    String,
    Table,
    and_,
    case,
    func,
    literal_column,
    null,
    select,
    type_coerce,
)

from recsweep.study.journal_storage import everything
from recsweep.study.outcomes import Outcome, best, latest
from recsweep.study.states import Reason, State
from recsweep.study.trial import STATES

_TRIALS: Table = models.TrialModel.__table__
_ATTRIBUTES: Table = models.TrialUserAttributeModel.__table__
_VALUES: Table = models.TrialValueModel.__table__
_DIRECTIONS: Table = models.StudyDirectionModel.__table__
_STATES = {state.name: own for state, own in STATES.items()}


class Tally(NamedTuple):
    """The trials of one study, counted.

    Attributes:
        failed: for a reason that is a result, in slots that came to nothing better; trials that were put back
            are not among them.
        best: the best score in the first objective; of the pruned trials where none is complete.
        given_back: trials that failed for a reason that is no result.
    """

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    best: float | None = None
    given_back: int = 0

    @property
    def filled(self) -> int:
        """Slots that have their result."""
        return self.complete + self.pruned + self.failed


def tally(trials: Iterable[Outcome], *, maximize: bool) -> Tally:
    """The trials of one study, counted one by one."""
    every = list(trials)
    counted = [trial for trial in latest(every).values() if trial.counted]
    states, still = (Counter(trial.state for trial in some) for some in (counted, every))
    winner = best(counted, maximize=maximize)
    return Tally(
        states[State.COMPLETE],
        states[State.PRUNED],
        states[State.FAILED],
        still[State.RUNNING],
        still[State.WAITING],
        None if winner is None else winner.score,
        sum(trial.state is State.FAILED and not trial.counted for trial in every),
    )


def tally_storage(storage: BaseStorage) -> dict[int, Tally]:
    """The tallies of a storage that is asked through Optuna, by the ids of its studies."""
    return {
        study._study_id: tally(map(_outcome, trials), maximize=study.directions[0] == StudyDirection.MAXIMIZE)
        for study, trials in everything(storage)
    }


def _outcome(trial: FrozenTrial) -> Outcome:
    own = trial.user_attrs
    return Outcome(
        trial._trial_id,
        trial.number,
        int(own.get("slot", trial.number)),
        STATES[trial.state],
        _reason(own.get("failure")),
        trial.values[0] if trial.values else None,
    )


def _reason(failure: Any) -> Reason | None:
    """The reason that stands with a trial that failed or was pruned; None where there is none."""
    kind = failure.get("kind") if isinstance(failure, dict) else None
    return None if kind is None else Reason(kind)


def tally_tables(
    connection: Connection,
    ids: Collection[int] | None = None,
    *,
    scored: Collection[int] | None = None,
    maximize: Mapping[int, bool] | None = None,
) -> dict[int, Tally]:
    """The tallies of a database in one query, by the ids of its studies that have trials.

    Where trials failed there is one query more, of these and of those that were tried again: not every
    failure is a result, nor the last word on its slot.

    Args:
        ids: of the studies that are asked for; all by default. What others have is not looked at.
        scored: those of them whose best score is wanted; all by default. Others are counted by an index.
        maximize: whether more is better, by study; asked for, where it is not given.
    """
    ways = _ways(connection, ids) if maximize is None else maximize
    counts: dict[int, dict[str, int]] = {}
    scores: dict[int, dict[str, float]] = {}
    for study_id, state, number, most, least in connection.execute(_counts(ids, scored)):
        counts.setdefault(study_id, {})[state] = number
        if most is not None:
            scores.setdefault(study_id, {})[state] = most if ways.get(study_id) else least
    failing = [study_id for study_id, row in counts.items() if "FAIL" in row]
    failures = _failures(connection, None if ids is None else failing) if failing else {}
    return {
        study_id: _tally_of(row, scores.get(study_id, {}), failures.get(study_id, Tally()))
        for study_id, row in counts.items()
    }


def _tally_of(counts: Mapping[str, int], scores: Mapping[str, float], failures: Tally) -> Tally:
    return Tally(
        counts.get("COMPLETE", 0),
        counts.get("PRUNED", 0),
        failures.failed,
        counts.get("RUNNING", 0),
        counts.get("WAITING", 0),
        scores.get("COMPLETE", scores.get("PRUNED")),
        failures.given_back,
    )


# States and directions as the text that they are: of thousands, Optuna's enums take as long as the query.
_STATE = type_coerce(_TRIALS.c.state, String).label("state")
_SLOT, _FAILURE, _ATTEMPT = (_ATTRIBUTES.alias(name) for name in ("slot", "failure", "attempt"))


def _of_trial(table: Any, *conditions: Any) -> Any:
    return and_(table.c.trial_id == _TRIALS.c.trial_id, *conditions)


_VALUE = _of_trial(_VALUES, _VALUES.c.objective == 0)
_JOINED = _TRIALS.outerjoin(_SLOT, _of_trial(_SLOT, _SLOT.c.key == "slot")).outerjoin(
    _FAILURE, _of_trial(_FAILURE, _FAILURE.c.key == "failure")
)
_COLUMNS = (
    _TRIALS.c.study_id,
    _TRIALS.c.trial_id,
    _TRIALS.c.number,
    _STATE,
    _SLOT.c.value_json.label("slot"),
    _FAILURE.c.value_json.label("failure"),
)
_OUTCOMES = select(*_COLUMNS, _VALUES.c.value.label("score")).select_from(_JOINED.outerjoin(_VALUES, _VALUE))
# The literal, and not a parameter: only so the planner takes the small index of retries.
_TRIED_AGAIN = _of_trial(_ATTEMPT, literal_column("attempt.key") == literal_column("'attempt'"))


_IS_FAILED = _TRIALS.c.state == TrialState.FAIL
_FAILED = select(*_COLUMNS).select_from(_JOINED).where(_IS_FAILED)
_FAILED_ONCE = (
    select(*_COLUMNS[:4], null().label("slot"), _FAILURE.c.value_json.label("failure"))
    .select_from(_TRIALS.outerjoin(_FAILURE, _of_trial(_FAILURE, _FAILURE.c.key == "failure")))
    .where(_IS_FAILED)
)
_AGAIN = select(*_COLUMNS).select_from(_JOINED.join(_ATTEMPT, _TRIED_AGAIN))


def outcomes(connection: Connection, ids: Collection[int]) -> dict[int, list[Outcome]]:
    """Every trial of some studies, without its details, by study."""
    found: dict[int, list[Outcome]] = {study_id: [] for study_id in ids}
    for row in connection.execute(_OUTCOMES.where(_TRIALS.c.study_id.in_(ids))):
        found[row.study_id].append(_outcome_of(row, row.score))
    return found


def _outcome_of(row: Any, score: float | None = None) -> Outcome:
    slot = row.number if row.slot is None else int(row.slot)
    reason = None if row.failure is None else _reason(json.loads(row.failure))
    return Outcome(row.trial_id, row.number, slot, _STATES[row.state], reason, score)


def _ways(connection: Connection, ids: Collection[int] | None) -> dict[int, bool]:
    """True where more is better, by study."""
    direction = type_coerce(_DIRECTIONS.c.direction, String)
    query = select(_DIRECTIONS.c.study_id, direction).where(
        _DIRECTIONS.c.objective == 0, *_among(_DIRECTIONS, ids)
    )
    return {study_id: way == "MAXIMIZE" for study_id, way in connection.execute(query)}


def _counts(ids: Collection[int] | None, scored: Collection[int] | None) -> Any:
    """Of each study and state: how many trials, the greatest and the least value of the first objective."""
    values: tuple[Any, ...] = (null(), null())
    source: Any = _TRIALS
    if scored is None:
        source = _TRIALS.outerjoin(_VALUES, _VALUE)
        values = (func.max(_VALUES.c.value), func.min(_VALUES.c.value))
    elif scored:
        value = select(_VALUES.c.value).where(_VALUE).correlate(_TRIALS).scalar_subquery()
        wanted = case((_TRIALS.c.study_id.in_(scored), value))
        values = (func.max(wanted), func.min(wanted))
    columns = (_TRIALS.c.study_id, _STATE)
    query = select(*columns, func.count(), *values).select_from(source)
    return query.where(*_among(_TRIALS, ids)).group_by(_TRIALS.c.study_id, _TRIALS.c.state)


def _failures(connection: Connection, ids: Collection[int] | None) -> dict[int, Tally]:
    """Tallies of the failures alone: `failed` and `given_back`."""
    among = _among(_TRIALS, ids)
    found: dict[int, list[Outcome]] = {}
    tried_again = {row.trial_id: row for row in connection.execute(_AGAIN.where(*among))}
    again = {row.study_id for row in tried_again.values()}
    # Slots are asked for only where one was tried again: elsewhere a trial is its slot's only one.
    several = connection.execute(_FAILED.where(*_among(_TRIALS, list(again)))).all() if again else []
    tried_again |= {row.trial_id: row for row in several}
    once = [row for row in connection.execute(_FAILED_ONCE.where(*among)) if row.study_id not in again]
    for row in (*tried_again.values(), *once):
        found.setdefault(row.study_id, []).append(_outcome_of(row))
    return {study_id: tally(some, maximize=True) for study_id, some in found.items()}


def _among(table: Table, ids: Collection[int] | None) -> tuple[Any, ...]:
    return () if ids is None else (table.c.study_id.in_(ids),)
