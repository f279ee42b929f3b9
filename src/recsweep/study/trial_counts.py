"""How many trials a whole database has in each state."""

from __future__ import annotations

from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models
from sqlalchemy import Table, func, select

from recsweep.study.states import State
from recsweep.study.trial import STATES

_TRIALS: Table = models.TrialModel.__table__


def trials_by_state(storage: BaseStorage) -> dict[str, int]:
    """The trials of all studies together, by state.

    Raises:
        TypeError: it is a journal.
    """
    if not isinstance(storage, RDBStorage):
        raise TypeError("a journal counts no trials in one question")
    query = select(_TRIALS.c.state, func.count()).group_by(_TRIALS.c.state)
    with storage.engine.connect().execution_options(recsweep_reads=True) as connection:
        found = {STATES[state]: number for state, number in connection.execute(query)}
    return {str(state): found.get(state, 0) for state in State}
