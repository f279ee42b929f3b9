"""How the store scales: many workers on one study, and many trials in it.

A stand-in for training that only waits (0.2 s a trial, one score reported on the way) leaves what is
around it: the real store, the real claims, the real engine (Optuna's random proposals: a model's own time
is no store's). The server is a real PostgreSQL, started for the purpose, that writes to the disk before
it tells a commit as done; workers and server share the machine.

- Scaling: 1 to 32 workers, each a process, on one study. Efficiency is the time that the trials wait in
  all, over the time that the workers were there: 1 would be a store that costs nothing.
- Claims: how many slots a second the same workers claim when they do nothing else.
- Cost by size: what a trial costs one worker (claim, start, report, finish, and reading what is new)
  beside 100 and beside 10,000 finished trials, the two in turns; for SQLite and for PostgreSQL.

Every slot must have been run exactly once; where it was not, the exit code is 1. Targets that are
missed are shown, and are no error.

    python benchmarks/scaling.py --write
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.light_worker import (  # noqa: E402
    DEFAULTS,
    ENVIRONMENT,
    SPACE,
    Job,
    fork_context,
    problems,
    start,
)
from helpers.postgres import Postgres, running_postgres  # noqa: E402
from recsweep.common.owner import this_process  # noqa: E402
from recsweep.common.provenance import hardware, versions  # noqa: E402
from recsweep.study import Result, Study  # noqa: E402
from results import command, write_section  # noqa: E402

EFFICIENCY, GROWTH = 0.9, 2.0


def main() -> int:
    """Measure, print, and write if asked to."""
    arguments = _arguments()
    started, failed = time.monotonic(), []
    with running_postgres(durable=True) as postgres:
        scaled = []
        for count in arguments.workers:
            row, wrong = scaling(postgres, count, arguments)
            scaled.append(row)
            failed += wrong
            _tell(f"{count} workers: efficiency {row['efficiency']:.3f}, {row['claims']:.0f} claims a second")
        costs = cost_by_size(postgres, arguments)
    text = report(scaled, costs, arguments, time.monotonic() - started)
    _tell(text)
    for problem in failed:
        _tell(f"PROBLEM: {problem}")
    if arguments.write and not failed:
        write_section("scaling", text)
    return 1 if failed else 0


def scaling(
    postgres: Postgres, count: int, arguments: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """One row of the table, the median of some repeats; and what was not as it must be."""
    runs, wrong = [], []
    for _ in range(arguments.repeats):
        job = Job(postgres.new_url(), budget=count * arguments.trials, seconds=arguments.seconds)
        wall = _run(job, count)
        wrong += [f"{count} workers: {problem}" for problem in problems(job)]
        runs.append(job.budget * job.seconds / (count * wall))
    claims = Job(postgres.new_url(), budget=arguments.claims, seconds=0.0)
    return {
        "workers": count,
        "efficiency": statistics.median(runs),
        "lowest": min(runs),
        "trials a second": statistics.median(runs) * count / arguments.seconds,
        "claims": arguments.claims / _run(claims, count, _claim_all),
    }, wrong


def _run(job: Job, count: int, *work: Any) -> float:
    """Seconds from the moment when all workers are ready to the end of the last one's last trial."""
    store, study = job.open()
    study.ensure_slots(job.budget)
    store.close()
    context = fork_context()
    barrier, ended = context.Barrier(count + 1), context.Queue()
    if work:
        workers = [context.Process(target=work[0], args=(job, barrier, ended)) for _ in range(count)]
        for worker in workers:
            worker.start()
    else:
        workers = start(job, count, False, barrier, ended)
    barrier.wait()
    began = time.monotonic()
    last: float = max(ended.get()[0] for _ in workers)
    for worker in workers:
        worker.join()
    return last - began


def _claim_all(job: Job, barrier: Any, ended: Any) -> None:
    store, study = job.open()
    me = this_process()
    study.claim(0, me)
    barrier.wait()
    number = 0
    while study.claim(job.budget, me) is not None:
        number += 1
    ended.put((time.monotonic(), number))
    store.close()


def cost_by_size(postgres: Postgres, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Milliseconds a trial beside few and beside many finished ones, in turns."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("SQLite", "PostgreSQL"):
            url = f"sqlite:///{folder}/size.db" if kind == "SQLite" else postgres.new_url()
            studies = {}
            for size in arguments.sizes:
                _tell(f"{kind}: a study with {size:,} trials")
                job = Job(url, study=f"size-{size}", budget=size + arguments.measured + 5)
                _, study = job.open()
                study.ensure_slots(job.budget)
                for _ in range(size + 5):
                    _one_trial(study, job, read=False)
                study.results()
                studies[size] = (replace(job), study)
            times: dict[int, list[float]] = {size: [] for size in studies}
            for _ in range(arguments.measured):
                for size, (job, study) in studies.items():
                    began = time.perf_counter()
                    _one_trial(study, job)
                    times[size].append(1000 * (time.perf_counter() - began))
            medians = {size: statistics.median(found) for size, found in times.items()}
            few, many = min(medians), max(medians)
            by_size: dict[Any, Any] = dict(medians)
            rows.append({"store": kind, **by_size, "ratio": medians[many] / medians[few]})
    return rows


def _one_trial(study: Study, job: Job, *, read: bool = True) -> None:
    claim = study.claim(job.budget, this_process())
    assert claim is not None
    study.start(claim, DEFAULTS, SPACE, claim.slot, ENVIRONMENT)
    study.report(claim, 1, 0.1)
    study.finish(claim, 0.1, Result({"ndcg@10": 0.1}, 1, 1, 0.2))
    if read:
        study.results()


def report(
    scaled: list[dict[str, Any]], costs: list[dict[str, Any]], arguments: argparse.Namespace, seconds: float
) -> str:
    """The section of RESULTS.md."""
    machine = hardware()
    few, many = min(arguments.sizes), max(arguments.sizes)
    top = scaled[-1]
    lines = [
        "## How the store scales",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}, in {seconds:.0f} s.",
        "What is measured, and how, stands at the top of [scaling.py](scaling.py).",
        "",
        f"- PostgreSQL on the same machine; {arguments.seconds:g} s a trial, "
        f"{arguments.trials} trials a worker; medians of {arguments.repeats} runs. "
        f"Claims: {arguments.claims:,} slots.",
        f"- Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']} GiB, "
        f"{machine['system']}; python {versions()['python']}, optuna {versions()['optuna']}.",
        "- Every slot was run exactly once, in every run.",
        "",
        "| workers | efficiency | lowest | trials a second | claims a second |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in scaled:
        lines.append(
            f"| {row['workers']} | **{row['efficiency']:.3f}** | {row['lowest']:.3f} "
            f"| {row['trials a second']:.0f} | {row['claims']:.0f} |"
        )
    met = "reached" if top["efficiency"] >= EFFICIENCY else "missed"
    lines += [
        "",
        f"Target: efficiency {EFFICIENCY} with {top['workers']} workers: {met}.",
        "",
        f"| store | ms a trial beside {few:,} | beside {many:,} | ratio | target |",
        "|---|---:|---:|---:|---|",
    ]
    for row in costs:
        met = "reached" if row["ratio"] <= GROWTH else "missed"
        lines.append(
            f"| {row['store']} | {row[few]:.1f} | {row[many]:.1f} | **{row['ratio']:.2f}** "
            f"| at most {GROWTH:g}: {met} |"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Many workers on one study, and many trials in it.")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--trials", type=int, default=40, help="of each worker")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a trial")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--claims", type=int, default=2000, help="slots that are only claimed")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--measured", type=int, default=200, help="trials whose cost is measured")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
