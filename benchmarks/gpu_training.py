"""The steps of gpu.py that train in their own process: equality, speed, precision."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from gpu_options import Options, Row, failure
from recsweep.common.devices import resolve_device
from recsweep.datasets.files import read_files
from recsweep.datasets.prepare import prepare
from recsweep.recbole_api import catalog
from recsweep.recbole_api.data import Split
from recsweep.training import training
from recsweep.training.fast import precision as halves
from recsweep.training.fast import stream
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.families import served

TESTS = Path(__file__).resolve().parent.parent / "tests"
SPEED = ["SASRec", "GRU4Rec", "NARM", "FPMC", "FOSSIL", "STAMP", "BERT4Rec", "BPR", "LightGCN", "MultiVAE"]
SPEED += ["NeuMF", "NGCF", "SGL", "RecVAE", "FM", "DeepFM"]
PRECISION = ["SASRec", "GRU4Rec", "NARM", "BERT4Rec", "BPR", "MultiVAE"]
SMALL_PRECISION = ["BPR", "MultiVAE"]
"""A CPU is slow in float16."""
EPOCHS, SMALL_EPOCHS = 4, 2
"""Of a turn; the first is not counted."""
WIDTH, SMALL_DATA = 20, "toy"
LONG_ENOUGH = 12.0
"""Seconds after which a turn of a slow model ends, with one epoch counted at least."""
_HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class Enough(Exception):
    """A turn has its epochs."""


# -- equality -------------------------------------------------------------------------------------


def equality(options: Options) -> Iterator[Row]:
    """Every model and loss of the tests' gate, without dropout; on a CPU with batches as a GPU gets them."""
    gate = _gate()
    from helpers.fast_cases import CASES

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    with tempfile.TemporaryDirectory() as temporary:
        folder = gate.write_interactions(Path(temporary) / SMALL_DATA, users=24)
        for model in options.chosen(sorted(served())):
            case = CASES[model]
            for loss in case.losses[:1] if options.small else case.losses:
                yield _equal(model, loss, case, folder, resolve_device(options.device))


def _gate() -> Any:
    """What the tests compare trials with."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    from helpers import fast as gate

    return gate


def _equal(model: str, loss: str | None, case: Any, folder: Path, device: torch.device) -> Row:
    gate = _gate()
    params = {**case.params, **({} if loss is None else {"loss_type": loss})}
    name = loss or "-"
    try:
        settings = gate.settings_of(folder, model, params, WIDTH)
        split = gate.split_of(settings, folder)
        theirs = gate.run(settings, split, gate.RECBOLE, folder, device)
        with patch.object(stream, "is_local", lambda table: False):
            ours = gate.run(settings, split, gate.TORCH, folder, device)
    except Exception as error:  # whatever it is, the next model is to run
        return Row((model, name, "-", "-", failure(error)), bad=True)
    pairs = list(zip(ours.losses, theirs.losses, strict=True))
    worst = max((abs(a - b) / (abs(b) or 1.0) for a, b in pairs), default=0.0)
    try:
        gate.assert_equal_runs(ours, theirs, undetermined=case.undetermined)
    except AssertionError as error:
        return Row((model, name, ours.path, f"{worst:.1e}", f"NO: {failure(str(error))}"), bad=True)
    return Row((model, name, ours.path, f"{worst:.1e}", "yes"))


# -- speed ----------------------------------------------------------------------------------------


def speed(options: Options) -> Iterator[Row]:
    """Each model by RecBole's code and by the torch path, in two turns each where there is time."""
    device, times = resolve_device(options.device), []
    with data(options) as trial:
        for model in options.chosen(SPEED):
            try:
                arms = turns(*trial(model), device, 1 if options.small else 2)
            except Exception as error:
                yield Row((model, "-", "-", "-", failure(error)), bad=True)
                continue
            theirs, ours = (statistics.median(arms[fast_one].seconds) for fast_one in (False, True))
            times.append(theirs / ours)
            yield Row((model, f"{theirs:.3f}", f"{ours:.3f}", f"{theirs / ours:.2f}", arms[True].path))
    if times:
        mean = f"{statistics.geometric_mean(times):.2f}"
        yield Row(("geometric mean", "", "", mean, f"{min(times):.2f} at least"))


@dataclass
class Arm:
    """What one way of training took."""

    seconds: list[float]
    """Of each epoch but the first of a turn."""
    path: str = ""
    score: float = 0.0


def turns(settings: dict[str, Any], split: Split, device: torch.device, count: int) -> dict[bool, Arm]:
    """The arms in turns: by RecBole's code (False), and by the fast path."""
    arms = {False: Arm([]), True: Arm([])}
    for _ in range(count):
        for wanted, arm in arms.items():
            given = settings if wanted else {**settings, "fast": False}
            turn(arm, given, split, device)
    return arms


