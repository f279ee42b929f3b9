"""The service's pages over a store that is full: 10,000 jobs, 1,000,000 trials, in a real PostgreSQL.

The store is filled by bulk SQL with what recsweep itself writes: a job with its models and data sets, its
study with its record, and of each trial its parameters, value, curve and attributes. Pages asked for:

- list: 50 jobs with how far each is, from any place in the list, the last one too; with each filter.
- job: one job at random with its studies, how far they are, all of its trials with their parameters and
  metrics, and a page of its events.

Seconds are those of the whole question, in one process beside the server.

    python benchmarks/service_pages.py --write
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.light_worker import DEFAULTS, ENVIRONMENT, SPACE  # noqa: E402
from helpers.postgres import Postgres, running_postgres  # noqa: E402
from recsweep.common.owner import this_process  # noqa: E402
from recsweep.planning.plan import plan_sweep  # noqa: E402
from recsweep.search.starts import open_study  # noqa: E402
from recsweep.service.jobs import Job, Jobs, new_id, sweep_name  # noqa: E402
from recsweep.service.states import JobStatus  # noqa: E402
from recsweep.study import Result  # noqa: E402
from recsweep.sweeps.loading import load_sweep  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402

TARGET = 0.050
MODELS, DATASETS = ("FPMC", "GRU4Rec", "SASRec", "NARM"), ("ml-100k", "ml-100k-small", "another")
PAGE = 50
_FIRST = 1_000_000
"""The first id of what is filled in: above what is there."""

_FILL = """
CREATE TEMP TABLE made AS SELECT n, {first} + n AS study_id, ({ids})[1 + n] AS id,
  ({models})[1 + n % 4] AS model, ({datasets})[1 + n % 3] AS dataset,
  CASE n % 10 WHEN 7 THEN 'failed' WHEN 8 THEN 'cancelled' WHEN 9 THEN 'paused' ELSE 'completed' END AS status
  FROM generate_series(0, {jobs} - 1) AS n;
INSERT INTO tuning_jobs (id, name, status, request, request_hash, trials, created, beat, deaths, events)
  SELECT id, 'job ' || n, status, '{{"engine": "optuna", "num_samples": {trials}}}', '', {trials},
    now() AT TIME ZONE 'UTC', 0, 0, {trials} FROM made;
INSERT INTO tuning_job_parts (job_id, kind, position, name)
  SELECT id, 'model', 0, model FROM made UNION ALL SELECT id, 'dataset', 0, dataset FROM made;
INSERT INTO tuning_events (job_id, n, kind, data, at, mark)
  SELECT id, k, 'trial.ended', '{{"slot": ' || k || '}}', now() AT TIME ZONE 'UTC', k || '.ended'
  FROM made, generate_series(1, {trials}) AS k;
INSERT INTO studies (study_id, study_name)
  SELECT study_id, 'job-' || id || '/' || dataset || '/' || model || '/full' FROM made;
INSERT INTO study_directions (study_id, direction, objective) SELECT study_id, 'MAXIMIZE', 0 FROM made;
INSERT INTO study_user_attributes (study_id, key, value_json)
  SELECT made.study_id, a.key, a.value_json FROM made, study_user_attributes a
  WHERE a.study_id = {model_study};
INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)
  SELECT {first} + n * {trials} + k, k, study_id,
    CASE WHEN k % 20 = 7 THEN 'PRUNED' WHEN k % 50 = 3 THEN 'FAIL' ELSE 'COMPLETE' END::trialstate,
    now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
  FROM made, generate_series(0, {trials} - 1) AS k;
INSERT INTO trial_values (trial_id, objective, value, value_type)
  SELECT trial_id, 0, (trial_id::bigint * 7919 % 10007) / 10007.0, 'FINITE' FROM trials
  WHERE study_id >= {first} AND state <> 'FAIL';
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
  SELECT t.trial_id, p.param_name, p.param_value, p.distribution_json FROM trials t, trial_params p
  WHERE t.study_id >= {first} AND p.trial_id = {model_trial};
INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
  SELECT trial_id, step, step / 100.0, 'FINITE' FROM trials, generate_series(1, 3) AS step
  WHERE study_id >= {first};
INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT t.trial_id, a.key, CASE a.key WHEN 'slot' THEN t.number::text ELSE a.value_json END
  FROM trials t, trial_user_attributes a WHERE t.study_id >= {first} AND a.trial_id = {model_trial};
INSERT INTO trial_user_attributes (trial_id, key, value_json)
  SELECT trial_id, 'failure', '{{"kind": "diverged", "message": "the loss is NaN"}}' FROM trials
  WHERE study_id >= {first} AND state IN ('FAIL', 'PRUNED');
