"""50 clients that poll a job and 50 streams of its events, for a minute each time: errors, seconds, cost.

    python benchmarks/service_load.py [--seconds 60] [--trials 6] [--turns 2] [--write]

The same job is run again and again, looked at by nobody and by all of them in turns, nobody first and last,
and the means of the seconds of its trials are compared: a machine changes its pace by itself.
Its trials are alike (only the learning rate varies) and train on one core: server and clients have the other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from results import command, own_lines, write_section
from service_process import Served, served

CLIENTS = STREAMS = 50
POLL_SECONDS = 1.0
TARGET_MS, TARGET_SHARE = 100, 0.03
LONGEST_SECONDS = 900
Looked = tuple[list[float], int, list[str]]
"""Seconds of each answer, events that were heard, errors."""
JOB: dict[str, Any] = {
    "name": "load",
    "dataset": "ml-100k-small",
    "engine": "optuna",
    "algo": "random",
    "search_space": {"learning_rate": {"type": "loguniform", "min": 1e-4, "max": 1e-2}},
}


async def polled(
    client: httpx.AsyncClient, where: str, until: float, took: list[float], wrong: list[str], after: float
) -> None:
    """Ask for the job, and rest for a second, until the time is over; begin after some seconds."""
    await asyncio.sleep(after)
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            answer = await client.get(where)
            if answer.status_code != 200:
                wrong.append(f"{answer.status_code} {answer.text[:80]}")
        except httpx.HTTPError as error:
            wrong.append(repr(error))
        took.append(time.monotonic() - began)
        await asyncio.sleep(POLL_SECONDS)


async def streamed(
    client: httpx.AsyncClient, where: str, until: float, heard: list[int], wrong: list[str]
) -> None:
    """Hear the events of the job, until the time is over."""
    try:
        async with client.stream("GET", where) as answer:
            if answer.status_code != 200:
                wrong.append(f"stream {answer.status_code}")
            async for line in answer.aiter_lines():
                heard.append(line.startswith("id: "))
                if time.monotonic() >= until:
                    return
    except httpx.HTTPError as error:
        wrong.append(repr(error))


async def looked_at(server: Served, where: str, seconds: float) -> Looked:
    """All clients and streams at once; seconds of each answer, events that were heard, errors."""
    took: list[float] = []
    heard: list[int] = []
    wrong: list[str] = []
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=CLIENTS + STREAMS)
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, limits=limits, timeout=httpx.Timeout(30, read=60)
    ) as client:
        # Clients that know nothing of each other do not ask all in the same moment.
        starts = [POLL_SECONDS * number / CLIENTS for number in range(CLIENTS)]
        polls = [polled(client, where, until, took, wrong, after) for after in starts]
        streams = [streamed(client, f"{where}/events", until, heard, wrong) for _ in range(STREAMS)]
        await asyncio.wait_for(asyncio.gather(*polls, *streams), seconds + 90)
    return took, sum(heard), wrong


def begun(server: Served, asked: argparse.Namespace) -> str:
    """A job that runs; its address."""
    job = {**JOB, "model": asked.model, "num_samples": asked.trials}
    job |= {"epochs": asked.epochs, "patience": asked.epochs}
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        made = client.post("/api/tuning/jobs", json=job).raise_for_status().json()
        where = f"/api/tuning/jobs/{made['id']}"
        client.post(f"{where}/start").raise_for_status()
        while not client.get(where).json()["trials"]:
            time.sleep(0.2)
    return where


def ended(server: Served, where: str) -> list[float]:
    """The seconds of its trials, once it is completed."""
    began = told = time.monotonic()
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        while (job := client.get(where).json())["status"] in ("queued", "running"):
            if time.monotonic() - began > LONGEST_SECONDS:
                raise SystemExit(f"the job is not over after {LONGEST_SECONDS} s")
            if time.monotonic() - told > 10:
                told = time.monotonic()
                _tell(
                    f"{told - began:4.0f} s: {job['progress']['done']} of {job['progress']['total']} trials"
                )
            time.sleep(1)
    if job["status"] != "completed":
        raise SystemExit(f"the job is {job['status']}: {job['error']}")
    return [trial["seconds"] for trial in job["trials"]]


def report(
    looked: Looked, trials: int, alone: list[float], beside: list[float], processors: float
) -> tuple[str, bool]:
    """The section of RESULTS.md, and whether each target is reached.

    Args:
        alone: seconds of the trials of each job that nobody looked at.
        beside: those beside clients and streams.
    """
    took, heard, wrong = looked
    p95, median = statistics.quantiles(took, n=20)[-1] * 1000, statistics.median(took) * 1000
    slower = statistics.mean(beside) / statistics.mean(alone) - 1
    listed = [", ".join(f"{one:.1f}" for one in some) for some in (alone, beside)]
    spent = f"{listed[0]} alone; {listed[1]} beside: {slower:+.1%}"
    rows = [
        ("errors", f"{len(wrong)} of {len(took):,} answers and {STREAMS} streams", "0", not wrong),
        ("p95 of an answer, ms", f"{p95:.0f} (median {median:.0f})", f"{TARGET_MS}", p95 <= TARGET_MS),
        (f"seconds of {trials} trials", spent, f"{TARGET_SHARE:+.0%}", slower <= TARGET_SHARE),
    ]
    lines = [
        "## Fifty clients and fifty streams",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}.",
        "How stands at the top of [service_load.py](service_load.py).",
        "",
        *own_lines(),
        f"- {heard:,} events were heard. For them and for {len(took):,} answers the server took "
        f"{processors:.1f} s of a processor. Load of the machine at the end: {os.getloadavg()[0]:.1f}.",
        *(f"- Error: {one}" for one in wrong[:3]),
        "",
        "| | measured | target | |",
        "|---|---|---|---|",
    ]
    for about, found, target, is_reached in rows:
        lines.append(f"| {about} | **{found}** | {target} | {'reached' if is_reached else 'missed'} |")
    return "\n".join(lines), all(row[-1] for row in rows)


def main() -> int:
    """Measure, print, and write if asked to."""
    asked = _arguments()
    one_core = {"OMP_NUM_THREADS": "1"}
    took: list[float] = []
    wrong: list[str] = []
    heard, processors = 0, 0.0
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), environment=one_core) as server:
        alone, beside = [_alone(server, asked)], []
        for _ in range(asked.turns):
            where, before = begun(server, asked), server.processor()
            some = asyncio.run(looked_at(server, where, asked.seconds))
            processors += server.processor() - before
            took, heard, wrong = took + some[0], heard + some[1], wrong + some[2]
            _tell(f"{len(took):,} answers, {heard:,} events heard, {len(wrong)} errors {wrong[:3]}")
            beside.append(sum(ended(server, where)))
            _tell(f"trials took {beside[-1]:.1f} s beside {CLIENTS} clients and {STREAMS} streams")
            alone.append(_alone(server, asked))
    text, reached = report((took, heard, wrong), asked.trials, alone, beside, processors)
    _tell(text)
    if asked.write:
        write_section("service load", text)
    return int(not reached)


def _alone(server: Served, asked: argparse.Namespace) -> float:
    """The seconds of the trials of a job that nobody looks at."""
    spent = sum(ended(server, begun(server, asked)))
    _tell(f"trials took {spent:.1f} s, looked at by nobody")
    return spent


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--turns", type=int, default=2, help="jobs that are looked at")
    parser.add_argument("--model", default="SASRec")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=6, help="of each trial")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
