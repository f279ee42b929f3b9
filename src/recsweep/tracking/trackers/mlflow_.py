"""MLflow: a run for each slot of a study, below one for the study. The only importer of MLflow.

Runs are found by a tag of our own, so that none is made twice; of a run that was there, the epochs that it
has are not sent again.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from recsweep.tracking.base import Given, Tracker
from recsweep.tracking.events import Begun, Ended, Epoch, RunName, StudyName, Summary, Tested

RUN_TAG = "recsweep.run"
_PARENT = "mlflow.parentRunId"
_NOT_IN_NAMES = re.compile(r"[^\w\-. /:]")
_LONGEST = 5000
_AT_ONCE = 100
_REQUEST_SECONDS, _RETRIES = "10", "2"


class MlflowTracker(Tracker):
    """`mlflow`: a server, or a SQLite file of the sweep's own that `mlflow ui` shows."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        # Else a server that is away is waited for through minutes, and the batch is given up before.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", _REQUEST_SECONDS)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _RETRIES)
        uri = given.setting("uri", "MLFLOW_TRACKING_URI")
        if uri is None:
            given.folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{(given.folder / 'mlflow.db').absolute()}"
        self._local = uri.startswith("sqlite:")
        self._client = MlflowClient(tracking_uri=uri)
        self._experiment = self._experiment_id(given.setting("experiment") or f"recsweep/{given.sweep}")
        self._runs: dict[str, _Run] = {}
        """Runs that are open, and those of their studies."""

    def begun(self, event: Begun) -> None:
        run = self._run(event.run, event.time)
        run.params(event.params)
        run.tags({"seed": event.seed, "attempt": event.attempt, "inherited from": event.inherited or None})
        run.tags({f"about.{name}": value for name, value in event.environment.items()})
        if event.attempt:
            run.status("RUNNING")

    def epoch(self, event: Epoch) -> None:
        self._run(event.run, event.time).metrics(event.metrics, event.epoch, event.time)

    def ended(self, event: Ended) -> None:
        run = self._run(event.run, event.time)
        run.params(event.params)
        best = {f"best/{name}": value for name, value in event.metrics.items()}
        took = {"epochs": event.epochs, "seconds": event.seconds, "best_epoch": event.best_epoch}
        run.metrics({**best, **{k: float(v) for k, v in took.items() if v is not None}}, 0, event.time)
        told = {"state": event.state, "reason": event.reason, "message": event.message}
        run.tags({**told, "path": event.path, "checkpoint": event.checkpoint, "score": event.score})
        if event.counted:
            run.status("FAILED" if event.state == "failed" else "FINISHED", event.time)
            run.settle()
            del self._runs[event.run.id]

    def summary(self, event: Summary) -> None:
        run = self._study(event.study, event.time)
        run.tags({"state": event.state, "ended by": event.ended_by, "best": event.best, **event.counts})
        for slot, score, best in event.history:
            found = {"history/score": score, "history/best": best}
            held = {name: float(value) for name, value in found.items() if value is not None}
            run.metrics(held, int(slot or 0), event.time)
        for objective, shares in event.importance.items():
            named = {f"importance of {objective}/{name}": share for name, share in shares.items()}
            run.metrics(named, sum(event.counts.values()), event.time)
        run.settle()
        self._client.log_text(run.id, _as_csv(event.rows), "table.csv")
        if event.parallel:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "parallel_coordinates.png"
                file.write_bytes(base64.b64decode(event.parallel))
                self._client.log_artifact(run.id, str(file))
        run.status("FINISHED" if event.state == "finished" else "RUNNING", event.time)

    def tested(self, event: Tested) -> None:
        run = self._run(event.run, event.time)
        run.metrics({f"test/{name}": value for name, value in event.metrics.items()}, 0, event.time)
        run.tags({"winner": "true"})
        run.settle()
        del self._runs[event.run.id]

    def settle(self) -> None:
        for run in self._runs.values():
            run.settle()

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        where = (self.given.folder / "artifacts").absolute().as_uri() if self._local else None
        try:
            return str(self._client.create_experiment(name, artifact_location=where))
        except Exception:  # another process has made it just now
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def _study(self, study: StudyName, time: float) -> _Run:
        if study.id not in self._runs:
            tags = {"study": study.study, "metric": study.metric}
            self._runs[study.id] = self._open(study.id, study.group, study, time, tags)
        return self._runs[study.id]

    def _run(self, run: RunName, time: float) -> _Run:
        if run.id not in self._runs:
            parent = self._study(run.study, time)
            tags = {_PARENT: parent.id, "trial": str(run.slot), "study": run.study.study}
            self._runs[run.id] = self._open(run.id, run.name, run.study, time, tags)
        return self._runs[run.id]

    def _open(self, id_: str, name: str, study: StudyName, time: float, tags: dict[str, str]) -> _Run:
        """The run with our tag: the one that is there, or a new one."""
        wanted = f"tags.`{RUN_TAG}` = '{id_}'"
        if found := self._client.search_runs([self._experiment], wanted, max_results=1):
            (run,) = found
            return _Run(self._client, run.info.run_id, run.data.params, run.data.metrics)
        about = {"sweep": study.sweep, "dataset": study.dataset, "model": study.model, "phase": study.phase}
        made = self._client.create_run(
            self._experiment, start_time=_ms(time), tags={RUN_TAG: id_, **about, **tags}, run_name=name
        )
        return _Run(self._client, made.info.run_id, {}, ())


