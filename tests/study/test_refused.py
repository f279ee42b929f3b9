"""A server that lets nobody in any more, in the middle of a sweep: a pause, and nothing is lost."""

from __future__ import annotations

import pytest

from recsweep.common.errors import StoreUnavailable
from recsweep.study import Store

BEFORE, AFTER = "the-first-51d1", "the-second-51d1"


def test_a_password_that_changes_meanwhile_pauses_the_sweep_in_one_line(postgres):
    own = postgres.guarded(BEFORE)
    said = []
    store = Store(own.url(BEFORE), 30.0, said.append)
    study = store.open_study("sweep/data/model/full", {"seed": 1}, maximize=True)
    assert study.ensure_slots(3) == 3
    postgres.change_password(own, AFTER)
    with pytest.raises(StoreUnavailable) as refused:
        study.trials()
    store.close()
    line = str(refused.value)
    assert refused.value.exit_code == 3
    assert "\n" not in line
    assert "lets nobody in so any more; " in line
    assert line.endswith(
        "correct user or password (RECSWEEP_STORAGE, PGPASSWORD, ~/.pgpass) and run the same command again, "
        "no trial is lost"
    )
    assert not any(password in text for password in (BEFORE, AFTER) for text in (line, *said))
    again = Store(own.url(AFTER))
    assert len(again.find_study("sweep/data/model/full").trials()) == 3
    again.close()