"""


def main() -> int:
    """Measure, print, and write if asked to."""
    arguments = _arguments()
    started = time.monotonic()
    with running_postgres() as postgres:
        url = postgres.new_url()
        jobs = Jobs(url)
        fill(postgres, url, jobs, arguments)
        filled = time.monotonic() - started
        _tell(f"filled in {filled:.0f} s")
        measured = measure(_server(postgres), jobs, arguments.asked)
    text = report(measured, arguments, filled)
    _tell(text)
    if arguments.write:
        write_section("service pages", text)
    return int(any(p95([clock for clock, _ in taken]) > TARGET for taken in measured.values()))


def _server(postgres: Postgres) -> psutil.Process:
    with psycopg.connect(postgres.address) as connection:
        return psutil.Process(connection.info.backend_pid).parent() or psutil.Process()


def fill(postgres: Postgres, url: str, jobs: Jobs, arguments: argparse.Namespace) -> None:
    """So many jobs with so many trials each, like the one that recsweep makes first."""
    study_id, trial_id = _model_study(jobs)
    ids = sorted(new_id() for _ in range(arguments.jobs))
    database = url.partition("?")[0].rpartition("/")[2]
    address = postgres.address.replace("/postgres?", f"/{database}?")
    with psycopg.connect(address, autocommit=True) as connection:
        script = _FILL.format(
            first=_FIRST,
            jobs=arguments.jobs,
            trials=arguments.trials,
            model_study=study_id,
            model_trial=trial_id,
            ids=f"ARRAY{ids}",
            models=f"ARRAY{list(MODELS)}",
            datasets=f"ARRAY{list(DATASETS)}",
        )
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement)  # type: ignore[call-overload]
        _copy_records(connection, study_id)
        connection.execute("VACUUM ANALYZE")


def _model_study(jobs: Jobs) -> tuple[int, int]:
    """A study with one trial, as recsweep writes them; their ids."""
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
    return study.id, claim.trial_id


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


def measure(server: psutil.Process, jobs: Jobs, asked: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each question, by the clock and of processors, by what it is."""
    chance = random.Random(2026)
    ids = [job.id for job in _all(jobs)]

    def page(**wanted: Any) -> None:
        found, _ = jobs.page(limit=PAGE, **wanted)
        jobs.progress(found)

    def job() -> None:
        look_at(jobs, chance.choice(ids))

    questions: dict[str, Callable[[], None]] = {
        "list, the first page": page,
        "list, the last page": lambda: page(after=ids[-PAGE - 1]),
        "list, a page anywhere": lambda: page(after=chance.choice(ids)),
        "list, by status": lambda: page(after=chance.choice(ids), status=JobStatus.PAUSED),
        "list, by model and data set": lambda: page(model="SASRec", dataset="another"),
        "list, by a model that none has": lambda: page(model="nobody"),
        "job, with all of its trials": job,
    }
    for ask in questions.values():
        ask()
    return {name: [_taken(ask, server) for _ in range(asked)] for name, ask in questions.items()}


def look_at(jobs: Jobs, job_id: str) -> None:
    """What the page of a job shows."""
    job = jobs.get(job_id)
    jobs.progress([job])
    for study in jobs.store.studies(sweep=sweep_name(job.id)):
        study.record()
        study.results()
        study.running()
    jobs.events(job.id, limit=100)


def _all(jobs: Jobs) -> list[Job]:
    found: list[Job] = []
    after = None
    while True:
        page, after = jobs.page(after, 1000)
        found += page
        if after is None:
            return found


def _taken(ask: Callable[[], None], server: psutil.Process) -> tuple[float, float]:
    """Seconds by the clock, and seconds of processors that this process and the server took."""
    started, before = time.perf_counter(), time.process_time() + _processor(server)
    ask()
    return time.perf_counter() - started, time.process_time() + _processor(server) - before


def _processor(server: psutil.Process) -> float:
    """Seconds that the processes of a server have run."""
    found = 0
    for process in server.children():
        with suppress(OSError):
            found += int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0])
    return found / 1e9


def p95(seconds: list[float]) -> float:
    """The time within which 95 of 100 questions are answered."""
    return statistics.quantiles(seconds, n=20)[-1]


def report(
    measured: dict[str, list[tuple[float, float]]], arguments: argparse.Namespace, filled: float
) -> str:
    """The section of RESULTS.md."""
    lines = [
        "## Pages of the service over a full store",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}.",
        "What is asked, and how, stands at the top of [service_pages.py](service_pages.py).",
        "",
        f"- {arguments.jobs:,} jobs of {arguments.trials} trials, {arguments.jobs * arguments.trials:,} in "
        f"all, in PostgreSQL on the same machine, filled in {filled:.0f} s; each question "
        f"{arguments.asked} times. Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        *own_lines(),
        "",
        "| question | ms: median | p95 | of processors: median | p95 | target ms | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, taken in measured.items():
        clock, processors = ([1000 * pair[kind] for pair in taken] for kind in (0, 1))
        reached = "reached" if p95(clock) <= 1000 * TARGET else "missed"
        lines.append(
            f"| {name} | {statistics.median(clock):.1f} | **{p95(clock):.1f}** | "
            f"{statistics.median(processors):.1f} | {p95(processors):.1f} | {1000 * TARGET:.0f} | {reached} |"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=100, help="of each job")
    parser.add_argument("--asked", type=int, default=200, help="times that each question is asked")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
