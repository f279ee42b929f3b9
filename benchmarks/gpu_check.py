"""Ten models on one device: train an epoch, keep a checkpoint, restore it, test; minutes at most.

    python benchmarks/gpu_check.py --device cuda
    python benchmarks/gpu_check.py --device cpu --models BPR,SASRec

A model that fails is a row with its reason, and the others go on. The exit code is 1 if any failed. Data is a
part of ml-100k, which RecBole's wheel ships. `equal` says whether the restored model's test metrics are those
of the trained one; on a GPU they may differ in the last digits, and count as equal within 1e-4.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recsweep.common.devices import resolve_device
from recsweep.common.errors import RecsweepError
from recsweep.datasets.files import DataFiles, read_files
from recsweep.datasets.prepare import prepare
from recsweep.recbole_api import catalog
from recsweep.training import training

MODELS = "BPR,LightGCN,NGCF,SGL,MultiVAE,NeuMF,EASE,FPMC,GRU4Rec,SASRec"
LIMIT_SECONDS = 240.0
TOLERANCE = 1e-4
CONTENT = "{:10} {:>8} {:>8} {:>9} {:>9} {:>6}  {}"


@dataclass(frozen=True)
class Row:
    """What became of one model."""

    model: str
    train_seconds: float = 0.0
    test_seconds: float = 0.0
    valid: float = 0.0
    test: float = 0.0
    equal: bool = False
    said: str = ""
    failed: bool = False

    def __str__(self) -> str:
        if self.failed:
            return CONTENT.format(self.model, "-", "-", "-", "-", "-", self.said)
        equal = "yes" if self.equal else "NO"
        times = f"{self.train_seconds:.2f}", f"{self.test_seconds:.2f}"
        return CONTENT.format(self.model, *times, f"{self.valid:.4f}", f"{self.test:.4f}", equal, self.said)


def settings_of(model: str) -> dict[str, Any]:
    """One epoch of a model on the users of ml-100k with 300 ratings or more."""
    settings: dict[str, Any] = {
        "model": model,
        "dataset": "ml-100k",
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "user_inter_num_interval": "[300,inf)",
        "MAX_ITEM_LIST_LENGTH": 20,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "time_order": "exact",
        "epochs": 1,
        "learning_rate": 0.01,
        "train_batch_size": 2048,
        "eval_batch_size": 4096,
        "metrics": ["NDCG", "Recall"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "seed": 7,
        "reproducibility": True,
        "show_progress": False,
    }
    if catalog.models()[model] == "sequential" and catalog.published_defaults(model).get("loss_type") == "CE":
        settings["train_neg_sample_args"] = None
    return settings


def check(model: str, files: DataFiles, folder: Path, device: torch.device) -> Row:
    """Train, store, restore and test one model."""
    settings = settings_of(model)
    split = prepare(settings, files, folder / "cache").split
    trained = training.train(settings, split, device)
    kept = training.save_checkpoints(folder / model, trained)
    state = training.load_checkpoint(folder / model) if kept else None
    expected = training.evaluate(settings, split, device, trained.best)
    started = time.perf_counter()
    found = training.evaluate(settings, split, device, state or trained.best)
    equal = all(abs(found[name] - value) <= TOLERANCE for name, value in expected.items())
    said = trained.path if kept else f"{trained.path}; no checkpoint"
    seconds = trained.seconds, time.perf_counter() - started
    return Row(model, *seconds, trained.score, found["ndcg@10"], equal, said)


def rows(models: list[str], device: torch.device) -> Iterator[Row]:
    """One row for each model; those for which no time is left say so."""
    files = read_files(catalog.recbole_folder() / "dataset_example" / "ml-100k", builtin=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            if time.perf_counter() - started > LIMIT_SECONDS:
                yield Row(model, said="no time left", failed=True)
                continue
            try:
                yield check(model, files, Path(folder), device)
            except Exception as error:  # whatever it is, the next model is to run
                yield Row(
                    model,
                    said=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:90]}",
                    failed=True,
                )


def main() -> int:
    """Print the table; 1 where a model failed or came back unlike itself."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", default=MODELS)
    options = parser.parse_args()
    try:
        device = resolve_device(options.device)
    except RecsweepError as error:
        print(error, file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(CONTENT.format("model", "train s", "test s", "valid", "test", "equal", "trained by"))
    failed = 0
    for row in rows(options.models.split(","), device):
        print(row, flush=True)
        failed += row.failed or not row.equal
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
