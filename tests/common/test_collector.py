"""Python's garbage collector, held or off what stays."""

from __future__ import annotations

import gc

from recsweep.common.collector import held, settled


def test_a_collection_leaves_out_what_has_settled() -> None:
    kept = [[number] for number in range(1000)]
    try:
        settled()
        assert gc.get_freeze_count() > 1000
        assert not any(one is kept for one in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(one is kept for one in gc.get_objects())


def test_no_collection_begins_where_the_collector_is_held() -> None:
    assert gc.isenabled()
    with held():
        assert not gc.isenabled()
    assert gc.isenabled()
