"""W&B as it is: offline, its files read back; and online against a local stand-in of its server."""

from __future__ import annotations

import time

import pytest

from helpers.tracker_contract import STUDY, Seen, TrackerContract
from recsweep.sweeps.tracker_table import TRACKERS
from recsweep.tracking import link as links
from recsweep.tracking.base import Given
from recsweep.tracking.link import Link

pytest.importorskip("wandb", reason="wandb is not there; run make test-trackers")


class TestOffline(TrackerContract):
    row = TRACKERS["wandb"]

    def settings(self):
        return {"mode": "offline"}

    def send(self, folder, events, *, killed=False):
        """By a process of its own: W&B's runs beside it, which a kill leaves alone."""
        link = Link(self.row, Given("s", folder, self.settings()))
        link.give(events)
        while not link.look():
            assert link.waits, link.trouble
            time.sleep(0.05)
        if killed:
            links._kill(link._process)
        link.close(10)

    def runs(self, folder):
        from recsweep.tracking.trackers.wandb_files import read_runs

        return read_runs(folder)

    def read_back(self, folder):
        seen = {}
        for id_, run in self.runs(folder).items():
            assert run.group == STUDY.group
            if id_.endswith("study"):
                continue
            one = seen[int(id_.rpartition("-")[2])] = Seen()
            one.epochs = [(row["epoch"], row["ndcg@10"]) for row in run.history]
            one.state, one.reason = run.summary["state"], run.summary["reason"]
            one.params = {name: value for name, value in run.config.items() if name != "recsweep"}
            names = (name for name in run.summary if name.startswith("test/"))
            one.test = {name[5:]: run.summary[name] for name in names}
            assert ("winner" in run.tags) == bool(one.test)
        return seen

    def summaries(self, folder):
        run = self.runs(folder)[f"{STUDY.id}-study"]
        assert [row["history/best"] for row in run.history if "history/best" in row] == [0.03, 0.13]
        return sum("table/path" in row for row in run.history)
