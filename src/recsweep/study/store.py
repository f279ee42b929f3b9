"""The store itself: opened once in a process, asked for studies by name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection

from recsweep.errors import InputError, StudyChanged
from recsweep.files import canonical_json
from recsweep.study.database import open_database, schema_lock, store_errors
from recsweep.study.study import Study

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Store:
    """An Optuna storage with the waiting, the claims and the errors that a sweep needs.

    Args:
        url: SQLAlchemy URL, `sqlite:///outputs/recsweep.db` by default.

    Raises:
        InputError: not a URL that SQLAlchemy knows.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        with store_errors(url), schema_lock(url):
            try:
                self.backend = open_database(url)
            except (sqlalchemy.exc.ArgumentError, ImportError) as error:
                raise InputError(
                    "storage", f"cannot be opened: {error}", "use sqlite:///FILE or postgresql+psycopg://…"
                ) from None

    def open_study(
        self, name: str, definition: Mapping[str, Any], *, maximize: bool, restart: bool = False
    ) -> Study:
        """The study of that name, made now if there is none.

        Args:
            definition: all that decides what its trials compute.
            restart: archive a study that was made from another definition, or in which every
                trial failed, and start anew.

        Raises:
            StudyChanged: the study has trials and was made from another definition.
        """
        with store_errors(self.url):
            direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
            with contextlib.suppress(DuplicatedStudyError):
                self.backend.create_new_study([direction], name)
            study = Study(self.backend, name, self.backend.get_study_id_from_name(name))
            change = _change(study, definition)
            if change and not restart:
                raise StudyChanged(change)
            if change or (restart and study.all_failed()):
                self._archive(name)
                return self.open_study(name, definition, maximize=maximize)
            wanted = _stored_form(definition)
            if study.attributes.get("definition") != wanted:
                study.set_attribute("definition", wanted)
            return study

    def find_study(self, name: str, definition: Mapping[str, Any] | None = None) -> Study | None:
        """The study of that name, or None. Makes nothing.

        Raises:
            StudyChanged: a definition is given, and the study was made from another one.
        """
        with store_errors(self.url):
            try:
                study = Study(self.backend, name, self.backend.get_study_id_from_name(name))
            except KeyError:
                return None
            change = _change(study, definition) if definition is not None else None
            if change:
                raise StudyChanged(change)
            return study

    def names(self) -> list[str]:
        """Names of all studies."""
        with store_errors(self.url):
            return [study.study_name for study in self.backend.get_all_studies()]

    def close(self) -> None:
        """Give back the connections."""
        self.backend.remove_session()
        self.backend.engine.dispose()

    def _archive(self, name: str) -> None:
        """Keep a study under another name: nothing is ever lost."""
        archive = f"{name}@{datetime.now().strftime('%Y%m%d-%H%M%S-%f')}"
        optuna.copy_study(
            from_study_name=name, from_storage=self.backend, to_storage=self.backend, to_study_name=archive
        )
        self.backend.delete_study(self.backend.get_study_id_from_name(name))


def _stored_form(definition: Mapping[str, Any]) -> Any:
    """A definition as the store gives it back."""
    return json.loads(canonical_json(definition))


def _change(study: Study, definition: Mapping[str, Any]) -> str | None:
    """How the definition that a study's trials were made from differs; None where it does not."""
    stored, wanted = study.attributes.get("definition"), _stored_form(definition)
    if stored is None or stored == wanted or not study.trials():
        return None
    return _changed_message(study.name, stored, wanted)


def _changed_message(name: str, stored: Any, wanted: Any) -> str:
    changes = list(_differences(stored, wanted, ""))
    shown = ", ".join(changes[:6]) + (f" and {len(changes) - 6} more" if len(changes) > 6 else "")
    return (
        f"study {name} has trials of another definition; {shown}; "
        "set it back, give the sweep a new name, or pass --restart (the old study is kept under another name)"
    )


def _differences(stored: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in sorted({*stored, *wanted}):
            yield from _differences(stored.get(key), wanted.get(key), f"{path}.{key}" if path else key)
    elif stored != wanted:
        yield f"{path}: {_brief(stored)} -> {_brief(wanted)}"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:18]}…{text[-18:]}"
