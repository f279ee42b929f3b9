"""All that is to be known of a GPU, in one run of 12 minutes at most.

    python benchmarks/gpu.py --device cpu --small     # minutes: shows that every step works, without a GPU
    python benchmarks/gpu.py --write                  # the GPU, into RESULTS.md

Steps, each in a process of its own with its part of the time:

    equality     every model with a fast path, its torch path against RecBole's code on the same device
    speed        seconds an epoch of training and validation, both in turns; with the geometric mean
    precision    the same in float32 and in the two 16-bit types, with the score that it came to
    sharing      a study with 1, 2, 4 and 8 workers on one GPU, and with `trials_per_gpu: auto`
    fusion       trials one at a time, and as one model with a leading dimension of trials
    start        seconds until a sweep's first trial has ended, and each later study's first one

A step that fails, or takes too long, keeps the rows that it has and says why; the others go on. Both sides
run in this environment: RecBole's code is what `training.fast: false` trains with. Data is ml-100k, which
RecBole's wheel ships; small: made-up users. The exit code is 1 where a model is not equal or a step failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

import gpu_fusion
import gpu_sweeps
import gpu_training
from gpu_options import Options, Row, failure
from recsweep.common.devices import resolve_device
from recsweep.common.errors import RecsweepError
from results import command, own_lines, write_section

MINUTES = 12.0
TITLE = "A GPU"


@dataclass(frozen=True)
class Step:
    """A part of the run."""

    title: str
    columns: tuple[str, ...]
    rows: Callable[[Options], Iterator[Row]]
    share: float
    """Of the time, beside the others'."""


STEPS = {
    "equality": Step(
        "Equality with RecBole's code",
        ("model", "loss", "path", "worst loss error", "equal"),
        gpu_training.equality,
        3.0,
    ),
    "speed": Step(
        "Seconds an epoch with its validation",
        ("model", "RecBole's code", "recsweep", "times", "path"),
        gpu_training.speed,
        4.0,
    ),
    "precision": Step(
        "Precision: seconds an epoch, and the score after the same epochs",
        ("model", "float32", "float16", "bfloat16", "NDCG@10 of the three"),
        gpu_training.precision,
        1.5,
    ),
    "sharing": Step(
        "Workers on one GPU",
        ("model", "workers", "seconds in all", "trials an hour", "times", "said"),
        gpu_sweeps.sharing,
        5.0,
    ),
    "fusion": Step(
        "Several trials as one model, ms a batch and trial",
        (
            *("model", "operations a batch", "of all as one", "alone"),
            *(f"one of {count}" for count in gpu_fusion.TRIALS),
            *("times", "loss differs by"),
        ),
        gpu_fusion.fusion,
        1.0,
    ),
    "start": Step(
        "Until a study's first trial has ended, seconds",
        ("study", "in all", "its training", "outside of it"),
        gpu_sweeps.start,
        1.0,
    ),
}


@dataclass
class Done:
    """A step that was run."""

    step: Step
    rows: list[Row] = field(default_factory=list)
    failed: str = ""
    seconds: float = 0.0

    def table(self) -> list[str]:
        """Markdown."""
        lines = [f"**{self.step.title}** ({self.seconds:.0f} s)", ""]
        lines += ["| " + " | ".join(self.step.columns) + " |", "|---" * len(self.step.columns) + "|"]
        lines += ["| " + " | ".join(row.cells) + " |" for row in self.rows]
        return [*lines, *(["", f"The step failed: {self.failed}."] if self.failed else []), ""]


def main() -> int:
    """Run one step here, or all of them in processes of their own."""
    options, chosen, write = _arguments()
    try:
        device = resolve_device(options.device)
    except RecsweepError as error:
        print(error, file=sys.stderr)
        return 2
    if len(chosen) == 1 and options.inside:
        for row in STEPS[chosen[0]].rows(options):
            print(json.dumps({"cells": row.cells, "bad": row.bad}), flush=True)
        return 0
    lines = [_machine(device, options), ""]
    print(lines[0], flush=True)
    done = list(run_steps(chosen, options))
    for one in done:
        lines += one.table()
    if write:
        write_section("gpu", "\n".join([f"## {TITLE}", "", *_about(options), *lines]))
    return int(any(one.failed or any(row.bad for row in one.rows) for one in done))


def run_steps(names: list[str], options: Options) -> Iterator[Done]:
    """One after the other; time that one leaves is the others'."""
    ends = time.monotonic() + 60 * options.minutes
    for position, name in enumerate(names):
        shares = [STEPS[one].share for one in names[position:]]
        one = run_step(name, options, (ends - time.monotonic()) * shares[0] / sum(shares))
        print("\n" + "\n".join(one.table()), flush=True)
        yield one


def run_step(name: str, options: Options, seconds: float) -> Done:
    """A step in a process group of its own, which is ended when its time is over."""
    done, begun = Done(STEPS[name]), time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "--inside", "--steps", name, *options.arguments(seconds)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        timer = threading.Timer(seconds, _end, [process])
        timer.start()
        try:
            for line in process.stdout or ():
                if line.startswith('{"cells"'):
                    found = json.loads(line)
                    done.rows.append(Row(tuple(found["cells"]), found["bad"]))
            code = process.wait()
        finally:
            timer.cancel()
            _end(process)
        done.seconds = time.monotonic() - begun
        if code:
            log.seek(0)
            last = (log.read().strip().splitlines() or ["it said nothing"])[-1]
            over = code == -signal.SIGKILL and done.seconds >= seconds
            done.failed = f"its {seconds:.0f} s were over" if over else failure(f"exit code {code}: {last}")
    return done


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a step with all that it has started: Ctrl-C does not reach a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _machine(device: torch.device, options: Options) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} (no GPU)"
    small = ", small" if options.small else ""
    return f"Device: {name}{small}; torch {torch.__version__}; {os.cpu_count()} processors."


def _about(options: Options) -> list[str]:
    said = [f"`{command()}`", "", *own_lines(), ""]
    if options.device == "cpu":
        said += [
            "**No GPU was at hand**: this is the script's run on the CPU device, with batches as a GPU gets "
            "them. It shows that each step works; its times say nothing of a GPU.",
            "",
        ]
    return said


def _arguments() -> tuple[Options, list[str], bool]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default=os.environ.get("DEVICE") or "cuda")
    parser.add_argument("--steps", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--models", nargs="+", help="of equality, speed and precision; default: all")
    parser.add_argument("--small", action="store_true", help="as little as shows that everything works")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all of it")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md, not only print")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    models = tuple(given.models or ())
    return Options(given.device, given.small, given.minutes, models, given.inside), given.steps, given.write


if __name__ == "__main__":
    sys.exit(main())
