"""MLflow as it is: a SQLite file, read back by its own client."""

from __future__ import annotations

import json

import pytest

from helpers.tracker_contract import PARAMS, Seen, TrackerContract
from recsweep.sweeps.tracker_table import TRACKERS

mlflow = pytest.importorskip("mlflow", reason="MLflow is not there; run make test-trackers")


class TestMlflow(TrackerContract):
    row = TRACKERS["mlflow"]

    def uri(self, folder):
        return f"sqlite:///{(folder / 'mlflow.db').absolute()}"

    def runs(self, folder):
        self.client = mlflow.tracking.MlflowClient(self.uri(folder))
        (experiment,) = [e for e in self.client.search_experiments() if e.name == "recsweep/s"]
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
