"""The complete config of the best trial of a study, as the store has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsweep.common.errors import UserError
from recsweep.looking.listing import listed, named
from recsweep.planning.lineage import training_of
from recsweep.recbole_api.settings import DATA_HASHES, FROM_EPOCH, SCHEDULE, TRAIN_ON
from recsweep.report.results import FINISHED, read_result
from recsweep.study import Store
from recsweep.sweeps.documents import Document

BOTH = "train+valid"


def best_document(store: Store, name: str, root: Path, on: str) -> Document:
    """The config of a study's winner, for `recsweep train`.

    Args:
        store: where the study is.
        name: its name, or a part of it that no other has.
        root: the folder of outputs.
        on: the parts of the data to train on; on more than the search did, epochs are those of its best one.

    Raises:
        InputError: there is no such study, or several.
        UserError: it has not ended, or nothing in it succeeded.
    """
    record = named([row.record for row in listed(store.tallied(archived=True))], name)
    result = read_result(record, root, store)
    if result.state != FINISHED:
        raise UserError(
            f"{record.name}: its search is {result.state}, so that its best is not known yet; run `recsweep "
            "tune` first"
        )
    if result.winner is None:
        raise UserError(f"{record.name}: no trial succeeded; see `recsweep show {record.name}`")
    settings, changes = training_of(result.record, result.winner)
    content: dict[str, Any] = {**settings, DATA_HASHES: dict(record.hashes)}
    if on == BOTH:
        epochs = result.winner.result.best_epoch or 1
        changes = [(first, changed) for first, changed in changes if first <= epochs]
        content.update({"epochs": epochs, TRAIN_ON: on})
    if changes:
        content[SCHEDULE] = [{FROM_EPOCH: first, **changed} for first, changed in changes]
    return Document(Path(record.name), content, None)
