"""Studies brought from one store into another, without doubling a trial; studies renamed and removed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.exceptions import DuplicatedStudyError
from optuna.trial import FrozenTrial

from recsweep.common.errors import UserError
from recsweep.common.files import counted
from recsweep.study.definitions import stored_form
from recsweep.study.outcomes import latest
from recsweep.study.record import StudyRecord
from recsweep.study.slots import POINTS
from recsweep.study.states import State
from recsweep.study.store import Store
from recsweep.study.study import TEST_ATTRIBUTE, Study
from recsweep.study.trial import CLOSED, ENDED, ENDS, Trial, from_optuna, owner_alive

_OPEN = (State.WAITING, State.RUNNING)
_RECORD = "record"
"""Attribute in which a journal keeps what a table keeps elsewhere."""


@dataclass(frozen=True)
class Brought:
    """The outcome of bringing one study.

    Attributes:
        added: trials that are new here.
        known: trials that were here already.
        left: trials whose slots have another result here, or run here at this moment.
        refused: why nothing was brought; empty where it was.
    """

    study: str
    added: int = 0
    known: int = 0
    left: int = 0
    refused: str = ""

    def text(self) -> str:
        if self.refused:
            return f"{self.study}: not brought; {self.refused}"
        parts = [f"{counted(self.added, 'trial')} brought"]
        parts += [f"{self.known} known"] if self.known else []
        parts += [f"{self.left} left out, as their slots are filled or run here"] if self.left else []
        return f"{self.study}: {', '.join(parts)}"


def merge(source: Store, target: Store, records: Sequence[StudyRecord]) -> Iterator[Brought]:
    """Bring studies of one store into another, one after the other.

    A slot that has its result keeps it, so that however often stores are merged, and whatever ends a merge in
    its middle, no trial is there twice. What runs in the source stays there; its slot waits here.

    Args:
        records: of the source.
    """
    for record in records:
        kept = target.find_record(record.study)
        if kept is not None and stored_form(kept.definition) != stored_form(record.definition):
            why = "the study of that name here has another definition; rename one of them with `recsweep mv`"
            yield Brought(record.study, refused=why)
            continue
        if kept is None and _is_foreign(record.study, target):
            yield Brought(record.study, refused="the study of that name here was made by another program")
            continue
        if kept is not None and not _same_slots(source.study_of(record), target.study_of(kept)):
            why = "its slots here are other trainings; remove one of them with `recsweep rm`"
            yield Brought(record.study, refused=why)
            continue
        yield _bring(source, target, record, record.study if kept is None else None)


def _same_slots(theirs: Study, own: Study) -> bool:
    """True where a slot is the same training in both, and is so afterwards: the longer list of them stays.

    A search has no such list; each slot of evidence is given.
    """
    given, here = (study.attributes.get(POINTS, []) for study in (theirs, own))
    if given[: len(here)] != here[: len(given)]:
        return False
    if len(given) > len(here):
        own.set_attribute(POINTS, given)
    return True


def _is_foreign(name: str, target: Store) -> bool:
    """True where a study without a record is another program's: one that has trials."""
    if name not in target.names():
        return False
    study_id = target.optuna_storage.get_study_id_from_name(name)
    return target.optuna_storage.get_n_trials(study_id) > 0


def _bring(source: Store, target: Store, record: StudyRecord, new: str | None) -> Brought:
    """Bring one study.

    Args:
        new: the name that it is to be made under; None: it is there.
    """
    theirs = source.study_of(record)
    own = target.study_of(record) if new is None else _study_here(theirs, source, target, record, new)
    with own.exclusive():
        whole = new is not None or _is_a_copy(own, theirs)
        if whole:
            _count_ends(theirs, own)
        outcome, ids = _add_trials(source, target, theirs, own, whole=whole)
    if outcome.added or new is not None:
        _describe(theirs, own, replace(record, study=own.name), ids)
    return outcome


def _is_a_copy(own: Study, theirs: Study) -> bool:
    """True where all that is here was brought from there: a merge was ended in its middle, or is repeated."""
    there = {_identity(trial) for trial in theirs.trials()}
    return all(trial.state not in _OPEN and _identity(trial) in there for trial in own.trials())


def _count_ends(theirs: Study, own: Study) -> None:
    """Let trials that end here from now on come after those that ended there; a journal keeps no count."""
    most = max((trial.ended for trial in theirs.trials() if trial.ended is not None), default=0)
    if most > int(own.attributes.get(ENDS, 0)):
        own.set_attribute(ENDS, most)


def _study_here(theirs: Study, source: Store, target: Store, record: StudyRecord, name: str) -> Study:
    """The study, made with all that stands beside its trials but the winner, whose id is another one here."""
    directions = source.optuna_storage.get_study_directions(theirs.id)
    with contextlib.suppress(DuplicatedStudyError):
        target.optuna_storage.create_new_study(directions, name)
    study_id = target.optuna_storage.get_study_id_from_name(name)
    for key, value in theirs.attributes.items():
        if key not in (TEST_ATTRIBUTE, _RECORD):
            target.optuna_storage.set_study_user_attr(study_id, key, value)
    for key, value in source.optuna_storage.get_study_system_attrs(theirs.id).items():
        target.optuna_storage.set_study_system_attr(study_id, key, value)
    here = replace(record, study=name)
    study = target.study_of(here)
    study.change_record(lambda kept: here)
    return study


