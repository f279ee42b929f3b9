"""Small trials of RecBole and of the fast paths, and what makes two of them equal."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from helpers.clusters import dealt_clusters
from recsweep.common.files import to_plain
from recsweep.datasets.prepare import open_tables
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, build_split, data_key, make_loaders
from recsweep.recbole_api.settings import trial_settings
from recsweep.sweeps.config import DatasetConfig, EvaluationConfig, ModelConfig, TrainingConfig
from recsweep.training.fast import build, families, native
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.stream import Stream
from recsweep.training.fast.table import gives_users

CPU = torch.device("cpu")
RECBOLE, COMPILED, TORCH = "recbole", "compiled", "torch"
FAST_PATHS = (COMPILED, TORCH)
SEED = 2026
COMPUTED = ("item_similarity", "w")
"""Names of what RecBole computes instead of learning it."""
_SPLITS: dict[str, Split] = {}
_REFERENCES: dict[str, Run] = {}
# Where there is no GPU, each seed is kept with the stack of its call: five stacks, as deep as pytest's.
for _device in (torch.cuda, torch.xpu, torch.mtia):
    vars(_device)["traceback"] = SimpleNamespace(format_stack=list)


# -- data -----------------------------------------------------------------------------------------


def write_interactions(folder: Path, users: int = 60, items: int = 90, longest: int = 36) -> Path:
    """Atomic files of made-up users who often go on to the next item; from 3 to `longest` interactions."""
    numbers = np.random.default_rng(17)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(users):
        item, seen = int(numbers.integers(items)), set()
        for step in range(int(numbers.integers(3, longest + 1))):
            while item in seen:  # a user has each item once, as in the real data sets
                item = int(numbers.integers(items))
            seen.add(item)
            lines.append(f"u{user}\ti{item}\t{user * 100 + step}")
            item = (item + 1) % items if numbers.random() < 0.6 else int(items * numbers.random() ** 2)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{folder.name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kinds = ["item_id:token\tclass:token_seq"]
    kinds += [f"i{item}\tc{item % 5} c{5 + item % 3}" for item in range(items)]
    (folder / f"{folder.name}.item").write_text("\n".join(kinds) + "\n", encoding="utf-8")
    return folder


def settings_of(folder: Path, model: str, params: Mapping[str, Any], width: int = 12) -> dict[str, Any]:
    """A complete config of a trial; `params` may hold any key of RecBole."""
    fixed = {"loss_type": params["loss_type"]} if "loss_type" in params else {}
    space: Any = {"learning_rate": {"type": "choice", "values": [0.01]}}
    settings = trial_settings(
        DatasetConfig(name=folder.name, max_sequence_length=width),
        folder,
        ModelConfig(model=model, fixed=fixed, space=space),
        TrainingConfig(epochs=3, stopping_step=10, train_batch_size=128, eval_batch_size=4096),
        EvaluationConfig(metric="NDCG@10", topk=(5, 10)),
        {"learning_rate": 0.01},
        SEED,
        SEED,
    )
    return {**settings, "metric_decimal_place": 8, **params}


def split_of(settings: Mapping[str, Any], folder: Path) -> Split:
    """The prepared data, read once for all trials that share it."""
    config = TypedConfig(settings, CPU, folder / "scratch")
    # RecBole's settings do not tell one folder of the same name from another.
    key = str(folder) + json.dumps(to_plain(data_key(config)), sort_keys=True, default=str)
    if key not in _SPLITS:
        with recbole.clean_globals():
            _SPLITS[key] = build_split(config, open_tables(config))
    return _SPLITS[key]


# -- kernels --------------------------------------------------------------------------------------


@cache
def _kernels() -> Any:
    """The compiled operators whatever RECSWEEP_NATIVE says, or why there are none."""
    if not build.library().is_file():
        missing = build.missing_tools()
        if missing is not None:
            return f"NO COMPILED KERNELS ARE TESTED: {missing}"
        # In a process of its own: torch loads what it has compiled, and operators are defined only once.
        built = subprocess.run(
            [sys.executable, "-m", "recsweep.training.fast.build"], capture_output=True, text=True
        )
        assert build.library().is_file(), f"the kernels do not compile: {built.stderr}"
    torch.ops.load_library(str(build.library()))
    return torch.ops.recsweep


def compiled_kernels() -> Any:
    """The compiled operators; skips, and says so in the warnings too, where nothing can build them."""
    found = _kernels()
    if isinstance(found, str):
        warnings.warn(found, stacklevel=2)
        pytest.skip(found)
    return found


@contextlib.contextmanager
def taking(path: str) -> Iterator[None]:
    """Meanwhile the fast path is the compiled or the torch one."""
    kernels = compiled_kernels() if path == COMPILED else None
    with patch.object(native, "kernels", lambda: kernels):
        yield


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- trials ---------------------------------------------------------------------------------------


@dataclass
class Run:
    """All that a trial computed on its way."""

    path: str
    losses: list[float] = field(default_factory=list)
    """By epoch."""
    metrics: list[dict[str, float]] = field(default_factory=list)
    """By epoch, on the validation data."""
    batches: list[dict[str, torch.Tensor]] = field(default_factory=list)
    """Users, items and negatives of every batch that was trained on."""
    parameters: dict[str, torch.Tensor] = field(default_factory=dict)
    computed: dict[str, torch.Tensor] = field(default_factory=dict)
    """What a model has that is computed and not learnt, by its name."""
    moments: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    """The optimizer's state by the name of the parameter."""


