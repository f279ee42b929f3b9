"""The steps of gpu.py that run whole sweeps: sharing, and how long a study's first trial takes to end."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from gpu_options import Options, Row, failure
from recsweep.common.files import write_yaml

SHARED = ["GRU4Rec", "FPMC"]
STARTED = ["GRU4Rec", "SASRec", "FPMC"]
_ENDED = re.compile(r"/(\w+) trial (\d+) \(\d+/\d+\)")
_BEGUN = re.compile(r"study \d+/\d+ [^/]+/(\w+): ")
_READY = re.compile(r": worker \d+ on .*, data ")
_SAID = re.compile(r"cuda:\d+ (?:trains|has memory) .*")
"""On how many share a GPU."""


@dataclass
class Ran:
    """A sweep, as it was seen from outside; moments are seconds since its command was started."""

    lines: list[tuple[float, str]]
    seconds: float = 0.0

    def first(self, pattern: re.Pattern[str], model: str = "") -> float:
        """When a line of that kind was first printed, of a model where one is given.

        Raises:
            RuntimeError: there is none; with the last lines.
        """
        for moment, line in self.lines:
            found = pattern.search(line)
            if found and (not model or found[1] == model):
                return moment
        raise RuntimeError(f"no line like {pattern.pattern}: {' / '.join(one for _, one in self.lines[-3:])}")

    def last(self, pattern: re.Pattern[str]) -> float:
        """When a line of that kind was last printed."""
        return max((moment for moment, line in self.lines if pattern.search(line)), default=0.0)

    def count(self, pattern: re.Pattern[str]) -> int:
        """Lines of that kind."""
        return sum(bool(pattern.search(line)) for _, line in self.lines)


def sharing(options: Options) -> Iterator[Row]:
    """The same study with more and more workers, then with `auto`."""
    trials, epochs = (4, 2) if options.small else (16, 5)
    counts: list[int | str] = [1, 2, "auto"] if options.small else [1, 2, 4, 8, "auto"]
    for model in SHARED[1:] if options.small else SHARED:
        alone = 0.0
        for count in counts:
            try:
                ran = _sweep(options, [model], trials, epochs, count)
                hourly = 3600 * ran.count(_ENDED) / (ran.last(_ENDED) - ran.first(_READY))
            except Exception as error:
                yield Row((model, str(count), "-", "-", "-", failure(error)), bad=True)
                continue
            alone = alone or hourly
            said = " / ".join(found[0] for _, line in ran.lines if (found := _SAID.search(line)))
            figures = (f"{ran.seconds:.1f}", f"{hourly:.0f}", f"{hourly / alone:.2f}")
            yield Row((model, str(count), *figures, said))


def start(options: Options) -> Iterator[Row]:
    """The first trial of each study of a sweep: the first is cold, the others find warm workers."""
    with tempfile.TemporaryDirectory() as folder:
        ran = _sweep(options, STARTED, 1, 3, 1, Path(folder))
        for number, model in enumerate(STARTED):
            files = list(Path(folder).glob(f"**/results/**/{model}/**/trials.csv"))
            training = float(pandas.read_csv(files[0])["seconds"].iloc[0])
            begun = ran.first(_BEGUN, model) if number else 0.0
            seconds = ran.first(_ENDED, model) - begun
            kind = "warm" if number else "cold"
            yield Row((f"{model}, {kind}", f"{seconds:.2f}", f"{training:.2f}", f"{seconds - training:.2f}"))


def _sweep(
    options: Options,
    models: list[str],
    trials: int,
    epochs: int,
    count: int | str,
    folder: Path | None = None,
) -> Ran:
    """`recsweep tune`, line by line."""
    with tempfile.TemporaryDirectory() as temporary:
        home = folder or Path(temporary)
        config = _config(home, options, models, trials, epochs, count)
        begun, ran = time.monotonic(), Ran([])
        process = subprocess.Popen(
            [sys.executable, "-m", "recsweep", "tune", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in process.stdout or ():
            ran.lines.append((time.monotonic() - begun, line.rstrip()))
        if process.wait():
            raise RuntimeError(f"exit code {process.returncode}: {ran.lines[-1][1] if ran.lines else ''}")
        ran.seconds = time.monotonic() - begun
        return ran


def _config(
    home: Path, options: Options, models: list[str], trials: int, epochs: int, count: int | str
) -> Path:
    """The files of a sweep on ml-100k, whose trials differ in their learning rate alone."""
    workers: dict[str, Any] = {"count": 8 if count == "auto" else count, "trials_per_gpu": count}
    if options.device == "cpu" and count == "auto":  # as many as there are without a GPU
        workers["count"] = 2
    rate = {"learning_rate": {"type": "loguniform", "min": 0.0005, "max": 0.005}}
    sweep = {
        **{"sweep": "gpu", "models": models, "datasets": ["ml-100k"], "outputs": str(home / "outputs")},
        "search": {"engine": "optuna", "algo": "random", "max_evals": trials},
        "training": {"epochs": epochs, "train_batch_size": 2048, "device": options.device},
        "evaluation": {"metric": "NDCG@10", "metrics": ["NDCG"], "topk": [10]},
        "workers": workers,
        "cooldown": {"seconds": 0},
    }
    data = {"path": "builtin", "max_sequence_length": 50, "split": {"type": "leave_one_out"}}
    if options.small:
        data["min_user_interactions"] = 300
    write_yaml(home / "datasets" / "ml-100k.yaml", data)
    for model in models:
        fixed = {} if model == "FPMC" else {"loss_type": "CE"}
        write_yaml(
            home / "models" / f"{model}.yaml",
            {"model": model, "fixed": fixed, "defaults": {"learning_rate": 0.001}, "space": rate},
        )
    write_yaml(home / "sweep.yaml", sweep)
    return home / "sweep.yaml"