def _add_trials(
    source: Store, target: Store, theirs: Study, own: Study, *, whole: bool
) -> tuple[Brought, dict[int, int]]:
    """Add what is new.

    Args:
        whole: also trials that came to nothing, as there is no slot here that they could confuse.

    Returns:
        How many, and the ids of the trials here by those there.
    """
    here = {_identity(trial): trial.id for trial in own.trials()}
    slots = latest(own.trials())
    filled = {slot for slot, trial in slots.items() if trial.counted or trial.state == State.RUNNING}
    ids: dict[int, int] = {}
    added = same_here = left = 0
    for frozen in source.optuna_storage.get_all_trials(theirs.id, deepcopy=False):
        trial = from_optuna(frozen)
        if frozen.state not in CLOSED or not (whole or trial.counted):
            continue
        if (same := here.get(_identity(trial))) is not None:
            ids[trial.id], same_here = same, same_here + 1
        elif trial.counted and trial.slot in filled:
            left += 1
        else:
            waiting = slots.get(trial.slot)
            if trial.counted and waiting is not None and waiting.state == State.WAITING:
                own.drop_waiting(waiting, "a trial of another store fills the slot")
            ids[trial.id] = target.optuna_storage.create_new_trial(own.id, _template(frozen, whole=whole))
            added += 1
            filled |= {trial.slot} if trial.counted else set()
    return Brought(own.name, added, same_here, left), ids


def _template(trial: FrozenTrial, *, whole: bool) -> FrozenTrial:
    """A trial as it is, for another study: its number and id are given there.

    Its place among those that ended is one of its own study: where that is not brought whole it has none.
    """
    left_out = () if whole else (ENDED,)
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=trial.state,
        value=None,
        values=list(trial.values) if trial.values is not None else None,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        user_attrs={key: value for key, value in trial.user_attrs.items() if key not in left_out},
        system_attrs=dict(trial.system_attrs),
        intermediate_values=dict(trial.intermediate_values),
    )


def _identity(trial: Trial) -> str:
    """The values of a trial that are the same in every store that has it."""
    started = trial.started.isoformat(timespec="milliseconds") if trial.started else None
    parts = (trial.slot, trial.attempt, str(trial.state), started, trial.seed, dict(trial.params))
    return json.dumps(parts, sort_keys=True, default=str)


def _describe(theirs: Study, own: Study, record: StudyRecord, ids: Mapping[int, int]) -> None:
    """Say what the study is now: closed as it was, or with the larger budget and open."""
    test = theirs.attributes.get(TEST_ATTRIBUTE)
    winner = record.details.winner

    def step(kept: StudyRecord | None) -> StudyRecord | None:
        base = kept or record
        if winner is not None and winner.trial_id in ids and record.ended is not None and kept == record:
            moved = replace(winner, trial_id=ids[winner.trial_id])
            return record.with_details(winner=moved)
        grown = base.raised(max(base.budget, record.budget), "merge")
        return replace(grown, ended=None, ended_by="")

    changed = own.change_record(step)
    if test and changed is not None and changed.ended is not None and test.get("trial_id") in ids:
        own.set_attribute(TEST_ATTRIBUTE, {**test, "trial_id": ids[test["trial_id"]]})


def remove(store: Store, record: StudyRecord) -> None:
    """Remove a study and all its trials.

    Raises:
        UserError: a trial of it runs.
    """
    study = store.study_of(record)
    _require_rest(study, "removed")
    store.delete(study)


def rename(store: Store, record: StudyRecord, name: str, before: Callable[[], None] = lambda: None) -> None:
    """Give a study another name in the store.

    Args:
        before: what is done first, once it is certain that it can be renamed. A kill after it leaves the old
            name, under which the same can be asked for again.

    Raises:
        UserError: there is a study of that name, or a trial of this one runs.
    """
    check_free(store, record, name)
    study = store.study_of(record)
    _require_rest(study, "renamed")
    before()
    if name in store.names() or not store.rename(study, name):
        _bring(store, store, record, name)
        store.delete(study)


def check_free(store: Store, record: StudyRecord, name: str) -> None:
    """See that a study can have a name: nobody has it, or a copy that a kill left unfinished.

    Raises:
        UserError: it is another study's.
    """
    if name not in store.names():
        return
    study, kept = store.find_study(name), store.find_record(name)
    alike = kept is not None and stored_form(kept.definition) == stored_form(record.definition)
    if (
        study is None
        or name == record.study
        or not (alike or (kept is None and not study.trials()))
        or not _is_a_copy(study, store.study_of(record))
    ):
        raise UserError(f"the store has a study {name} already; give another name")


def _require_rest(study: Study, done: str) -> None:
    running: list[Any] = [trial for trial in study.running() if owner_alive(trial) is not False]
    if running:
        run = "runs" if len(running) == 1 else "run"
        raise UserError(
            f"{counted(len(running), 'trial')} of study {study.name} {run}; "
            f"a study that is worked on is not {done}; stop it first: recsweep stop {study.name} --now"
        )