def run(
    settings: Mapping[str, Any], split: Split, path: str, folder: Path, device: torch.device = CPU
) -> Run:
    """Train on RecBole's own code or a fast path; the global state is left as it was."""
    chosen = contextlib.nullcontext() if path == RECBOLE else taking(path)
    with recbole.clean_globals(), chosen, dealt_clusters():
        config = TypedConfig(settings, device, folder / "scratch")
        train, valid, _ = make_loaders(config, split)
        make = recbole.make_model if path == RECBOLE else partial(fast.make_model, wanted=True)
        model = make(config, train)
        trainer = recbole.make_trainer(config, model)
        taken, finish = fast.install(trainer, train, valid, wanted=path != RECBOLE)
        done = Run(str(taken))
        _watch_metrics(trainer, done)
        watch = _watch_recbole if path == RECBOLE else _watch_stream
        with watch(model, train, done.batches):
            recbole.fit(trainer, train, valid, lambda epoch, score: None)
        finish.close()
        family = families.served().get(str(settings["model"]))
        if path != RECBOLE and family is not None and family.computes:  # as where it is tested
            family(model, native.kernels(), SEED).compute()
    done.losses = [float(loss) for loss in trainer.train_loss_dict.values()]
    done.parameters = recbole.weights(model)
    done.computed = {name: _dense(vars(model)[name]) for name in COMPUTED if name in vars(model)}
    names = {parameter: name for name, parameter in model.named_parameters()}
    done.moments = {names[weight]: dict(state) for weight, state in trainer.optimizer.state.items()}
    return done


def _dense(matrix: Any) -> torch.Tensor:
    if isinstance(matrix, torch.Tensor):
        matrix = matrix.cpu()
    return torch.from_numpy(np.asarray(matrix.todense() if sp.issparse(matrix) else matrix).copy())


def reference(settings: Mapping[str, Any], split: Split, folder: Path) -> Run:
    """RecBole's own run; each is trained once however many paths are compared with it."""
    key = json.dumps(to_plain(dict(settings)), sort_keys=True)
    if key not in _REFERENCES:
        _REFERENCES[key] = run(settings, split, RECBOLE, folder)
    return _REFERENCES[key]


def _watch_metrics(trainer: Any, done: Run) -> None:
    evaluate: Callable[..., Any] = trainer.evaluate

    def watched(*args: Any, **kwargs: Any) -> Any:
        result = evaluate(*args, **kwargs)
        done.metrics.append({name: float(value) for name, value in result.items()})
        return result

    trainer.evaluate = watched


@contextlib.contextmanager
def _watch_recbole(model: Any, loader: Any, seen: list[dict[str, torch.Tensor]]) -> Iterator[None]:
    original = model.calculate_loss
    user, item = loader.config["USER_ID_FIELD"], loader.config["ITEM_ID_FIELD"]
    names = {"users": user, "items": item, "negatives": loader.config["NEG_PREFIX"] + item}

    def watched(batch: Any, **how: Any) -> torch.Tensor:
        columns = {name: batch.interaction.get(column) for name, column in names.items()}
        seen.append({name: values.cpu().clone() for name, values in columns.items() if values is not None})
        loss: torch.Tensor = original(batch, **how)
        return loss

    model.calculate_loss = watched
    try:
        yield
    finally:
        del model.calculate_loss


