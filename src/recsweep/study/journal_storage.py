"""Optuna's journal storage, whose cost does not grow with the square of the studies in it.

Optuna compares the name of each study that was made with the names of all before it, and reads the file once
more for whatever it is asked. Here names are looked up, and all that is there is given after one reading.
"""

from __future__ import annotations

from typing import Any, cast

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal._storage import JournalStorageReplayResult
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial


class _Replay(JournalStorageReplayResult):
    """All that the lines of a journal come to, with the ids of the studies by their names."""

    def __init__(self, worker_id_prefix: str) -> None:
        super().__init__(worker_id_prefix)
        self.ids: dict[str, int] = {}

    def _apply_create_study(self, log: dict[str, Any]) -> None:
        name, every = log["study_name"], self._studies
        same = self.ids.get(name)
        self._studies = {} if same is None else {same: every[same]}  # all that Optuna has to compare
        try:
            super()._apply_create_study(log)
        finally:
            self.ids.update((name, study_id) for study_id in self._studies)
            every |= self._studies
            self._studies = every

    def _apply_delete_study(self, log: dict[str, Any]) -> None:
        study = self._studies.get(log["study_id"])
        super()._apply_delete_study(log)
        if study is not None:
            del self.ids[study.study_name]


class QuickJournal(JournalStorage):
    """The storage of a journal."""

    def _sync_with_backend(self) -> None:
        if not isinstance(self._replay_result, _Replay):  # before the first line is read
            self._replay_result = _Replay(self._worker_id_prefix)
        super()._sync_with_backend()

    def get_study_id_from_name(self, study_name: str) -> int:
        with self._thread_lock:
            self._sync_with_backend()
            return self._replay().ids[study_name]

    def everything(self) -> list[tuple[FrozenStudy, list[FrozenTrial]]]:
        """All studies with their trials, after one reading; not copies, and not to be changed."""
        with self._thread_lock:
            self._sync_with_backend()
            replay = self._replay()
            return [
                (study, replay.get_all_trials(study._study_id, None)) for study in replay.get_all_studies()
            ]

    def _replay(self) -> _Replay:
        return cast(_Replay, self._replay_result)


def everything(storage: BaseStorage) -> list[tuple[FrozenStudy, list[FrozenTrial]]]:
    """The studies of any storage, in the order in which they were made, with their trials."""
    if isinstance(storage, QuickJournal):
        return storage.everything()
    studies = storage.get_all_studies()
    return [(study, storage.get_all_trials(study._study_id, deepcopy=False)) for study in studies]
