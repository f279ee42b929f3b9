"""One search by three ways: a job over HTTP, a sweep file, and one whose engine is changed by ENGINE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.service import CONFIG, running_app
from recsweep.common.address import StoreAddress
from recsweep.service.runner import Where, run
from recsweep.study import Store
from running import Folder

JOB: dict[str, Any] = {
    "name": "the same",
    "dataset": "ml-100k-small",
    "model": "FPMC",
    "engine": "optuna",
    "algo": "bayes",
    "startup_trials": 2,
    "num_samples": 4,
    "epochs": 2,
    "seed": 7,
}
SWEEP = """
sweep: mine
models: [FPMC]
datasets: [ml-100k-small]
search: {{engine: {engine}, algo: bayes, max_evals: 4, startup_trials: 2}}
training: {{epochs: 2}}
seed: 7
"""


def trials(database: Path, study: str) -> list[Any]:
    """All that a trial computed, by slot, and the metrics of the winner on the test split."""
    store = Store(f"sqlite:///{database}")
    try:
        found = store.find_study(study)
        assert found is not None
        (record,) = store.records(sweep=study.split("/")[0])
        told = [
            (one.slot, dict(one.params), one.seed, one.score, dict(one.curve), dict(one.result.metrics))
            for one in sorted(found.results(), key=lambda one: one.slot)
        ]
        return [*told, dict(record.test or {})]
    finally:
        store.close()


def tracked_slots(folder: Path) -> set[int]:
    """The slots whose ends the job's tracker was told of."""
    (file,) = (folder / "tracking").rglob("*.jsonl")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    return {event["run"]["slot"] for event in events if event["kind"] == "ended"}


def by_http(folder: Path, empty_store: Path, cache: Path) -> list[Any]:
    (folder / "cache").symlink_to(cache, target_is_directory=True)
    with running_app(folder, empty_store) as client:
        made = client("POST", "jobs", json={**JOB, "tracking": {"jsonl": {}}})
        assert made.status_code == 201, made.text
        job_id = made.json()["id"]
        client("POST", f"jobs/{job_id}/start")
        database = folder / "recsweep.db"
        run(Where(StoreAddress(f"sqlite:///{database}"), folder, CONFIG), job_id)
        assert tracked_slots(folder / "jobs" / job_id) == {0, 1, 2, 3}
        told = client("GET", f"jobs/{job_id}/trials").json()["trials"]
        found = trials(database, f"job-{job_id}/ml-100k-small/FPMC/full")
        assert [(one["slot"], one["params"], one["score"]) for one in told] == [
            (slot, params, score) for slot, params, _, score, _, _ in found[:-1]
        ]
        return found


def by_tune(folder: Path, cache: Path, engine: str) -> list[Any]:
    own = Folder(folder).sharing(cache)
    (folder / "config" / "mine.yaml").write_text(SWEEP.format(engine=engine))
    done = own.run("tune", "--config", "config/mine.yaml")
    assert done.returncode == 0, done.stderr
    return trials(own.outputs / "recsweep.db", "mine/ml-100k-small/FPMC/full")


def test_three_ways_give_the_same_trials(
    tmp_path: Path, cache: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http", "tune", "engine"):
        (tmp_path / name).mkdir()
    job = by_http(tmp_path / "http", empty_store, cache)
    assert len(job) == 5
    assert len({str(params) for _, params, *_ in job[:-1]}) == 4
    assert job[-1], "the winner is tested"
    assert by_tune(tmp_path / "tune", cache, "optuna") == job
    monkeypatch.setenv("RECSWEEP_ENGINE", "optuna")  # what `make tune ENGINE=optuna` does
    assert by_tune(tmp_path / "engine", cache, "hyperopt") == job
