"""50 clients that poll a job and 50 streams of its events, for a minute: errors, seconds, cost.

    python benchmarks/service_load.py [--seconds 60] [--trials 30]

The same job is run twice: looked at by nobody, and by all of them. Trials' own seconds are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from service_process import Served, served

CLIENTS = STREAMS = 50
POLL_SECONDS = 1.0
TARGET_MS, TARGET_SHARE = 100, 0.03
JOB: dict[str, Any] = {
    "name": "load",
    "dataset": "ml-100k-small",
    "model": "SASRec",
    "epochs": 20,
    "patience": 20,
    "engine": "optuna",
    "algo": "random",
}


async def polled(
    client: httpx.AsyncClient, where: str, until: float, took: list[float], wrong: list[str]
) -> None:
    """Ask for the job, and rest for a second, until the time is over."""
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


async def looked_at(server: Served, where: str, seconds: float) -> tuple[list[float], int, list[str]]:
    """All clients and streams at once; seconds of each answer, events that were heard, errors."""
    took: list[float] = []
    heard: list[int] = []
    wrong: list[str] = []
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=CLIENTS + STREAMS)
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, limits=limits, timeout=httpx.Timeout(30, read=60)
    ) as client:
        polls = [polled(client, where, until, took, wrong) for _ in range(CLIENTS)]
        streams = [streamed(client, f"{where}/events", until, heard, wrong) for _ in range(STREAMS)]
        await asyncio.wait_for(asyncio.gather(*polls, *streams), seconds + 90)
    return took, sum(heard), wrong


def begun(server: Served, trials: int) -> str:
    """A job that runs; its address."""
    with httpx.Client(base_url=server.url, headers=server.headers) as client:
        made = client.post("/api/tuning/jobs", json={**JOB, "num_samples": trials}).raise_for_status().json()
        where = f"/api/tuning/jobs/{made['id']}"
        client.post(f"{where}/start").raise_for_status()
        while not client.get(where).json()["trials"]:
            time.sleep(0.2)
    return where


def ended(server: Served, where: str) -> list[float]:
    """The seconds of its trials, once it is completed."""
    with httpx.Client(base_url=server.url, headers=server.headers) as client:
        while (job := client.get(where).json())["status"] in ("queued", "running"):
            time.sleep(1)
    if job["status"] != "completed":
        raise SystemExit(f"the job is {job['status']}: {job['error']}")
    return [trial["seconds"] for trial in job["trials"]]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        alone = ended(server, begun(server, options.trials))
        where = begun(server, options.trials)
        took, heard, wrong = asyncio.run(looked_at(server, where, options.seconds))
        beside = ended(server, where)
    p95 = statistics.quantiles(took, n=20)[-1] * 1000
    slower = sum(beside) / sum(alone) - 1
    print(f"{len(took):,} answers, {heard:,} events heard, {len(wrong)} errors {wrong[:3]}")
    print(f"median {statistics.median(took) * 1000:.0f} ms, p95 {p95:.0f} ms (target {TARGET_MS})")
    print(f"{len(beside)} trials: {sum(alone):.1f} s alone, {sum(beside):.1f} s beside: {slower:+.1%}")
    return int(bool(wrong) or p95 > TARGET_MS or slower > TARGET_SHARE)


if __name__ == "__main__":
    raise SystemExit(main())
