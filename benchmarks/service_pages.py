"""The service's pages over a store that is full: 10,000 jobs, 1,000,000 trials, in a real PostgreSQL.

The store is filled by `full_store.py`. A real `recsweep serve` is asked over HTTP, one question after the
other, all kinds of them in turns:

- list: 50 jobs with how far each is, from anywhere in the list, the last page too; with each filter.
- job: one job at random with its studies, how far they are, the best trial and the last fifty.
- trials, scores, events: the page of trials before these, the scores of all trials for the chart, the events
  of a whole job as a stream.
- the two pages themselves, which ask for the rest.

Seconds are those of the whole question by the clock; of processors those of the server and of PostgreSQL.

    python benchmarks/service_pages.py --write
    python benchmarks/service_pages.py --keep /tmp/full --against ../before/src    # two versions in turns
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from full_store import Full, full_store  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402
from service_process import Served, served  # noqa: E402

TARGET = 0.050
PAGE = 50
API = "/api/tuning"
_TARGETED = ("list", "job")
"""Kinds of questions that the target is for."""


@dataclass
class Taken:
    """Seconds of one kind of question, by the clock and of processors."""

    clock: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)


Measured = dict[str, dict[str, Taken]]
"""By kind of question, and by version of recsweep."""


def main() -> int:
    """Measure, print, and write if asked to."""
    arguments = _arguments()
    with ExitStack() as stack:
        full = stack.enter_context(full_store(arguments.jobs, arguments.trials, arguments.keep, _tell))
        versions = {"recsweep": ROOT / "src"}
        if arguments.against is not None:
            versions = {"before": arguments.against.resolve(), **versions}
        servers = {name: stack.enter_context(_served(source, full.url)) for name, source in versions.items()}
        _tell(f"{len(servers)} server{'s' if len(servers) > 1 else ''} up; {arguments.asked} rounds")
        measured = measure(full, servers, arguments.asked)
        text = report(measured, arguments, full.filled)
    _tell(text)
    if arguments.write:
        write_section("service pages", text)
    own = [taken["recsweep"] for name, taken in measured.items() if name.startswith(_TARGETED)]
    return int(any(p95(taken.clock) > TARGET for taken in own))


@contextmanager
def _served(source: Path, url: str) -> Iterator[Served]:
    """A server of the recsweep in a folder of source, on the full store."""
    environment = {"RECSWEEP_STORAGE": url, "PYTHONPATH": str(source)}
    with tempfile.TemporaryDirectory() as folder:
        options = ("--job-workers=0", "--requests-per-minute=1000000")
        with served(Path(folder), *options, environment=environment) as server:
            yield server


def measure(full: Full, servers: dict[str, Served], asked: int) -> Measured:
    """Seconds of each kind of question to each server, all kinds and servers in turns."""
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(
                httpx.Client(
                    base_url=server.url, headers=server.headers, cookies=server.session(), timeout=60
                )
            )
            for name, server in servers.items()
        }
        ids = _all_jobs(next(iter(clients.values())))
        measured: Measured = {name: {one: Taken() for one in servers} for name in questions(ids, 0)}
        for number in range(-3, asked):  # the first ones are not counted: connections, statements, caches
            for name, path in questions(ids, number).items():
                for version, client in clients.items():
                    clock, processors = _taken(client, path, servers[version], full)
                    if number >= 0 and clock is not None:
                        measured[name][version].clock.append(clock)
                        measured[name][version].processors.append(processors)
            if number % 25 == 0:
                _tell(f"round {number} of {asked}")
    return measured


def _client(server: Served) -> httpx.Client:
    return httpx.Client(
        base_url=server.url, headers=server.headers, cookies=server.session(), timeout=60, trust_env=False
    )


def questions(ids: list[str], number: int) -> dict[str, str]:
    """The questions of a round, by what they are: of jobs at random, the same for each server."""
    chance = random.Random(number)
    job, after = chance.choice(ids), chance.choice(ids)
    return {
        "list, the first page": f"{API}/jobs?limit={PAGE}",
        "list, the last page": f"{API}/jobs?limit={PAGE}&after={ids[PAGE]}",
        "list, a page anywhere": f"{API}/jobs?limit={PAGE}&after={after}",
        "list, by status": f"{API}/jobs?limit={PAGE}&after={after}&status=paused",
        "list, by model and data set": f"{API}/jobs?limit={PAGE}&model=SASRec&dataset=another",
        "list, by a model that none has": f"{API}/jobs?limit={PAGE}&model=nobody",
        "list, the page itself": "/",
        "job, with its last trials": f"{API}/jobs/{job}",
        "job, the page itself": f"/jobs/{job}",
        "trials, those before": f"{API}/jobs/{job}/trials?limit={PAGE}&before=0.50",
        "scores of all trials": f"/jobs/{job}/scores",
        "events of a whole job": f"{API}/jobs/{job}/events",
    }


def _all_jobs(client: httpx.Client) -> list[str]:
    """The ids of all jobs, the oldest first."""
    found: list[str] = []
    after = ""
    while True:
        page = client.get(f"{API}/jobs?limit=200{after}").raise_for_status().json()
        found += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            return found[::-1]
        after = f"&after={page['next']}"


def _taken(client: httpx.Client, path: str, server: Served, full: Full) -> tuple[float | None, float]:
    """Seconds by the clock, and seconds of processors that the server and PostgreSQL took.

    An earlier version may not have that route: it is not counted there.
    """
    before, started = _processor(server, full), time.perf_counter()
    answer = client.get(path)
    clock = time.perf_counter() - started
    if answer.status_code in (404, 422):
        return None, 0.0
    answer.raise_for_status()
    return clock, _processor(server, full) - before


def _processor(server: Served, full: Full) -> float:
    """Seconds that the processes of a server and of its database have run."""
    found = 0
    for process in (psutil.Process(server.process.pid), *full.processes):
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                found += int(thread.read_text().split()[0])
    return found / 1e9


def p95(seconds: list[float]) -> float:
    """The time within which 95 of 100 questions are answered."""
    return statistics.quantiles(seconds, n=20)[-1]


def report(measured: Measured, arguments: argparse.Namespace, filled: float | None) -> str:
    """The section of RESULTS.md."""
    trials = arguments.jobs * arguments.trials
    made = "filled before" if filled is None else f"filled in {filled:.0f} s"
    lines = [
        "## Pages of the service over a full store",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}.",
        "What is asked, and how, stands at the top of [service_pages.py](service_pages.py).",
        "",
        f"- {arguments.jobs:,} jobs of {arguments.trials} trials, {trials:,} in all, in PostgreSQL on the "
        f"same machine, {made}; each question {arguments.asked} times. "
        f"Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        *own_lines(),
        "",
        "| question | ms: median | p95 | of processors: median | p95 | target ms | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, versions in measured.items():
        for version, taken in versions.items():
            if len(taken.clock) > 1:
                about = name if version == "recsweep" else f"{name}: {version}"
                lines.append(_row(about, taken, name.startswith(_TARGETED)))
    return "\n".join(lines)


def _row(about: str, taken: Taken, targeted: bool) -> str:
    clock, processors = ([1000 * one for one in some] for some in (taken.clock, taken.processors))
    reached = "reached" if p95(clock) <= 1000 * TARGET else "missed"
    target = f"{1000 * TARGET:.0f} | {reached}" if targeted else " | "
    return (
        f"| {about} | {statistics.median(clock):.1f} | **{p95(clock):.1f}** | "
        f"{statistics.median(processors):.1f} | {p95(processors):.1f} | {target} |"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=100, help="of each job")
    parser.add_argument("--asked", type=int, default=200, help="times that each question is asked")
    parser.add_argument("--keep", type=Path, help="a folder in which the full store stays for the next time")
    parser.add_argument("--against", type=Path, help="source of another recsweep, whose server is asked too")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
