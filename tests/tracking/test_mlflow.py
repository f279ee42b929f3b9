"""MLflow as it is: a SQLite file, read back by its own client."""

from __future__ import annotations

import json

import pytest

from helpers.mlflow_server import mlflow_server
from helpers.tracker_contract import PARAMS, STORY, Seen, TrackerContract
from recsweep.sweeps.tracker_table import TRACKERS

mlflow = pytest.importorskip("mlflow", reason="MLflow is not there; run make test-trackers")


class TestMlflow(TrackerContract):
    row = TRACKERS["mlflow"]

    def uri(self, folder):
        return f"sqlite:///{(folder / 'mlflow.db').absolute()}"

    def experiment(self):
        return "recsweep/s"

    def runs(self, folder):
        self.client = mlflow.tracking.MlflowClient(self.uri(folder))
        (experiment,) = [e for e in self.client.search_experiments() if e.name == self.experiment()]
        return self.client.search_runs([experiment.experiment_id], max_results=1000)

    def read_back(self, folder):
        seen = {}
        for run in self.runs(folder):
            tags, metrics = run.data.tags, run.data.metrics
            if "trial" not in tags:
                continue
            assert int(tags["trial"]) not in seen, "a slot is one run"
            history = (
                self.client.get_metric_history(run.info.run_id, "ndcg_10") if "ndcg_10" in metrics else []
            )
            one = seen[int(tags["trial"])] = Seen([(metric.step, metric.value) for metric in history])
            one.state, one.reason = tags["state"], tags.get("reason", "")
            one.params = dict(run.data.params)
            named = {"test/ndcg_10": "ndcg@10", "test/hit_10": "hit@10"}
            one.test = {other: metrics[name] for name, other in named.items() if name in metrics}
            assert ("winner" in tags) == bool(one.test)
            assert run.info.status == ("FAILED" if one.state == "failed" else "FINISHED")
        return seen

    def summaries(self, folder):
        (run,) = [run for run in self.runs(folder) if "trial" not in run.data.tags]
        assert json.loads(run.data.tags["best"])["params"] == PARAMS
        assert [artifact.path for artifact in self.client.list_artifacts(run.info.run_id)] == ["table.csv"]
        steps = [metric.step for metric in self.client.get_metric_history(run.info.run_id, "history/best")]
        assert steps == [0, 1]
        return 1


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with mlflow_server(tmp_path_factory.mktemp("mlflow") / "served") as door:
        yield door


def send_all(tracker, events):
    for event in events:
        tracker.take(event)
        tracker.settle()


class TestServer(TestMlflow):
    """The same against a real server with a SQLite store."""

    @pytest.fixture(autouse=True)
    def _served(self, door, tmp_path):
        self.door, self.name = door, tmp_path.name

    def settings(self):
        return {"uri": self.door.url, "experiment": self.name}

    def uri(self, folder):
        return self.door.url

    def experiment(self):
        return self.name

    @pytest.mark.parametrize("how", ["fails", "loses"])
    def test_what_was_not_answered_is_sent_again_and_stands_once(self, tmp_path, monkeypatch, how):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        tracker = self.make(tmp_path / "t")
        for event in STORY[:5]:
            tracker.take(event)
        tracker.settle()
        self.door.how = how
        with pytest.raises(Exception, match=r"API request|Max retries|RESOURCE|Connection"):
            send_all(tracker, STORY[5:])
        self.door.how = "works"
        self.send(tmp_path / "t", STORY[5:])
        self.check(tmp_path / "t")
