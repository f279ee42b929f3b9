"""Configurations measured by a worker process: all of it heard, and one that dies or hangs said to."""

from __future__ import annotations

import pytest

from recsweep.estimating.probe import DEFAULTS, Point, Probe
from recsweep.running import prober
from recsweep.running.events import Died, Gauged, Idle, Ready
from recsweep.running.prober import Prober


class Told:
    """Workers that tell what they are to."""

    def __init__(self, *events):
        self.waiting = [[(0, event)] for event in events]
        self.stopped = False

    def start(self, number, plan):
        pass

    def send(self, number, command):
        pass

    def events(self, seconds):
        return self.waiting.pop(0) if self.waiting else []

    def stop(self, numbers, *, force=False):
        self.stopped = force

    def close(self):
        pass


FIRST, SECOND = Point(DEFAULTS, {"a": 1}, 1), Point("within 1", {"a": 2}, 2)
LOOKED_AT, TO_ITS_END = (
    Probe(DEFAULTS, {"a": 1}, epochs=2),
    Probe(DEFAULTS, {"a": 1}, epochs=9, finished=True),
)


def measured(*events, seconds=1.0):
    workers = Told(Ready("cpu", "cached"), *events)
    found = Prober(workers).probes(None, [FIRST, SECOND], seconds)
    assert workers.stopped
    return found


def test_the_last_word_on_a_configuration_counts_and_the_most_memory():
    second = Probe("within 1", {"a": 2})
    found = measured(Gauged(LOOKED_AT, 5), Gauged(second, 9, 3), Gauged(TO_ITS_END, 7), Idle())
    assert (found.taken, found.memory, found.gpu_memory, found.cut) == ((TO_ITS_END, second), 9, 3, "")


@pytest.mark.parametrize(
    ("event", "why"), [(Died("killed by SIGKILL"), "killed by SIGKILL"), (None, "not measured within")]
)
def test_a_configuration_that_ends_or_holds_its_process_is_told(monkeypatch, event, why):
    monkeypatch.setattr(prober, "_LEAST_SECONDS", 0.05)
    found = measured(Gauged(LOOKED_AT, 5), *([event] if event else []), seconds=0.02)
    assert [one.name for one in found.good] == [DEFAULTS]
    assert found.taken[1].name == "within 1"
    assert why in found.taken[1].failure