def turn(arm: Arm, settings: dict[str, Any], split: Split, device: torch.device) -> None:
    """Some epochs of a trial; what each took is added to the arm.

    An epoch ends with its score on the CPU: all that the device was told to do is done by then.
    """
    marks: list[float] = []
    begun, epochs = time.perf_counter(), int(settings["epochs"])

    def after(epoch: int, score: float) -> None:
        marks.append(time.perf_counter())
        arm.score = score
        if len(marks) == epochs or (len(marks) > 1 and marks[-1] - begun > LONG_ENOUGH):
            raise Enough

    def noted(*given: Any, **named: Any) -> Any:
        path, steps = install(*given, **named)
        arm.path = str(path)
        return path, steps

    install = fast.install
    with patch.object(fast, "install", noted), torch_path(), contextlib.suppress(Enough):
        training.train({**settings, "epochs": epochs + 1}, split, device, after)
    arm.seconds += [b - a for a, b in itertools.pairwise(marks)]


@contextlib.contextmanager
def torch_path() -> Iterator[None]:
    """On a CPU too: what a GPU runs."""
    with patch("recsweep.training.fast.native.kernels", lambda: None):
        yield


# -- precision ------------------------------------------------------------------------------------


def precision(options: Options) -> Iterator[Row]:
    """The torch path in float32, and mixed with each 16-bit type."""
    device = resolve_device(options.device)
    with data(options) as trial:
        for model in options.chosen(SMALL_PRECISION if options.small else PRECISION):
            try:
                arms = _precisions(*trial(model), device)
            except Exception as error:
                yield Row((model, "-", "-", "-", failure(error)), bad=True)
                continue
            seconds = (f"{statistics.median(arm.seconds):.3f}" for arm in arms)
            yield Row((model, *seconds, ", ".join(f"{arm.score:.4f}" for arm in arms)))


def _precisions(settings: dict[str, Any], split: Split, device: torch.device) -> list[Arm]:
    arms = [Arm([])]
    turn(arms[0], settings, split, device)
    for half in _HALVES.values():
        arm = Arm([])
        scaled = half == torch.float16 and device.type == "cuda"
        mixed = {**settings, "enable_amp": True, "enable_scaler": scaled}
        with patch.object(halves, "half", lambda device, chosen=half: chosen):
            turn(arm, mixed, split, device)
        arms.append(arm)
    return arms


# -- data and settings ----------------------------------------------------------------------------


@contextlib.contextmanager
def data(options: Options) -> Iterator[Callable[[str], tuple[dict[str, Any], Split]]]:
    """Gives the settings and the split of a model's trial."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.small:
            files = read_files(_gate().write_interactions(folder / SMALL_DATA), builtin=False)
        else:
            files = read_files(catalog.recbole_folder() / "dataset_example" / "ml-100k", builtin=True)

        def trial(model: str) -> tuple[dict[str, Any], Split]:
            settings = settings_of(model, options)
            if options.small:
                settings["data_path"] = str(folder)
            return settings, prepare(settings, files, folder / "cache").split

        yield trial


def settings_of(model: str, options: Options) -> dict[str, Any]:
    """RecBole's defaults on ml-100k; small: on made-up users."""
    sequential = catalog.models()[model] == "sequential"
    shuffled = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user", "mode": "full"}
    by_time = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
    epochs = SMALL_EPOCHS if options.small else EPOCHS
    settings: dict[str, Any] = {
        **{"model": model, "dataset": "ml-100k", "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id"},
        **{"TIME_FIELD": "timestamp", "load_col": {"inter": ["user_id", "item_id", "timestamp"]}},
        **{
            "MAX_ITEM_LIST_LENGTH": 50,
            "time_order": "exact",
            "eval_args": by_time if sequential else shuffled,
        },
        **{"epochs": epochs, "stopping_step": 10 * epochs, "learning_rate": 0.001},
        **{"train_batch_size": 2048, "eval_batch_size": 4096, "metrics": ["NDCG", "Recall"], "topk": [10]},
        **{"valid_metric": "NDCG@10", "seed": 7, "reproducibility": True, "show_progress": False},
    }
    if options.small:
        settings |= {"dataset": SMALL_DATA, "MAX_ITEM_LIST_LENGTH": WIDTH, "train_batch_size": 128}
    if catalog.models()[model] == "context":
        settings["train_neg_sample_args"] = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0}
        settings["train_neg_sample_args"] |= {"dynamic": False, "candidate_num": 0}
    if sequential and catalog.published_defaults(model).get("loss_type") == "CE":
        settings["train_neg_sample_args"] = None
    return settings
