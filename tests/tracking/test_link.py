"""A tracker's process as the follower holds it."""

from __future__ import annotations

import time

import pytest

from helpers.bad_tracker import ROW
from helpers.tracker_contract import STORY
from recsweep.tracking import link as links
from recsweep.tracking.base import Given
from recsweep.tracking.link import Link


@pytest.fixture
def link(tmp_path):
    link = Link(ROW, Given("s", tmp_path / "bad"))
    yield link
    link.close(0)


def wait(link, seconds=30.0):
    deadline = time.monotonic() + seconds
    while link.waits and time.monotonic() < deadline:
        if link.look():
            return True
        time.sleep(0.02)
    return False


def test_one_that_hangs_is_ended_and_tried_again_after_a_pause(link, tmp_path, monkeypatch):
    monkeypatch.setattr(links, "HANGS_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(links, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(links, "_START_SECONDS", 0.0)
    (tmp_path / "bad.how").write_text("hangs")
    link.give(STORY[:3])
    assert not wait(link)
    assert "it gave no answer for" in link.trouble
    assert not link.free
    (tmp_path / "bad.how").write_text("works")
    time.sleep(0.2)
    assert link.free
    link.give(STORY[:3])
    assert wait(link)
    assert (link.lives, link.trouble) == (2, "")
