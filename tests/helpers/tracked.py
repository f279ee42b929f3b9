"""A study that trials are told to by hand, and what a tracker of lines got of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from helpers.bad_tracker import ROW
from helpers.found import params_of
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.study import Claim, Reason, Result, Store, Study
from recsweep.sweeps.tracker_table import TrackerRow
from recsweep.tracking.base import Given
from recsweep.tracking.beside import Beside
from recsweep.tracking.destinations import Destination
from recsweep.tracking.follower import Follower, Patience
from recsweep.tracking.wanted import Wanted

QUICK = Patience(0.6, 10.0)


class Told:
    """A study in a store, filled by hand."""

    def __init__(self, plan: StudyPlan, url: str | None = None) -> None:
        self.plan = plan
        self.store = Store(url or plan.storage_url)
        record = plan.record()
        self.study: Study = self.store.open_study(
            plan.name, plan.definition, maximize=plan.maximize, record=record
        )
        self.study.ensure_slots(plan.budget)

    def begin(self) -> Claim:
        claim = self.study.claim(self.plan.budget, this_process())
        assert claim is not None
        environment = {"device": "cpu", "versions": {"torch": "1"}, "commit": "abc"}
        seed = self.plan.trial_seed(claim.slot)
        self.study.start(claim, params_of(claim.slot), self.plan.space, seed, environment)
        return claim

    def epochs(self, claim: Claim, *numbers: int) -> None:
        for epoch in numbers:
            self.study.report(claim, epoch, self.score(claim.slot, epoch))

    def finish(self, claim: Claim, last: int = 3) -> None:
        score = self.score(claim.slot, last)
        self.study.finish(claim, score, Result({"ndcg@10": score, "hit@10": 0.5}, last, last, 1.5, "torch"))

    def trial(self, last: int = 3) -> Claim:
        """One from its beginning to its end."""
        claim = self.begin()
        self.epochs(claim, *range(1, last + 1))
        self.finish(claim, last)
        return claim

    def fail(self, claim: Claim) -> None:
        self.study.fail(claim, Reason.DIVERGED, "the loss is NaN")

    @staticmethod
    def score(slot: int, epoch: int) -> float:
        return round(0.1 * slot + 0.01 * epoch, 4)


def follower(told: Told, folder: Path, row: TrackerRow, said: list[str], **changes: Any) -> Follower:
    """A follower of that study alone, with one tracker, and with others `beside` it."""
    names, not_new = (told.plan.name,), frozenset(changes.pop("not_new", ()))
    wanted = Wanted(told.plan.sweep_name, names, told.plan.sweep.outputs, changes.pop("depot", ""), not_new)
    to = [Destination(row, Given(told.plan.sweep_name, folder)), *changes.pop("beside", ())]
    return Follower(told.store, wanted, to, said.append, **{"patience": QUICK, **changes})


def sent(folder: Path) -> list[dict[str, Any]]:
    """The events that a tracker of lines has, none of them twice."""
    lines = [
        json.loads(line) for file in sorted(folder.rglob("*.jsonl")) for line in file.open(encoding="utf-8")
    ]
    twice = [mark for mark, number in Counter(line["id"] for line in lines).items() if number > 1]
    assert twice == []
    return lines


def of_kind(lines: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def beside(told: Told, folder: Path) -> Beside:
    """The process beside a run on that study, with a tracker that does what a file says."""
    wanted = Wanted(told.plan.sweep_name, (told.plan.name,), told.plan.sweep.outputs, "")
    return Beside(told.store.address, wanted, [Destination(ROW, Given("s", folder))], QUICK)
