"""Orders and ranks are those of NumPy's stable sorts, of whatever numbers."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsweep.common.orders import dense_ranks, order_of, order_within, ordered_ranks

KINDS = {
    "few": st.integers(0, 3),
    "wide": st.integers(-(2**63), 2**63 - 1),
    "floats": st.floats(allow_nan=False),
    "whole floats": st.integers(-(2**53), 2**53).map(float),
    "zeros": st.sampled_from([0.0, -0.0, 1.0]),
    "single": st.floats(0, allow_infinity=False, width=32).map(np.float32),
    "decimals": st.decimals(allow_nan=False, allow_infinity=False).map(Decimal),
}


@pytest.mark.parametrize("kind", KINDS)
@given(drawn=st.data())
def test_orders_and_ranks_are_those_of_stable_sorts(kind, drawn):
    listed = drawn.draw(st.lists(KINDS[kind], max_size=20))
    values = np.array(listed, dtype={"decimals": object, "single": np.float32}.get(kind))
    groups = np.array(
        drawn.draw(st.lists(st.integers(0, 3), min_size=len(listed), max_size=len(listed))), int
    )
    stable = np.argsort(values, kind="stable")
    assert order_of(values).tolist() == stable.tolist()
    assert order_within(groups, values).tolist() == stable[np.argsort(groups[stable], kind="stable")].tolist()
    different = sorted(set(listed))
    assert dense_ranks(values).tolist() == [different.index(value) for value in listed]
    assert ordered_ranks(values)[1].tolist() == stable.tolist()


def test_what_is_not_a_number_comes_last():
    assert order_of(np.array([np.nan, 2.0, np.nan, 1.0])).tolist() == [3, 1, 0, 2]