class _Run:
    """A run of MLflow's, and what is to be sent to it at once."""

    def __init__(
        self, client: MlflowClient, id_: str, params: Mapping[str, str], metrics: Iterable[str]
    ) -> None:
        self.id, self._client = id_, client
        self._params = dict(params)
        self._steps = {name: {m.step for m in client.get_metric_history(id_, name)} for name in metrics}
        """The steps that the run had when it was found."""
        self._metrics: list[Metric] = []
        self._new_params: list[Param] = []
        self._tags: dict[str, str] = {}

    def params(self, params: Mapping[str, Any]) -> None:
        """Parameters; what another attempt at the slot was given is a tag, for a run's do not change."""
        for name, value in params.items():
            key, text = _named(name), _text(value)
            if key not in self._params:
                self._new_params.append(Param(key, text))
                self._params[key] = text
            elif self._params[key] != text:
                self._tags[f"now.{key}"] = text

    def metrics(self, metrics: Mapping[str, float], step: int, time: float) -> None:
        for name, value in metrics.items():
            key = _named(name)
            if step not in self._steps.get(key, ()):
                self._metrics.append(Metric(key, float(value), _ms(time), step))

    def tags(self, tags: Mapping[str, Any]) -> None:
        self._tags |= {_named(name): _text(value) for name, value in tags.items() if value not in (None, "")}

    def status(self, status: str, time: float | None = None) -> None:
        self.settle()
        if time is None or status == "RUNNING":
            self._client.update_run(self.id, status=status)
        else:
            self._client.set_terminated(self.id, status, _ms(time))

    def settle(self) -> None:
        """Send it. The answer says that the server has it."""
        tags = [RunTag(name, value) for name, value in self._tags.items()]
        while self._metrics or self._new_params or tags:
            now = self._metrics[:_AT_ONCE], self._new_params[:_AT_ONCE], tags[:_AT_ONCE]
            self._client.log_batch(self.id, *now)
            del self._metrics[:_AT_ONCE], self._new_params[:_AT_ONCE], tags[:_AT_ONCE]
        self._tags.clear()


def _named(name: str) -> str:
    """A name as MLflow takes it: `ndcg@10` is `ndcg_10`."""
    return _NOT_IN_NAMES.sub("_", name)[:250]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:_LONGEST]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _as_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
