"""A PostgreSQL that is full: thousands of jobs, a million trials, written by bulk as recsweep writes them.

A study with one trial is made by recsweep itself; jobs, studies, records, events and trials are copies of it.
What belongs to one trial lies side by side, as where it was run. Indexes and keys are taken away while it is
filled, and made again as they were.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from helpers.light_worker import DEFAULTS, ENVIRONMENT, SPACE
from helpers.postgres import Postgres
from recsweep.common.owner import this_process
from recsweep.planning.plan import plan_sweep
from recsweep.search.starts import open_study
from recsweep.service.jobs import Jobs, new_id
from recsweep.study import Result
from recsweep.sweeps.loading import load_sweep

ROOT = Path(__file__).resolve().parent.parent
MODELS, DATASETS = ("FPMC", "GRU4Rec", "SASRec", "NARM"), ("ml-100k", "ml-100k-small", "another")
REQUEST = '{"name": "a job", "engine": "optuna", "model": "FPMC", "dataset": "ml-100k", "num_samples": 100}'
_DATABASE, _FIRST = "sweeps_1", 1_000_000
"""The database, and the first id of what is filled in: above what is there."""
_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "256MB",
    "autovacuum": "off",
}
"""Settings of the server while it is filled; it is measured with its own."""

_STEPS = {
    "jobs": """
CREATE TABLE made AS SELECT n, {first} + n AS study_id, ({ids})[1 + n] AS id,
  ({models})[1 + n % 4] AS model, ({datasets})[1 + n % 3] AS dataset,
  CASE n % 10 WHEN 7 THEN 'failed' WHEN 8 THEN 'cancelled' WHEN 9 THEN 'paused' ELSE 'completed' END AS status
  FROM generate_series(0, {jobs} - 1) AS n;
INSERT INTO tuning_jobs (id, name, status, request, request_hash, trials, created, beat, deaths, events)
  SELECT id, 'job ' || n, status, '{request}', '', {trials}, now() AT TIME ZONE 'UTC', 0, 0, {trials}
  FROM made;
INSERT INTO tuning_job_parts (job_id, kind, position, name)
  SELECT id, 'model', 0, model FROM made UNION ALL SELECT id, 'dataset', 0, dataset FROM made""",
    "events": """
INSERT INTO tuning_events (job_id, n, kind, data, at, mark)
  SELECT id, k, 'trial.ended', '{{"slot": ' || k || '}}', now() AT TIME ZONE 'UTC', k || '.ended'
  FROM made, generate_series(1, {trials}) AS k ORDER BY n, k""",
    "studies": """
INSERT INTO studies (study_id, study_name)
  SELECT study_id, 'job-' || id || '/' || dataset || '/' || model || '/full' FROM made;
INSERT INTO study_directions (study_id, direction, objective) SELECT study_id, 'MAXIMIZE', 0 FROM made;
INSERT INTO study_user_attributes (study_id, key, value_json)
  SELECT made.study_id, a.key, a.value_json FROM made, study_user_attributes a
  WHERE a.study_id = {model_study}""",
    "trials": """
INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)
  SELECT {first} + n * {trials} + k, k, study_id,
    CASE WHEN k % 20 = 7 THEN 'PRUNED' WHEN k % 50 = 3 THEN 'FAIL' ELSE 'COMPLETE' END::trialstate,
    now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
  FROM made, generate_series(0, {trials} - 1) AS k ORDER BY n, k""",
    "values": """
INSERT INTO trial_values (trial_id, objective, value, value_type)
  SELECT trial_id, 0, (trial_id::bigint * 7919 % 10007) / 10007.0, 'FINITE' FROM trials
  WHERE study_id >= {first} AND state <> 'FAIL' ORDER BY trial_id""",
    "parameters": """
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
  SELECT t.trial_id, p.param_name, p.param_value, p.distribution_json FROM trials t, trial_params p
  WHERE t.study_id >= {first} AND p.trial_id = {model_trial} ORDER BY t.trial_id""",
    "curves": """
INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
  SELECT trial_id, step, step / 100.0, 'FINITE' FROM trials, generate_series(1, 3) AS step
  WHERE study_id >= {first} ORDER BY trial_id, step""",
    "attributes": """
INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT t.trial_id, a.key, CASE a.key WHEN 'slot' THEN t.number::text ELSE a.value_json END
  FROM trials t, trial_user_attributes a WHERE t.study_id >= {first} AND a.trial_id = {model_trial}
  ORDER BY t.trial_id;
INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT trial_id, 'failure', '{{"kind": "diverged", "message": "the loss is NaN"}}' FROM trials
  WHERE study_id >= {first} AND state IN ('FAIL', 'PRUNED')""",
}
"""What is filled, step by step."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Full:
    """A server whose database is full.

    Attributes:
        filled: seconds that it took, where it was filled now.
    """

    server: Postgres
    url: str
    filled: float | None

    @property
    def processes(self) -> list[psutil.Process]:
        """The processes of the server."""
        main = psutil.Process(self.server.pid)
        return [main, *main.children()]


