"""The address of a notification is printed by nobody."""

from __future__ import annotations

import pickle

import pytest

from recsweep.common.masking import mask
from recsweep.common.notify_url import NotifyUrl, NotifyUrlError

TEXT = "slack://bot@T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?footer=no"


def test_it_shows_its_kind_alone() -> None:
    address = NotifyUrl(TEXT)
    for shown in (str(address), repr(address), f"{address}", f"{address!r}"):
        assert "slack://***" in shown
        assert "TIiajkdnlazkcOXrIdevi7FQ" not in shown
    assert address.reveal() == TEXT
    assert pickle.loads(pickle.dumps(address)) == address


def test_texts_of_others_are_masked_too() -> None:
    NotifyUrl(TEXT)
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in mask("POST /services/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ: 404")


@pytest.mark.parametrize("given", ["", "no address", "slack:/one", "x" * 5000, "json://a b", 3, None])
def test_what_is_none_is_refused_without_being_shown(given: object) -> None:
    with pytest.raises(NotifyUrlError) as refused:
        NotifyUrl.of(given)
    assert not given or str(given) not in str(refused.value)
