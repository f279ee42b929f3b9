"""Where a store keeps the records of its studies: in a table beside Optuna's, or with each study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from recsweep.study.earlier import ATTRIBUTES, Earlier, split_archived
from recsweep.study.journal_storage import everything
from recsweep.study.record import StudyRecord
from recsweep.study.tally import Tally, tally_storage

Step = Callable[[StudyRecord | None], StudyRecord | None]
"""Gives what a record becomes, given None where there is none; gives None where nothing is to change."""
RECORD = "record"
"""Attribute of a study in a store that has no table for it."""


class Records(ABC):
    """The records of one store. Each method is one step, and may be repeated."""

    @abstractmethod
    def find(self, *, brief: bool = False, **parts: str) -> Iterator[tuple[int, StudyRecord]]:
        """The records of our studies by their ids, in the order in which they were made.

        Args:
            brief: their details are not needed, and may be left out.
            parts: columns and the values that they are to have.
        """

    @abstractmethod
    def one(self, study_id: int) -> StudyRecord | None:
        """The record of a study; None where it is gone, or none of ours."""

    @abstractmethod
    def change(self, study_id: int, step: Step) -> StudyRecord | None:
        """Make a study's record what `step` makes of it, alone; None where the study is gone."""

    def rename(self, study_id: int, name: str) -> bool:
        """Give a study another name, in Optuna's table and in ours; False where one step cannot."""
        return False

    @abstractmethod
    def tallies(self) -> dict[int, Tally]:
        """How many trials each study has, by the studies' ids; one without any may be missing."""


def with_chains(found: list[tuple[int, Earlier]]) -> Iterator[tuple[int, StudyRecord]]:
    """The records of studies that have none, each with the phases of its model."""
    ours = [(study_id, one) for study_id, one in found if one.is_ours]
    chains: dict[str, list[str]] = {}
    for _, one in ours:
        model, _, phase = one.name.rpartition("/")
        if model.count("/") == 2 and split_archived(one.name)[1] is None:
            chains.setdefault(model, []).append(phase)
    for study_id, one in ours:
        chain = chains.get(one.name.rpartition("/")[0], ())
        own = one.name.rpartition("/")[2]
        yield study_id, replace(one, chain=tuple(chain) if own in chain else ()).record()


class AttributeRecords(Records):
    """Records as an attribute of each study, for a journal.

    Args:
        lock: keeps other processes from changing a study's record meanwhile.
    """

    def __init__(self, storage: BaseStorage, lock: Callable[[int], AbstractContextManager[None]]) -> None:
        self._storage, self._lock = storage, lock

    def find(self, *, brief: bool = False, **parts: str) -> Iterator[tuple[int, StudyRecord]]:
        kept: dict[int, StudyRecord] = {}
        before: list[tuple[int, Earlier]] = []
        for study, trials in everything(self._storage):
            row = study.user_attrs.get(RECORD)
            if row is None:
                earlier = _earlier(study.study_name, study.user_attrs, study.directions, trials)
                before.append((study._study_id, earlier))
            else:
                kept[study._study_id] = _own(study.study_name, row)
        found = {**kept, **dict(with_chains(before))}
        for study_id in sorted(found):
            if all(getattr(found[study_id], name) == value for name, value in parts.items()):
                yield study_id, found[study_id]

    def one(self, study_id: int) -> StudyRecord | None:
        try:
            row = self._storage.get_study_user_attrs(study_id).get(RECORD)
            if row is not None:
                return _own(self._storage.get_study_name_from_id(study_id), row)
        except KeyError:
            return None
        return dict(self.find()).get(study_id)  # with the phases that its model has

    def change(self, study_id: int, step: Step) -> StudyRecord | None:
        with self._lock(study_id):
            try:
                name = self._storage.get_study_name_from_id(study_id)
            except KeyError:
                return None
            attributes = self._storage.get_study_user_attrs(study_id)
            row = attributes.get(RECORD)
            if row is not None:
                record: StudyRecord | None = _own(name, row)
            else:
                directions = self._storage.get_study_directions(study_id)
                trials = self._storage.get_all_trials(study_id, deepcopy=False)
                earlier = _earlier(name, attributes, directions, trials)
                record = dict(with_chains([(study_id, earlier)])).get(study_id)
            new = step(record)
            if new is not None and (row is None or new != record):
                self._storage.set_study_user_attr(study_id, RECORD, new.to_row())
        return new

    def tallies(self) -> dict[int, Tally]:
        return tally_storage(self._storage)


def _earlier(
    name: str,
    attributes: Mapping[str, Any],
    directions: Sequence[StudyDirection],
    trials: Sequence[FrozenTrial],
) -> Earlier:
    started = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    return Earlier(
        name,
        {key: attributes[key] for key in ATTRIBUTES if key in attributes},
        [direction == StudyDirection.MAXIMIZE for direction in directions],
        len({trial.user_attrs.get("slot", trial.number) for trial in trials}),
        any("inherited" in trial.user_attrs for trial in trials),
        min(started).astimezone() if started else None,
    )


def _own(name: str, row: Mapping[str, Any]) -> StudyRecord:
    """A record as it stands with a study; Optuna copies it with the study that is archived."""
    record = StudyRecord.from_row(row)
    if record.study == name:
        return record
    return replace(record, study=name, archived=record.archived or split_archived(name)[1])
