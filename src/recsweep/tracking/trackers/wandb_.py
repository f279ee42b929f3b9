"""Weights & Biases: a run for each slot of a study, in its study's group. The only importer of wandb.

Its own process uploads what a run logs, and says that it has when the run is finished. So a trial is there as
a whole, once it has ended; until then its epochs are shown, and given again where this process dies. What is
there already says the server (a run that is resumed), or, offline, the files of the run.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from recsweep.common.escape import for_html
from recsweep.tracking.base import Given, Tracker
from recsweep.tracking.events import Begun, Ended, Epoch, RunName, StudyName, Summary, Tested
from recsweep.tracking.trackers.wandb_files import read_runs

ATTEMPT, TESTED, MARK = "recsweep/attempt", "recsweep/tested", "recsweep/mark"
"""Keys of a run's summary that say how much of it is there."""
_NOT_OURS = (
    *("RUN_ID", "NAME", "RUN_GROUP", "JOB_TYPE", "MODE", "RESUME", "SWEEP_ID", "TAGS", "NOTES"),
    "DISABLED",
)
"""Variables of W&B's by which a user's own run may be named, after `WANDB_`."""
_INIT_SECONDS, _ASK_SECONDS = 30, 10
_PROJECT = "recsweep"
_WINNER = "winner"
"""The tag of a run whose trial was tested."""


@dataclass
class _There:
    """A run as far as W&B has it."""

    step: int = 0
    """The last one."""
    summary: dict[str, Any] = field(default_factory=dict)


