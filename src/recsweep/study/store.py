"""The store itself: opened once in a process, asked for studies by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from recsweep.common.address import AddressError, StoreAddress
from recsweep.common.collector import held
from recsweep.common.errors import InputError, StudyChanged, StudyForeign, UserError
from recsweep.study.database import Patience, open_backend, store_errors
from recsweep.study.definitions import difference, foreign, refuse_if_touched, stored_form
from recsweep.study.record import SEARCH, StudyRecord
from recsweep.study.states import State
from recsweep.study.study import Study
from recsweep.study.tally import Tally

_METRIC_NAMES = "study:metric_names"
"""Where Optuna's `Study.set_metric_names` keeps them."""
_AS_IT_WAS_OPENED = (
    "join with the files and options that it was opened with, or open it anew by `recsweep tune --restart`"
)


class Store:
    """An Optuna storage with the waiting, the claims and the errors that a sweep needs.

    Args:
        address: `sqlite:///outputs/recsweep.db` by default; PostgreSQL by SQLAlchemy's URL, Optuna's journal
            file by `journal:///FILE`.
        patience_seconds: how long a store that is away is waited for.
        tell: takes a line when it has to be waited for, or when a torn end of a journal was dropped.
        wait_to_open: wait already if it is away now. Left out, a wrong URL is told at once.

    Raises:
        InputError: not the address of a store.
        UserError: the server lets nobody in so.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(
        self,
        address: StoreAddress | str,
        patience_seconds: float = 0.0,
        tell: Callable[[str], None] | None = None,
        *,
        wait_to_open: bool = False,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self.address = StoreAddress.of(address)
        except AddressError as error:
            raise InputError("storage", error.problem, error.fix) from None
        self.patience = Patience(self.address, patience_seconds, tell)
        opening = self.patience if wait_to_open else Patience(self.address)
        self._opened: dict[str, Study] = {}
        self._backend = opening.call(lambda again: open_backend(self.address, tell))

    @property
    def optuna_storage(self) -> BaseStorage:
        """The same store for Optuna's own tools."""
        return self._backend.storage

    def open_study(
        self,
        name: str,
        definition: Mapping[str, Any],
        *,
        maximize: bool | Sequence[bool],
        restart: bool = False,
        record: StudyRecord | None = None,
    ) -> Study:
        """The study of that name, made now if there is none.

        Args:
            definition: all that decides what its trials compute.
            maximize: for each objective, whether more is better.
            restart: archive a study that was made from another definition, or in which every
                trial failed, and start anew.
            record: how it describes itself from now on.

        Raises:
            StudyForeign: another program made it.
            StudyChanged: trials of the study came to something or run, and it was made from another
                definition. Slots that wait, or were given back, do not hold it to that.
        """
        each = maximize if isinstance(maximize, Sequence) else (maximize,)
        directions = [StudyDirection.MAXIMIZE if more else StudyDirection.MINIMIZE for more in each]

        def make(again: bool) -> Study:
            with contextlib.suppress(DuplicatedStudyError):
                self.optuna_storage.create_new_study(directions, name)
            return self._study(name)

        study = self.patience.call(make)
        self._require_ours(study)
        if self._is_to_turn(study, stored_form(definition), directions):
            self.patience.call(lambda again: self._delete(study))
            study = self.patience.call(make)
        change = difference(study, definition)
        if change and not restart:
            refuse_if_touched(study, change)
        if change or (restart and study.all_failed()):
            with store_errors(self.address):
                if restart or any(trial.state != State.WAITING for trial in study.trials()):
                    self._archive(study)
                self._delete(study)
            return self.open_study(name, definition, maximize=maximize, record=record)
        if record is not None:
            study.change_record(record.opened)
        wanted = stored_form(definition)
        if stored_form(study.attributes.get("definition", {})) != wanted:
            study.set_attribute("definition", wanted)
        return study

    def name_objectives(self, study: Study, names: Sequence[str]) -> None:
        """Tell Optuna's tools what the values of a study are; its dashboard shows the names."""
        storage = self.optuna_storage
        named = self.patience.call(lambda again: storage.get_study_system_attrs(study.id)).get(_METRIC_NAMES)
        if named != list(names):
            self.patience.call(
                lambda again: storage.set_study_system_attr(study.id, _METRIC_NAMES, list(names))
            )

    def find_study(self, name: str, definition: Mapping[str, Any] | None = None) -> Study | None:
        """The study of that name, or None. Makes nothing.

        Raises:
            StudyForeign: another program made it.
            StudyChanged: a definition is given, and the study was made from another one.
        """
        try:
            study = self.patience.call(lambda again: self._study(name))
        except KeyError:
            return None
        self._require_ours(study)
        change = difference(study, definition) if definition is not None else None
        if change:
            raise StudyChanged(f"{change}; {_AS_IT_WAS_OPENED}")
        return study

    def find_as_opened(self, name: str, definition: Mapping[str, Any]) -> Study | None:
        """The study as `open_study` would give it; None where that would make it anew. Makes nothing.

        Raises:
            StudyChanged: what was found there was made from another definition.
        """
        study = self.find_study(name)
        change = difference(study, definition) if study is not None else None
        if study is None or change is None:
            return study
        refuse_if_touched(study, change)
        return None

    def _require_ours(self, study: Study) -> None:
        """Refuse a study with trials that are not of our making; an empty one may be anybody's."""
        if "definition" in study.attributes or not (trials := self._count(study)):
            return
        if "definition" not in study.attributes:  # which may have come just before the trials did
            raise foreign(study, f"it has {trials} trial{'s' if trials > 1 else ''} and no definition")

    def _count(self, study: Study) -> int:
        return self.patience.call(lambda again: self.optuna_storage.get_n_trials(study.id))

    def _is_to_turn(self, study: Study, definition: Any, wanted: Sequence[StudyDirection]) -> bool:
        """True where a study of ours, empty so far, was opened to go another way.

        Raises:
            StudyForeign: it goes another way than its definition says.
        """
        stored = self.patience.call(lambda again: self.optuna_storage.get_study_directions(study.id))
        defined = study.attributes.get("definition")
        if list(stored) == list(wanted) or (defined is not None and stored_form(defined) != definition):
            return list(stored) != list(wanted) and not self._count(study)
        if defined is None or self._count(study):
            ways = "/".join(direction.name.lower() for direction in stored)
            raise foreign(study, f"its objectives are to {ways}, and not what the sweep searches for")
        return True

    def delete(self, study: Study) -> None:
        """Remove a study with its trials and its record; nothing happens where it is gone."""
        self.patience.call(lambda again: self._delete(study))
        self._opened.pop(study.name, None)

    def rename(self, study: Study, name: str) -> bool:
        """Give a study another name in one step; False where this kind of store cannot."""
        self._opened.pop(study.name, None)
        return self.patience.call(lambda again: self._backend.records.rename(study.id, name))

    def _delete(self, study: Study) -> None:
        with contextlib.suppress(KeyError):  # another process was faster
            self.optuna_storage.delete_study(study.id)

    def _study(self, name: str) -> Study:
        """A study, the same object as long as it is the same study: it remembers what it has read."""
        return self._kept(name, self.optuna_storage.get_study_id_from_name(name))

    def _kept(self, name: str, study_id: int) -> Study:
        study = self._opened.get(name)
        if study is None or study.id != study_id:
            study = self._opened[name] = Study(self._backend, self.patience, name, study_id, self)
        return study

    def forget(self, names: Sequence[str]) -> None:
        """Keep no longer what was read of these studies; the next question reads it again."""
        for name in names:
            self._opened.pop(name, None)

    # -- what is there ---------------------------------------------------------------------------

    def records(
        self,
        *,
        sweep: str | None = None,
        dataset: str | None = None,
        model: str | None = None,
        phase: str | None = None,
        archived: bool = False,
        kind: str | None = SEARCH,
    ) -> list[StudyRecord]:
        """The records of the store's studies, in the order in which they were made.

        One question to the store, however many studies there are. Those that another program made are not
        among them.

        Args:
            sweep: only of this one. The names of a study's parts are matched exactly, whatever the study
                itself is called in the store (`--study-name`).
            archived: also those that made room for a study of another definition.
            kind: only of this one; None: of all. Who does not ask means searches.
        """
        parts = _columns(sweep, dataset, model, phase, kind)
        return [record for _, record in self._described(archived, parts)]

    def _described(
        self, archived: bool, parts: Mapping[str, str | None], *, brief: bool = False
    ) -> list[tuple[int, StudyRecord]]:
        wanted = {name: value for name, value in parts.items() if value is not None}
        find = self._backend.records.find
        found = self.patience.call(lambda again: list(find(brief=brief, **wanted)))
        return [(study_id, record) for study_id, record in found if archived or record.archived is None]

    def tallied(
        self,
        *,
        sweep: str | None = None,
        dataset: str | None = None,
        model: str | None = None,
        phase: str | None = None,
        archived: bool = False,
        brief: bool = False,
        kind: str | None = SEARCH,
    ) -> list[tuple[StudyRecord, Tally]]:
        """The records as `records` gives them, with how many trials each study has.

        A handful of questions to the store, however many studies there are.

        Args:
            brief: for a list: the records may come without their details.
        """
        parts, none = _columns(sweep, dataset, model, phase, kind), Tally()
        with held():
            described = self._described(archived, parts, brief=brief)
            tallies = self.patience.call(lambda again: self._backend.records.tallies())
            return [(record, tallies.get(study_id, none)) for study_id, record in described]

    def find_record(self, name: str) -> StudyRecord | None:
        """The record of the study of that name; None where there is none of ours."""
        try:
            study = self.patience.call(lambda again: self._study(name))
        except KeyError:
            return None
        return study.record()

    def study_of(self, record: StudyRecord) -> Study:
        """The study that a record describes, for its trials.

        Raises:
            UserError: it was removed meanwhile.
        """
        study = self.find_study(record.study)
        if study is None:
            raise UserError(f"the study {record.study} is not in the store any more; look again at what is")
        return study

    def studies(
        self,
        *,
        sweep: str | None = None,
        dataset: str | None = None,
        model: str | None = None,
        phase: str | None = None,
        kind: str | None = SEARCH,
    ) -> list[Study]:
        """The studies that `records` describes, without archived ones."""
        parts = _columns(sweep, dataset, model, phase, kind)
        return [self._kept(record.study, study_id) for study_id, record in self._described(False, parts)]

    def at_work(self) -> list[Study]:
        """The studies of which trials run, in processes that live as far as can be seen from here."""
        ids = self.patience.call(lambda again: self._backend.at_work())
        found: list[Study] = []
        for study_id in ids:
            with contextlib.suppress(KeyError, StudyForeign):  # removed meanwhile, or none of ours
                name = self.optuna_storage.get_study_name_from_id(study_id)
                study, record = self.find_study(name), self.find_record(name)
                archived = record is not None and record.archived is not None
                if study is not None and not archived and study.at_work():
                    found.append(study)
        return sorted(found, key=lambda study: study.name)

    def names(self) -> list[str]:
        """Names of all studies."""
        found = self.patience.call(lambda again: self.optuna_storage.get_all_studies())
        return [study.study_name for study in found]

    def now(self) -> datetime | None:
        """The time by the store's clock, in one question to it; None where it has none."""
        return self.patience.call(lambda again: self._backend.now())

    def close(self) -> None:
        """Give back the connections."""
        self._backend.close()

    def _archive(self, study: Study) -> None:
        """Keep a copy of a study under another name: nothing that a trial did is ever lost."""
        storage = self.optuna_storage
        archive = f"{study.name}@{datetime.now().strftime('%Y%m%d-%H%M%S-%f')}"
        optuna.copy_study(
            from_study_name=study.name, from_storage=storage, to_storage=storage, to_study_name=archive
        )
        record = study.record()
        if record is not None:
            self._study(archive).change_record(lambda kept: record.put_away(archive))


def _columns(
    sweep: str | None, dataset: str | None, model: str | None, phase: str | None, kind: str | None
) -> dict[str, str | None]:
    """The columns of a record that hold its kind and the parts of the study's name."""
    names = {"sweep_name": sweep, "dataset_name": dataset, "model_name": model, "phase": phase}
    return {**names, "kind": kind}