@contextlib.contextmanager
def _watch_stream(model: Any, loader: Any, seen: list[dict[str, torch.Tensor]]) -> Iterator[None]:
    original = Stream.epoch

    def watched(self: Stream) -> Iterator[Any]:
        for batch in original(self):
            seen.append(columns_of(batch, loader))
            yield batch

    with patch.object(Stream, "epoch", watched):
        yield


def columns_of(batch: Any, loader: Any) -> dict[str, torch.Tensor]:
    """Users, items and negatives of a batch of row numbers."""
    if gives_users(loader):
        return {"users": batch.rows}
    fields, config = loader._dataset.inter_feat.interaction, loader.config
    columns = {
        "users": fields[config["USER_ID_FIELD"]][batch.rows],
        "items": fields[config["ITEM_ID_FIELD"]][batch.rows],
    }
    if batch.negatives is None:
        return columns
    times = len(batch.negatives) // len(batch.rows)
    if loader.dl_format.name != "POINTWISE":
        repeated = {name: column.repeat(times) for name, column in columns.items()}
        return {**repeated, "negatives": batch.negatives}
    items = torch.cat([columns["items"], batch.negatives])
    return {"users": columns["users"].repeat(1 + times), "items": items}


# -- equality -------------------------------------------------------------------------------------


def assert_same_batches(
    found: list[dict[str, torch.Tensor]], expected: list[dict[str, torch.Tensor]]
) -> None:
    assert len(found) == len(expected), f"{len(found)} batches, but RecBole has {len(expected)}"
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.keys() == theirs.keys(), f"batch {number}: {sorted(ours)}, RecBole {sorted(theirs)}"
        for name in theirs:
            assert torch.equal(ours[name], theirs[name].long()), f"batch {number}: other {name}"


def relative_distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    distance = float((found.double() - expected.double()).norm())
    return distance / max(float(expected.double().norm()), 1e-30)


def assert_equal_runs(
    found: Run,
    expected: Run,
    *,
    undetermined: tuple[str, ...] = (),
    loss: float = 1e-5,
    metric: float = 1e-4,
    parameter: float = 1e-4,
) -> None:
    """Batches are identical; losses, metrics and final parameters within their tolerances.

    Args:
        parameter: for all parameters together; for each of them, ten times as much. Adam makes a step of
            the learning rate of what little rounding leaves of a gradient that is nearly zero.
        undetermined: endings of parameters that are not compared, because no output depends on them.
    """
    assert_same_batches(found.batches, expected.batches)
    assert len(found.losses) == len(expected.losses) > 0
    for epoch, (ours, theirs) in enumerate(zip(found.losses, expected.losses, strict=True), 1):
        assert math.isfinite(theirs), f"epoch {epoch}: RecBole's loss is {theirs}"
        error = abs(ours - theirs) / (abs(theirs) or 1.0)
        assert error <= loss, f"epoch {epoch}: loss {ours}, RecBole {theirs}, relative error {error:.1e}"
    assert len(found.metrics) == len(expected.metrics) > 0
    for epoch, (mine, other) in enumerate(zip(found.metrics, expected.metrics, strict=True), 1):
        assert mine == pytest.approx(other, abs=metric), f"metrics of epoch {epoch}"
    assert found.parameters.keys() == expected.parameters.keys()
    names = [name for name in expected.parameters if not name.endswith(undetermined or "\0")]
    together = [torch.cat([one.parameters[name].flatten() for name in names]) for one in (found, expected)]
    distance = relative_distance(together[0], together[1])
    assert distance <= parameter, f"all parameters: relative distance {distance:.1e}"
    apart = {name: relative_distance(found.parameters[name], expected.parameters[name]) for name in names}
    assert found.computed.keys() == expected.computed.keys()
    apart |= {
        name: relative_distance(found.computed[name], expected.computed[name]) for name in found.computed
    }
    far = {name: f"{value:.1e}" for name, value in apart.items() if not value <= 10 * parameter}
    assert not far, f"parameters with a relative distance above {10 * parameter:.0e}: {far}"
