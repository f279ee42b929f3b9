"""What every tracker is held to: each event once, whatever is given again, killed or taken up anew."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recsweep.sweeps.tracker_table import TRACKERS, TrackerRow
from recsweep.tracking.base import Given, Tracker
from recsweep.tracking.events import Begun, Ended, Epoch, Event, RunName, StudyName, Summary, Tested
from recsweep.tracking.trackers import make_tracker

STUDY = StudyName("0123456789abcdef", "s/toy/NARM/full", "s", "toy", "NARM", "full", "NDCG@10", True)
NASTY = "out of luck | `=1` \n<b>"
PARAMS = {"learning_rate": 0.001, "n_layers": 2, "dropout_probs": [0.25, 0.5], "loss_type": "CE"}
ENVIRONMENT = {"versions": {"torch": "2.13.0"}, "commit": "abc", "device": "cpu"}


def run(slot: int) -> RunName:
    return RunName(STUDY, slot)


def begun(slot: int, attempt: int = 0) -> Begun:
    return Begun(run(slot), attempt, PARAMS, 7 + slot, ENVIRONMENT, 1_700_000_000.0 + slot)


def epochs(slot: int, first: int, last: int, attempt: int = 0) -> list[Event]:
    return [
        Epoch(run(slot), attempt, epoch, {"ndcg@10": score(slot, epoch)}, 1_700_000_000.0 + epoch)
        for epoch in range(first, last + 1)
    ]


def score(slot: int, epoch: int) -> float:
    return round(0.1 * slot + 0.01 * epoch, 4)


def ended(slot: int, epoch: int, attempt: int = 0, **changes: Any) -> Ended:
    whole = Ended(
        *(run(slot), attempt, PARAMS, 7 + slot, ENVIRONMENT, True, "complete", "", ""),
        *(score(slot, epoch), {"ndcg@10": score(slot, epoch), "hit@10": 0.5}, epoch, epoch, 2.5, "torch"),
        *(f"outputs/checkpoints/trial-{slot}", 1_700_000_100.0 + slot),
    )
    return dataclasses.replace(whole, **changes)


def put_back(slot: int, attempt: int = 0) -> Ended:
    return ended(
        slot,
        0,
        attempt,
        counted=False,
        state="put back",
        reason="interrupted",
        message=NASTY,
        score=None,
        metrics={},
    )


def summary(mark: str = "m1") -> Summary:
    best = {"trial": 1, "score": score(1, 3), "params": PARAMS, "metrics": {"hit@10": 0.5}, "test": {}}
    rows = [{"trial": slot, "state": "complete", "score": score(slot, 3), **PARAMS} for slot in (0, 1)]
    history: list[list[float | int | None]] = [[0, score(0, 3), score(0, 3)], [1, score(1, 3), score(1, 3)]]
    return Summary(
        *(STUDY, mark, "finished", "max_evals", 2, {"complete": 2, "pruned": 0, "failed": 0}, best, history),
        *({"NDCG@10": {"learning_rate": 0.75, "n_layers": 0.25}}, rows, "", 1_700_000_200.0),
    )


STORY: tuple[Event, ...] = (
    begun(0),
    *epochs(0, 1, 3),
    ended(0, 3),
    begun(1),
    *epochs(1, 1, 2),
    put_back(1),
    begun(1, attempt=1),
    *epochs(1, 3, 3, attempt=1),
    ended(1, 3, attempt=1),
    begun(2),
    *epochs(2, 1, 1),
    ended(2, 1, state="pruned", reason="pruned", message=NASTY, metrics={}),
    begun(3),
    ended(3, 0, state="failed", reason="diverged", message=NASTY, score=None, metrics={}, checkpoint=""),
    summary(),
    Tested(run(1), {"ndcg@10": 0.123, "hit@10": 0.456}, 1_700_000_300.0),
)


@dataclass
class Seen:
    """One run as a tracker shows it, read back by its own means."""

    epochs: list[tuple[int, float]] = field(default_factory=list)
    """In the order in which they stand there; none twice."""
    params: dict[str, Any] = field(default_factory=dict)
    state: str = ""
    reason: str = ""
    test: dict[str, float] = field(default_factory=dict)


class TrackerContract:
    """Inherit it, name the row, and say how it is read back."""

    row: TrackerRow

    def settings(self) -> dict[str, Any]:
        return {}

    def read_back(self, folder: Path) -> dict[int, Seen]:
        """The runs by their slots; each slot once, however often it was begun."""
        raise NotImplementedError

    def summaries(self, folder: Path) -> int:
        """How often the study is summed up there."""
        raise NotImplementedError

    def make(self, folder: Path) -> Tracker:
        return make_tracker(self.row, Given("s", folder, self.settings()))

    def send(self, folder: Path, events: Any, *, killed: bool = False) -> None:
        """Give events to a tracker of its own; `killed`: it is not closed."""
        tracker = self.make(folder)
        for event in events:
            tracker.take(event)
        tracker.settle()
        if not killed:
            tracker.close()

    def check(self, folder: Path) -> None:
        seen = self.read_back(folder)
        assert sorted(seen) == [0, 1, 2, 3]
        expected = {0: 3, 1: 3, 2: 1, 3: 0}
        for slot, last in expected.items():
            wanted = [(epoch, pytest.approx(score(slot, epoch), abs=1e-6)) for epoch in range(1, last + 1)]
            assert seen[slot].epochs == wanted, f"trial {slot}"
        assert [seen[slot].state for slot in range(4)] == ["complete", "complete", "pruned", "failed"]
        assert "diverged" in seen[3].reason
        assert seen[1].test == pytest.approx({"ndcg@10": 0.123, "hit@10": 0.456}, abs=1e-6)
        assert seen[0].test == {}
        for name, value in PARAMS.items():
            assert str(seen[0].params[name]).strip('"') in (str(value), str(value).replace(" ", "")), name
        assert self.summaries(folder) == 1

    def test_all_of_a_study_is_there_once(self, tmp_path):
        self.send(tmp_path / "t", STORY)
        self.check(tmp_path / "t")

    def test_what_is_given_again_stands_once(self, tmp_path):
        self.send(tmp_path / "t", STORY)
        self.send(tmp_path / "t", STORY)
        self.check(tmp_path / "t")

    def test_a_new_process_goes_on_in_the_middle(self, tmp_path):
        parts = (STORY[:3], STORY[2:7], STORY[6:9], STORY[8:])
        for part in parts if self.row.keeps_epochs else (STORY[:7], STORY[5:10], STORY[5:]):
            self.send(tmp_path / "t", part, killed=True)
        self.check(tmp_path / "t")

    def test_is_in_the_table(self):
        assert TRACKERS.get(self.row.name, self.row) == self.row
