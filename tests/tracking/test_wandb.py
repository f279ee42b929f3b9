"""W&B as it is: offline, its files read back; and online against a local stand-in of its server."""

from __future__ import annotations

import time

import pytest

from helpers.tracker_contract import STORY, STUDY, Seen, TrackerContract
from helpers.wandb_server import KEY, wandb_server
from recsweep.sweeps.tracker_table import TRACKERS
from recsweep.tracking import link as links
from recsweep.tracking.base import Given
from recsweep.tracking.link import Link

pytest.importorskip("wandb", reason="wandb is not there; run make test-trackers")


def send(given, events, *, killed=False):
    """By a process of its own: W&B's runs beside it, which a kill leaves alone."""
    link = Link(TRACKERS["wandb"], given)
    link.give(events)
    while not link.look():
        assert link.waits, link.trouble
        time.sleep(0.05)
    if killed:
        links._kill(link._process)
    link.close(10)


class TestOffline(TrackerContract):
    row = TRACKERS["wandb"]

    def settings(self):
        return {"mode": "offline"}

    def send(self, folder, events, *, killed=False):
        send(Given("s", folder, self.settings()), events, killed=killed)

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

    def table(self, folder):
        (page,) = (folder / "wandb").glob("*-study/files/media/html/table*.html")
        return page.read_text(encoding="utf-8")

    def summaries(self, folder):
        run = self.runs(folder)[f"{STUDY.id}-study"]
        assert "<td>CE</td>" in self.table(folder)
        assert [row["history/best"] for row in run.history if "history/best" in row] == [0.03, 0.13]
        return sum("table" in row or "table/path" in row for row in run.history)


class TestOnline(TestOffline):
    """The same against a server."""

    @pytest.fixture(autouse=True)
    def _served(self):
        with wandb_server() as self.server:
            yield

    def settings(self):
        return {"mode": "online", "project": "mine"}

    def send(self, folder, events, *, killed=False):
        send(Given("s", folder, self.settings(), self.server.variables), events, killed=killed)

    def runs(self, folder):
        return self.server.runs

    def test_the_key_stands_nowhere(self, tmp_path):
        self.send(tmp_path / "t", STORY)
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path for path in written if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("how", ["fails", "drops"])
def test_what_the_server_did_not_keep_is_not_acknowledged(tmp_path, how):
    with wandb_server() as server:
        given = Given("s", tmp_path / "t", {"mode": "online"}, server.variables)
        link = Link(TRACKERS["wandb"], given)
        server.how = how
        link.give(STORY[:5])
        began = time.monotonic()
        while link.waits and time.monotonic() - began < 40:
            assert not link.look()
            time.sleep(0.1)
        link.close(1)
        server.how = "works"
        send(given, STORY[:5])
        (run,) = server.runs.values()
        assert [row["epoch"] for row in run.history] == [1, 2, 3]
        assert run.summary["state"] == "complete"