class WandbTracker(Tracker):
    """`wandb`: to its servers, or offline into files that `wandb sync` can send there."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        for name in _NOT_OURS:
            os.environ.pop(f"WANDB_{name}", None)
        given.folder.mkdir(parents=True, exist_ok=True)
        for name in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "ARTIFACT_DIR"):
            os.environ[f"WANDB_{name}"] = str(given.folder.absolute())
        self._online = given.settings.get("mode") == "online"
        self._project = given.setting("project", "WANDB_PROJECT") or _PROJECT
        self._entity = given.setting("entity", "WANDB_ENTITY")
        self._there: dict[str, _There] = {}
        if not self._online:
            found = read_runs(given.folder)
            self._there = {id_: _There(run.step, run.summary) for id_, run in found.items()}
        self._open: dict[str, Any] = {}
        self._waits_for: dict[tuple[str, str], Any] = {}
        """Runs that were finished, by path and key: what the server's summary has to say."""

    def begun(self, event: Begun) -> None:
        if self._has(event.run.id, ATTEMPT, event.attempt):
            return
        run = self._run(event.run, event.attempt)
        if self._has(event.run.id, ATTEMPT, event.attempt):  # as the server says, now that it was asked
            there = self._there[event.run.id].summary
            return self._finish(event.run.id, ATTEMPT, there[ATTEMPT], failed=there.get("state") == "failed")
        about = {"seed": event.seed, "inherited from": event.inherited or None, **event.environment}
        run.config.update({**event.params, "recsweep": about}, allow_val_change=True)

    def epoch(self, event: Epoch) -> None:
        if self._has(event.run.id, ATTEMPT, event.attempt):
            return
        run = self._run(event.run, event.attempt)
        if event.epoch > self._there.setdefault(event.run.id, _There()).step:
            run.log({**event.metrics, "epoch": event.epoch}, step=event.epoch, commit=True)

    def ended(self, event: Ended) -> None:
        if self._has(event.run.id, ATTEMPT, event.attempt):
            return
        run = self._run(event.run, event.attempt)
        told = {name: getattr(event, name) for name in ("state", "reason", "message", "score", "best_epoch")}
        told |= {name: getattr(event, name) for name in ("epochs", "seconds", "path", "checkpoint")}
        best = {f"best/{name}": value for name, value in event.metrics.items()}
        run.summary.update({**told, **best, ATTEMPT: event.attempt})
        self._finish(event.run.id, ATTEMPT, event.attempt, failed=event.state == "failed")
        there = self._there.setdefault(event.run.id, _There())
        there.step = max(there.step, event.epochs or 0)
        there.summary[ATTEMPT] = event.attempt

    def tested(self, event: Tested) -> None:
        if self._has(event.run.id, TESTED, 1):
            return
        run = self._run(event.run, 0)
        run.tags = (*(run.tags or ()), _WINNER)
        run.summary.update({**{f"test/{name}": value for name, value in event.metrics.items()}, TESTED: 1})
        self._finish(event.run.id, TESTED, 1)

    def summary(self, event: Summary) -> None:
        id_ = f"{event.study.id}-study"
        if self._there.get(id_, _There()).summary.get(MARK) == event.mark:
            return
        run = self._study(event.study, id_)
        there = self._there.setdefault(id_, _There())
        if there.summary.get(MARK) == event.mark:  # as the server says, now that it was asked
            return self._finish(id_, MARK, event.mark)
        last = there.step
        for slot, score, best in event.history:
            # The step after each slot's is left for a table, so that more slots can follow.
            if (step := 2 * int(slot or 0) + 1) > there.step and score is not None:
                run.log({"history/score": score, "history/best": best, "trial": slot}, step=step)
                last = step
        shown = {"state": event.state, "ended by": event.ended_by, "best": event.best, **event.counts}
        run.summary.update({**shown, "importance": event.importance, MARK: event.mark})
        self._log_table(run, event, last + 1)
        self._finish(id_, MARK, event.mark)
        self._there[id_] = _There(last + 1, {MARK: event.mark})

    def settle(self) -> None:
        """Ask the server whether it has what was finished: its library is silent where an upload failed."""
        while self._waits_for:
            (path, key), value = next(iter(self._waits_for.items()))
            if (found := self._summary_of(path).get(key)) != value:
                raise ConnectionError(f"the server has {key} {found} of the run {path}, and not {value}")
            del self._waits_for[path, key]

    def _log_table(self, run: Any, event: Summary, step: int) -> None:
        # Not W&B's own table, which is an artifact with a life of its own.
        shown: dict[str, Any] = {"table": wandb.Html(_table(event.rows), inject=False)}
        with tempfile.TemporaryDirectory() as folder:
            if event.parallel:
                file = Path(folder) / "parallel.png"
                file.write_bytes(base64.b64decode(event.parallel))
                shown["parallel coordinates"] = wandb.Image(str(file))
            run.log(shown, step=step)

    def _has(self, id_: str, key: str, least: int) -> bool:
        """True where W&B has that much of a run."""
        found = self._there.get(id_, _There()).summary.get(key)
        return isinstance(found, int | float) and found >= least

    def _run(self, run: RunName, attempt: int) -> Any:
        tags = [run.study.dataset, run.study.model, run.study.phase]
        return self._opened(run.id, run.study, run.name, "trial", tags, {"trial": run.slot})

    def _study(self, study: StudyName, id_: str) -> Any:
        tags = [study.dataset, study.model, study.phase]
        return self._opened(id_, study, f"{study.model} {study.dataset}", "study", tags, {})

    def _opened(
        self, id_: str, study: StudyName, name: str, kind: str, tags: list[str], config: Mapping[str, Any]
    ) -> Any:
        if id_ not in self._open:
            run = wandb.init(
                id=id_,
                project=self._project,
                entity=self._entity,
                group=study.group,
                name=name,
                job_type=kind,
                tags=[tag[:64] for tag in tags],
                config={"study": study.study, "metric": study.metric, **config},
                dir=str(self.given.folder),
                mode="online" if self._online else "offline",
                resume="allow",
                reinit="create_new",
                save_code=False,
                settings=_settings(),
            )
            self._open[id_] = run
            if self._online and run.resumed:
                self._there[id_] = _There(run.starting_step - 1, dict(run.summary))
                if TESTED in self._there[id_].summary:  # with the tags above it was one no more
                    run.tags = (*(run.tags or ()), _WINNER)
        return self._open[id_]

    def _finish(self, id_: str, key: str, value: Any, *, failed: bool = False) -> None:
        """Finish a run, and return when all of it is written or uploaded."""
        run = self._open.pop(id_)
        path = f"{run.entity}/{run.project}/{id_}"
        run.finish(exit_code=int(failed))
        if self._online:
            self._waits_for[path, key] = value

    def _summary_of(self, path: str) -> dict[str, Any]:
        entity, project, name = path.split("/")
        asked = {"query": _QUERY, "variables": {"entity": entity, "project": project, "name": name}}
        base = self.given.variables.get("WANDB_BASE_URL", "https://api.wandb.ai").rstrip("/")
        key = base64.b64encode(f"api:{self.given.variables['WANDB_API_KEY']}".encode()).decode()
        head = {"Content-Type": "application/json", "Authorization": f"Basic {key}"}
        if not base.startswith(("https://", "http://")):
            raise ValueError("WANDB_BASE_URL is no address of a server")
        request = urllib.request.Request(f"{base}/graphql", json.dumps(asked).encode(), head)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:  # noqa: S310
            data = json.load(answer)["data"]
        run = (data.get("project") or {}).get("run") or {}
        found: dict[str, Any] = json.loads(run.get("summaryMetrics") or "{}")
        return found


_QUERY = """query Run($entity: String!, $project: String!, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { summaryMetrics } } }"""


def _settings() -> Any:
    """Nothing is captured, measured or looked up beside what is logged."""
    return wandb.Settings(
        console="off",
        silent=True,
        init_timeout=_INIT_SECONDS,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table in HTML."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["".join(f"<th>{for_html(name)}</th>" for name in names)]
    lines += ["".join(f"<td>{for_html(_cell(row.get(name)))}</td>" for name in names) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
