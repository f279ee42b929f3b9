"""WarpRec as its command line runs it: its environment, its Ray head, one trial (see rivals.py)."""

from __future__ import annotations

import csv
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from environments import python_of

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".venv-warprec"
REQUIREMENTS = HERE / "requirements-warprec.txt"
PYTHONS = ("python3.13", "python3.12", "python3.14")
OLDER = "on Python 3.11, which it does not support: one f-string with a backslash in it was written otherwise"
"""What is said of it where no newer Python is there."""
_BACKSLASH = ("default separator {'\\t'}.", "default separator TAB.")
"""The only syntax of WarpRec 2.2.8 that Python 3.11 does not read, and what is put there."""


@dataclass(frozen=True)
class Ran:
    """One trial, as Ray Tune recorded it."""

    epoch: float
    """Seconds of training and validation: the median of its epochs but the first, if there are more."""
    setup: float
    """Seconds from the start of the trial to its first batch: imports, data, the model."""
    score: float
    """NDCG@10 of the last validation."""


def interpreter() -> tuple[Path, str]:
    """WarpRec's Python, made now unless it is there, and what is to be said of it."""
    base = next((found for name in PYTHONS if (found := shutil.which(name))), sys.executable)
    older = base == sys.executable and sys.version_info < (3, 12)

    def make(python: Path) -> None:
        print(f"making {ENVIRONMENT.name} (once; some minutes)", file=sys.stderr, flush=True)
        subprocess.run([base, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "-r", str(REQUIREMENTS)]
        subprocess.run(
            [*install, *(["--ignore-requires-python", "--only-binary", ":all:"] if older else [])], check=True
        )
        if older:
            _rewrite(python)

    return python_of(ENVIRONMENT, REQUIREMENTS, make), OLDER if older else ""


def _rewrite(python: Path) -> None:
    file = next(ENVIRONMENT.glob("lib/python*/site-packages/warprec/utils/config/common.py"))
    file.write_text(file.read_text(encoding="utf-8").replace(*_BACKSLASH), encoding="utf-8")
    subprocess.run([str(python), "-m", "compileall", "-q", str(file.parents[2])], check=True)


@contextmanager
def head(python: Path, folder: Path) -> Iterator[None]:
    """A Ray head of this machine alone, told of more processors than there are: trials would wait."""
    ray = [str(python.with_name("ray"))]
    environment = {**os.environ, "RAY_TMPDIR": str(folder)}
    options = ["--head", "--num-cpus", "4", "--node-ip-address", "127.0.0.1", "--port", "6399"]
    subprocess.run(
        [*ray, "start", *options, "--include-dashboard=false", "--disable-usage-stats"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        subprocess.run(
            [*ray, "stop", "--force"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def write_split(folder: Path, parts: dict[str, list[tuple[int, int]]]) -> None:
    """The files of a split that is made already: train, validation, test."""
    columns = ["user_id", "item_id", "rating", "timestamp"]
    for name, pairs in parts.items():
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            rows.writerow(columns)
            rows.writerows((user, item, 1.0, number) for number, (user, item) in enumerate(pairs))


def run(python: Path, model: str, params: dict[str, Any], split: Path, folder: Path, threads: int) -> Ran:
    """`python -m warprec.run -p train` with one configuration."""
    folder.mkdir(parents=True)
    optimization = {"cpu_per_trial": threads, "max_concurrent_trials": 1}
    config = {
        "reader": {
            **{"loading_strategy": "split", "data_type": "transaction", "reading_method": "local"},
            **{"rating_type": "implicit", "split": {"local_path": str(split), "sep": "\t"}},
        },
        "writer": {
            **{"dataset_name": "ml-100k", "writing_method": "local"},
            "local_experiment_path": str(folder / "experiments"),
        },
        "general": {"device": "cpu", "ray_verbose": 0, "ray_address": "127.0.0.1:6399"},
        "models": {model: {**params, "optimization": optimization}},
        "evaluation": {"top_k": [10], "metrics": ["nDCG"], "validation_metric": "nDCG@10"},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    own = {**os.environ, "RAY_ADDRESS": "127.0.0.1:6399", "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [str(python), "-m", "warprec.run", "-c", "config.yml", "-p", "train"],
        cwd=folder,
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"WarpRec's {model} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return _read(folder)


def _read(folder: Path) -> Ran:
    """The epochs of the only trial, from the table that Ray Tune keeps of it."""
    (path,) = folder.glob("experiments/*/ray_results/*/*/progress.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [float(row["epoch_train_s"]) + float(row["epoch_validation_s"]) for row in rows]
    return Ran(statistics.median(epochs[1:] or epochs), float(rows[0]["setup_s"]), float(rows[-1]["nDCG@10"]))