@contextmanager
def full_store(jobs: int, trials: int, keep: Path | None, tell: Tell) -> Iterator[Full]:
    """A server with so many jobs of so many trials.

    Args:
        keep: a folder in which its files stay for the next time; filled only where it is not there.
        tell: takes a line a step.
    """
    with tempfile.TemporaryDirectory(prefix="recsweep-pg-") as made:
        folder = Path(made) / "data" if keep is None else keep / f"{jobs}-{trials}"
        done = folder.with_name(f"{folder.name}.filled")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        server = Postgres(folder)
        try:
            seconds = None if done.exists() else _fill(server, jobs, trials, tell)
            done.touch()
            yield Full(server, server.url(_DATABASE), seconds)
        finally:
            server.stop()


def _fill(server: Postgres, jobs: int, trials: int, tell: Tell) -> float:
    began = time.monotonic()
    url = server.new_url()
    if Postgres.name_of(url) != _DATABASE:
        raise RuntimeError(f"the database is {Postgres.name_of(url)}")
    study_id, trial_id = _model_study(url)
    values = {
        "first": _FIRST,
        "jobs": jobs,
        "trials": trials,
        "model_study": study_id,
        "model_trial": trial_id,
        "ids": f"ARRAY{sorted(new_id() for _ in range(jobs))}",
        "models": f"ARRAY{list(MODELS)}",
        "datasets": f"ARRAY{list(DATASETS)}",
        "request": REQUEST,
    }
    _set(server, _FAST)
    address = server.address.replace("/postgres?", f"/{_DATABASE}?")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # no trigger looks at a million trials
        again = _without_keys(connection)
        for name, script in _STEPS.items():
            for statement in script.format(**values).split(";\n"):
                connection.execute(statement)
            tell(f"{time.monotonic() - began:4.0f} s: {name} filled")
        _copy_records(connection, study_id)
        for statement in again:
            connection.execute(statement)
        tell(f"{time.monotonic() - began:4.0f} s: indexes and keys made")
        connection.execute("INSERT INTO tuning_progress (job_id, changed) SELECT id, 0 FROM made")
        connection.execute("DROP TABLE made")
        connection.execute("VACUUM ANALYZE")
    _set(server, dict.fromkeys(_FAST))
    _count(url)
    tell(f"{time.monotonic() - began:4.0f} s: jobs counted")
    return time.monotonic() - began


def _count(url: str) -> None:
    """How far each job is, kept with it, as its job worker keeps it."""
    jobs, after = Jobs(url), None
    while True:
        page, after = jobs.page(after, 200)
        jobs.progress(page)
        if after is None:
            break
    jobs.close()


def _set(server: Postgres, settings: dict[str, Any]) -> None:
    """Give the server these settings, and start it again with them; None: its own."""
    with psycopg.connect(server.address, autocommit=True) as connection:
        for name, value in settings.items():
            change = f"RESET {name}" if value is None else f"SET {name} = '{value}'"
            connection.execute(f"ALTER SYSTEM {change}")
    server.stop()
    server.start()


def _model_study(url: str) -> tuple[int, int]:
    """A study with one trial, as recsweep writes them; their ids."""
    jobs = Jobs(url)
    sweep = load_sweep(ROOT / "config" / "smoke.yaml", {"models": "FPMC", "outputs": "outputs"})
    plan = plan_sweep(sweep)[0]
    study = open_study(plan, jobs.store)
    study.ensure_slots(1)
    claim = study.claim(1, this_process())
    if claim is None:
        raise RuntimeError("no slot waits in a new study")
    study.start(claim, DEFAULTS, SPACE, 1, ENVIRONMENT)
    metrics = {f"{name}@10": 0.1 for name in ("ndcg", "recall", "mrr", "hit")}
    study.finish(claim, 0.1, Result(metrics, 3, 3, 1.5))
    jobs.close()
    return study.id, claim.trial_id


def _without_keys(connection: Any) -> list[str]:
    """Take indexes and keys away; the statements that make them again, primary keys first."""
    keys = connection.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') "
        "ORDER BY array_position(ARRAY['p', 'u', 'f'], contype::text)"
    ).fetchall()
    again = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" for table, name, text in keys]
    for table, name, _ in reversed(keys):
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    indexes = connection.execute(
        "SELECT quote_ident(indexname), indexdef FROM pg_indexes WHERE schemaname = 'public'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    return [*(text for _, text in indexes), *again]


def _copy_records(connection: Any, study_id: int) -> None:
    """The record of each study, like the one that there is."""
    columns = [
        row[0]
        for row in connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'recsweep_studies'"
        )
    ]
    own = {
        "study_id": "made.study_id",
        "study": "'job-' || id || '/' || dataset || '/' || model || '/full'",
        "sweep_name": "'job-' || id",
        "dataset_name": "dataset",
        "model_name": "model",
        "budget": "100",
        "score": "CASE status WHEN 'completed' THEN 0.5 END",
        "ended": "CASE status WHEN 'completed' THEN '2026-11-26T12:00:00+00:00' END",
    }
    values = ", ".join(own.get(name, f"r.{name}") for name in columns)
    connection.execute(
        f"INSERT INTO recsweep_studies ({', '.join(columns)}) SELECT {values} "
        f"FROM made, recsweep_studies r WHERE r.study_id = {study_id}"
    )
