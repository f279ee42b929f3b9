"""The complete config of the best trial of a study, as the store has it."""

from __future__ import annotations

from pathlib import Path

from recsweep.common.errors import UserError
from recsweep.looking.listing import listed, named
from recsweep.planning.lineage import training_of
from recsweep.recbole_api.settings import BOTH, TRAIN_ON, recorded
from recsweep.report.results import FINISHED, read_result
from recsweep.study import Store
from recsweep.sweeps.documents import Document


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
    if on == BOTH:
        epochs = result.winner.result.best_epoch or 1
        changes = [(first, changed) for first, changed in changes if first <= epochs]
        settings = {**settings, "epochs": epochs, TRAIN_ON: on}
    return Document(Path(record.name), recorded(settings, changes, record.hashes), None)
