"""What every implementation of `Workers` is held to; its test class inherits this."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.running.commands import Evaluate, Search, Stop
from recsweep.running.events import Broken, Died, EpochDone, Evaluated, Event, Idle, Note, Started
from recsweep.running.workers import Workers


class WorkersContract:
    """Its `workers` fixture gives workers that do as `helpers.light_hand.Hand`."""

    plan: StudyPlan
    limit_seconds = 30.0

    @pytest.fixture(autouse=True)
    def _a_plan(self, make_plan):
        self.plan = make_plan()

    def heard(self, workers: Workers, until: Callable[[int, Event], bool]) -> list[tuple[int, Event]]:
        """Events up to the first one that fits; epochs are left out."""
        found: list[tuple[int, Event]] = []
        deadline = time.monotonic() + self.limit_seconds
        while time.monotonic() < deadline:
            for number, event in workers.events(1.0):
                found += [] if isinstance(event, EpochDone) else [(number, event)]
                if until(number, event):
                    return found
        raise AssertionError(f"it was not told within {self.limit_seconds} s; told: {found}")

    def told(self, workers: Workers, kind: type) -> list[Event]:
        return [event for _, event in self.heard(workers, lambda _, event: isinstance(event, kind))]

    def test_commands_are_carried_out_in_order_and_events_come_in_order(self, workers):
        hired = workers.start(1, self.plan)
        assert (hired.number, hired.owner.pid) == (1, this_process().pid), "its trials are the caller's"
        workers.send(1, order("talk"))
        workers.send(1, Evaluate(self.plan))
        notes = [Note(f"talk {number}") for number in range(3)]
        assert self.told(workers, Evaluated) == [Started(0), *notes, Idle(), Evaluated({"ndcg@10": 0.5})]

    def test_a_death_is_told_once_and_last_and_frees_the_number(self, workers):
        workers.start(1, self.plan)
        workers.send(1, order("die"))
        *told, died = self.told(workers, Died)
        assert told == [Started(0), *(Note(f"die {number}") for number in range(3))]
        assert isinstance(died, Died)
        workers.send(1, order("talk"))
        assert workers.events(0.0) == []
        workers.start(1, self.plan)
        workers.send(1, order("talk"))
        assert self.told(workers, Idle)[-1] == Idle()

    def test_one_that_is_killed_at_work_is_told_of_as_dead(self, workers):
        workers.start(1, self.plan)
        workers.start(2, self.plan)
        workers.send(1, order("work"))
        self.heard(workers, lambda number, event: isinstance(event, EpochDone))
        workers.kill(1)
        number, died = self.heard(workers, lambda number, event: isinstance(event, Died))[-1]
        assert (number, died) == (1, Died(died.reason))
        assert "killed" in died.reason
        workers.send(2, order("talk"))
        assert self.told(workers, Idle)[-1] == Idle(), "the other one lives"

    def test_a_worker_heeds_a_stop_while_it_works_and_then_ends(self, workers):
        workers.start(1, self.plan)
        workers.send(1, order("work"))
        self.told(workers, EpochDone)
        workers.send(1, Stop(now=True))
        assert Note("stopped, now=True") in self.told(workers, Died)

    def test_nothing_is_told_of_one_that_was_let_go(self, workers):
        for number in (1, 2):
            workers.start(number, self.plan)
        workers.send(1, order("work"))
        self.told(workers, EpochDone)
        workers.stop([1], force=True)
        workers.stop([2])
        assert workers.events(0.1) == []
        workers.close()
        workers.close()

    def test_an_unknown_command_breaks_a_worker(self, workers):
        workers.start(1, self.plan)
        workers.send(1, ("search", self.plan.label))
        *_, broken, _ = self.told(workers, Died)
        assert isinstance(broken, Broken)
        assert "a message that is none of ours: ('search'," in broken.message


def order(word: str) -> Any:
    """A command for a hand."""
    return Search(word)  # type: ignore[arg-type]
