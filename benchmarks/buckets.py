"""20 trials whose checkpoints go to S3, which is away for a minute and then refuses a third of all calls.

    python benchmarks/buckets.py [--trials 20] [--away 60] [--memory-trials 500] [--write]

The server is moto's, a process of its own; a small proxy stands before it. Exit code 1 where a trial is lost,
a checkpoint is missing or its SHA-256 differs, one too many is kept, or the memory of a worker grows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from helpers.buckets import BUCKET, S3, Proxy  # noqa: E402
from helpers.catalogue import write_dataset  # noqa: E402
from recsweep.checkpoints.bucket import Bucket  # noqa: E402
from recsweep.checkpoints.manifest import MOST_BYTES, Manifest  # noqa: E402
from recsweep.common.owner import this_process  # noqa: E402
from recsweep.planning.plan import StudyPlan, plan_sweep  # noqa: E402
from recsweep.running.events import Event, TrialDone  # noqa: E402
from recsweep.running.worker import Worker  # noqa: E402
from recsweep.study import Store  # noqa: E402
from recsweep.sweeps.loading import load_sweep  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402
from resume import opened, write_sweep  # noqa: E402

PLACE = f"s3://{BUCKET}/bench"
KEPT = 2
FLAT = 1.02
WARM = 50
"""Trials after which a worker has loaded what it needs."""
LIMIT_SECONDS = 1800.0


@dataclass
class Found:
    """What was measured."""

    problems: list[str] = field(default_factory=list)
    trials: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)

    def require(self, held: bool, problem: str) -> None:
        if not held:
            self.problems.append(problem)
            print(f"PROBLEM: {problem}", flush=True)


def main() -> int:
    arguments, found = _arguments(), Found()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="recsweep-buckets-") as name:
        folder = Path(name)
        data = write_dataset(folder)
        with S3.running(folder / "server.log") as proxy:
            os.environ.update(S3.variables(proxy))
            if arguments.trials:
                outage(folder, data, proxy, arguments, found)
                stopped(folder, proxy, arguments, found)
            if arguments.memory_trials:
                memory(folder, data, proxy, arguments.memory_trials, found)
    print("FAILED" if found.problems else "passed", found.trials, found.memory)
    if arguments.write and not found.problems:
        write_section("buckets", _markdown(found))
    return 1 if found.problems else 0


def outage(folder: Path, data: Path, proxy: Proxy, arguments: argparse.Namespace, found: Found) -> None:
    """`recsweep tune`, while the server is away, and then refuses calls."""
    sweep = write_sweep("FPMC", data, folder / "sweep")
    _change(sweep, search={"max_evals": arguments.trials, "engine": "optuna", "algo": "random"})
    _change(sweep, checkpoints={"every_epochs": 1, "keep_last": KEPT, "keep_best": KEPT})
    _change(sweep, training={"epochs": arguments.epochs, "stopping_step": arguments.epochs})
    began = time.monotonic()
    run = start(folder, "tune")
    wait_for(run, lambda: trials_of(folder, "running"), "a trial")
    proxy.away = True
    print(f"the server is away for {arguments.away:g} s", flush=True)
    back = threading.Timer(arguments.away, lambda: _back(proxy))
    back.start()
    said = run.communicate(timeout=LIMIT_SECONDS)[0]
    found.require(run.returncode == 0, f"recsweep tune ended with {run.returncode}: {said[-2000:]}")
    states = Counter(trial.state for trial in trials_of(folder))
    found.require(states == {"complete": arguments.trials}, f"the trials are {dict(states)}")
    found.require("could not be sent" not in said, f"something was not sent: {said[-2000:]}")
    best = sorted(trials_of(folder), key=lambda trial: (-trial.score, trial.slot))[:KEPT]
    kept = at_the_server(proxy, found)
    wanted = sorted(f"trial-{trial.slot}" for trial in best)
    found.require(sorted(kept) == wanted, f"kept are {sorted(kept)}, and the best trials are {wanted}")
    found.trials = {
        "trials": states["complete"],
        "seconds": round(time.monotonic() - began),
        "requests": proxy.requests,
        "refused": proxy.answered_503,
        "kept": sorted(kept),
    }
    print(found.trials, flush=True)


def stopped(folder: Path, proxy: Proxy, arguments: argparse.Namespace, found: Found) -> None:
    """A trial more, whose run is killed in the middle: its last checkpoints are there, once all are sent."""
    more = ("--max-evals", str(arguments.trials + 1), "--epochs", "100000", "--patience", "100000")
    run = start(folder, "tune", *more, "--study-name", "stopped")
    wait_for(run, lambda: _states(proxy) >= KEPT, "checkpoints of a trial in training")
    time.sleep(5)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    sync = start(folder, "checkpoints", "sync", *more, "--study-name", "stopped")
    said = sync.communicate(timeout=LIMIT_SECONDS)[0]
    found.require(sync.returncode == 0, f"recsweep checkpoints sync ended with {sync.returncode}: {said}")
    kept = at_the_server(proxy, found)
    states = {name: units for name, units in kept.items() if name.startswith("slot-")}
    found.require(list(map(len, states.values())) == [KEPT], f"of a trial in training {states} are kept")
    found.trials["states"] = {name: sorted(units) for name, units in states.items()}
    print(found.trials["states"], flush=True)


def memory(folder: Path, data: Path, proxy: Proxy, trials: int, found: Found) -> None:
    """One worker's trials, each with checkpoints that are written and sent."""
    proxy.refused, proxy.away = 0.0, False
    sweep = write_sweep("FPMC", data, folder / "memory")
    _change(sweep, search={"max_evals": trials, "engine": "optuna", "algo": "random"})
    _change(sweep, workers={"trials_per_worker": trials + 1}, training={"epochs": 3, "stopping_step": 3})
    given = {"outputs": str(folder / "memory" / "outputs"), "checkpoints": f"{PLACE}-memory"}
    plan = plan_sweep(load_sweep(sweep, given))[0]
    opened(plan)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(plan, theirs))
    process.start()
    theirs.close()
    sizes: list[int] = []
    while ours.poll(LIMIT_SECONDS):
        try:
            sizes.append(ours.recv())
        except EOFError:
            break
        if len(sizes) % 50 == 0:
            print(f"{len(sizes)} trials: {sizes[-1] / 2**20:.1f} MiB", flush=True)
    process.join()
    found.require(len(sizes) == trials, f"the worker ran {len(sizes)} of {trials} trials")
    window = max(1, min(WARM, trials // 5))
    first, last = _mean(sizes[window : 2 * window]), _mean(sizes[-window:])
    found.require(last <= FLAT * first, f"memory grew from {first:.1f} to {last:.1f} MiB")
    found.memory = {"first": round(first, 1), "last": round(last, 1), "ratio": round(last / first, 4)}
    found.memory |= {"trials": len(sizes), "requests": proxy.requests}


def _work(plan: StudyPlan, pipe: Any) -> None:
    process = psutil.Process()

    def send(event: Event) -> None:
        if isinstance(event, TrialDone):
            pipe.send(process.memory_info().rss)

    worker = Worker(this_process(), send)
    worker.search(plan)
    worker.hands.sender.settle(60)
    worker.close()


def start(folder: Path, *command_and_options: str) -> subprocess.Popen[str]:
    """A command on the sweep, in a process group of its own."""
    words = ["--config", str(folder / "sweep" / "sweep.yaml"), "--outputs", str(folder / "outputs")]
    return subprocess.Popen(
        [sys.executable, "-m", "recsweep", *command_and_options, *words, "--checkpoints", PLACE],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def trials_of(folder: Path, state: str | None = None) -> list[Any]:
    """The trials in the store, without the study that is stopped."""
    file = folder / "outputs" / "recsweep.db"
    if not file.is_file():
        return []
    store = Store(f"sqlite:///{file}")
    try:
        studies = [store.find_study(name) for name in store.names() if name.startswith("resume/")]
        trials = [trial for study in studies if study is not None for trial in study.trials()]
    finally:
        store.close()
    return [trial for trial in trials if state is None or trial.state == state]


def at_the_server(proxy: Proxy, found: Found) -> dict[str, list[str]]:
    """Checkpoints by the folder that they are in, asked of the server itself; their sums are looked at."""
    server = _direct(proxy)
    kept: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as here:
        for name in server.names(""):
            if not name.endswith(".json"):
                continue
            folder = name.rpartition("/")[0]
            manifest = Manifest.of(server.read(name, MOST_BYTES))
            found.require(manifest is not None, f"{name} is no manifest")
            if manifest is None:
                continue
            for file in manifest.files:
                server.get(f"{folder}/{file}", Path(here) / file)
            wrong = manifest.damage(Path(here))
            found.require(not wrong, f"{name}: {wrong}")
            kept.setdefault(folder.rpartition("/")[2], []).append(Path(name).stem)
    return kept


def _states(proxy: Proxy) -> int:
    return sum("slot-" in name and name.endswith(".json") for name in _direct(proxy).names(""))


def _direct(proxy: Proxy) -> Bucket:
    """The bucket, past the proxy."""
    os.environ["AWS_ENDPOINT_URL_S3"] = proxy.direct
    try:
        bucket = Bucket(PLACE)
        bucket.names("none")
        return bucket
    finally:
        os.environ["AWS_ENDPOINT_URL_S3"] = proxy.url


def _back(proxy: Proxy) -> None:
    proxy.away, proxy.refused = False, 1 / 3
    print("it is back, and refuses every third call", flush=True)


def wait_for(run: subprocess.Popen[str], there: Any, what: str) -> None:
    until = time.monotonic() + 300
    while not there():
        if run.poll() is not None or time.monotonic() > until:
            os.killpg(run.pid, signal.SIGKILL)
            raise RuntimeError(f"{what} never came: {run.communicate()[0]}")
        time.sleep(0.2)


def _change(sweep: Path, **sections: dict[str, Any]) -> None:
    content = yaml.safe_load(sweep.read_text())
    for name, values in sections.items():
        content[name] = {**content.get(name, {}), **values}
    sweep.write_text(yaml.safe_dump(content))


def _mean(sizes: list[int]) -> float:
    return sum(sizes) / len(sizes) / 2**20


def _markdown(found: Found) -> str:
    trials, memory_ = found.trials, found.memory
    lines = [
        "## Checkpoints in an S3 that fails",
        "",
        f"`{command()}`, with moto's S3 server behind a proxy.",
        "",
    ]
    lines += [*own_lines(), "", "| | target | |", "|---|---|---|"]
    if trials:
        refused = f"{trials['refused']} of {trials['requests']} requests were answered with 503"
        lines += [
            f"| S3 away, then 503 to a third of the calls: trials lost, of {trials['trials']} ({refused}) | "
            "0 | 0 |",
            f"| checkpoints at the end, with the right SHA-256: weights of the best trials | {KEPT} | "
            f"{len(trials['kept'])} |",
            f"| the same of a trial in training whose run was killed | {KEPT} | {KEPT} |",
        ]
    if memory_:
        lines.append(
            f"| memory of a worker over {memory_['trials']} trials with checkpoints, MiB: trials {WARM} to "
            f"{2 * WARM} and the last {WARM} | <= {FLAT} | {memory_['first']} and {memory_['last']}: "
            f"{memory_['ratio']} |"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checkpoints in an S3 server that fails.")
    parser.add_argument("--trials", type=int, default=20, help="0: only memory")
    parser.add_argument("--epochs", type=int, default=150, help="of each trial")
    parser.add_argument("--away", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--memory-trials", type=int, default=500, help="0: not measured")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
