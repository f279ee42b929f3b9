"""Answers that many ask for: none waits for one that only grew old, all for one that is wrong."""

from __future__ import annotations

import threading
import time

import pytest

from recsweep.service import shared
from recsweep.service.shared import Shared


class Jobs:
    """Jobs that are all in one state."""

    now = "running"

    def state(self, job_id):
        return (self.now,)


class Made:
    """Answers by number; from the second one on each waits until it may be made."""

    def __init__(self):
        self.number, self.may = 0, threading.Event()

    def __call__(self, job_id):
        self.number += 1
        number = self.number
        assert number == 1 or self.may.wait(10)
        return str(number).encode()


@pytest.fixture
def answers(monkeypatch):
    monkeypatch.setattr(shared, "SEEN_SECONDS", 0.0)
    monkeypatch.setattr(shared, "FRESH_SECONDS", 0.0)
    made = Made()
    return Shared(Jobs(), made), made


def test_an_answer_that_grew_old_is_made_again_beside_those_who_ask(answers):
    found, made = answers
    assert [found.of("job") for _ in range(3)] == [b"1"] * 3
    made.may.set()
    until = time.monotonic() + 10
    while found.of("job") == b"1":
        assert time.monotonic() < until, "it was never made again"
    assert found.of("job") != b"1"


def asked_until_it_fails(found):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found.of("job")


@pytest.mark.parametrize("change", ["state", "age"])
def test_an_answer_that_may_be_wrong_is_waited_for(answers, change, monkeypatch):
    found, made = answers
    found.of("job")
    made.may.set()
    if change == "state":
        monkeypatch.setattr(Jobs, "now", "completed")
    else:
        monkeypatch.setattr(shared, "OLD_SECONDS", 0.0)
    assert found.of("job") == b"2"


def test_what_goes_wrong_behind_is_told_to_the_next_who_asks(answers):
    found, _ = answers
    found.of("job")

    def broken(job_id):
        raise OSError("the store is away")

    found._make = broken
    found.of("job")
    with pytest.raises(OSError, match="away"):
        asked_until_it_fails(found)
