"""One trial: train one configuration up to its best validation score.

A trial is a pure function of data, model, parameters, seed and code versions; it leaves no global
setting behind, and it never looks at the test split.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from recsweep.common.files import atomic_path
from recsweep.recbole_api import catalog
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, make_loaders
from recsweep.training import schedules
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.recbole_scores import scores_at_once
from recsweep.training.live import Live
from recsweep.training.pretraining import Pretrained, pretrained
from recsweep.training.run import EpochEnd, PartDone, Run
from recsweep.training.schedules import Part, Schedule
from recsweep.training.state import TrialState

AfterEpoch = Callable[[int, float], None]
"""Called with the epoch (from 1) and its validation score; may raise to stop the trial."""


_ALL_DECIMALS = 16
_DRAWN = {"Random", "MacridVAE", "DiffRec", "LDiffRec"}
"""General models whose scores are drawn, anew for each batch."""
_STORABLE: set[str] = set()
"""Models whose checkpoints were read back in this process: tried once, not at every trial."""


@dataclass
class Trained:
    """The outcome of one trial."""

    score: float
    metrics: dict[str, float]
    best_epoch: int
    epochs: int
    seconds: float
    path: str
    """Whose code trained: `compiled`, `torch`, or `recbole` with the reason."""
    best: dict[str, Any] = field(repr=False)
    """Checkpoint of the best epoch, on the CPU."""
    last: dict[str, Any] = field(repr=False)
    """Checkpoint of the last epoch, on the CPU."""
    pretraining: int = 0
    """Epochs of the stages before, as far as they were trained now and not found in the cache."""


def train(
    settings: Mapping[str, Any],
    split: Split,
    device: torch.device,
    after_epoch: AfterEpoch = lambda epoch, score: None,
    *,
    watch: Callable[[EpochEnd], None] | None = None,
    resume: TrialState | None = None,
    schedule: Schedule = (),
    cache: Path | None = None,
) -> Trained:
    """Train one configuration.

    Args:
        settings: a complete RecBole config (`recbole_api.settings.trial_settings`).
        split: the prepared data.
        device: where to train.
        after_epoch: called after each validation; may raise to stop the trial.
        watch: called just before it, with what gives the trial's state.
        resume: the state of a trial to go on from; what it comes to is what an undisturbed one comes to.
            Settings may differ from its own as those of a schedule do.
        schedule: settings that hold from an epoch on.
        cache: the folder that keeps pre-trained weights, for the models that have such.

    Raises:
        TrialDiverged: the loss or the validation score became NaN or infinite.
        TrialError: the model would be pre-trained, and nothing would be validated.
        ScheduleRefused: settings that cannot change while a model is trained; nothing was trained.
    """
    parts = schedules.parts(settings, schedule)
    schedules.check(parts, split, resume)
    state = resume
    started = time.perf_counter()
    before = pretrained(settings, split, device, cache) if state is None else None

    def told(end: EpochEnd) -> None:
        if watch is not None:
            watch(end)
        after_epoch(end.epoch, end.score)

    for part in parts[:-1]:
        if state is None or (part.last is not None and state.epoch < part.last):
            try:
                return _train_part(part, split, device, told, state or before, started)
            except PartDone as done:
                state, started = done.state, time.perf_counter()
    return _train_part(parts[-1], split, device, told, state or before, started)


def _train_part(
    part: Part,
    split: Split,
    device: torch.device,
    told: Callable[[EpochEnd], None],
    begin: TrialState | Pretrained | None,
    started: float,
) -> Trained:
    """Train under one part's settings, to the end; PartDone where others hold before."""
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
        live = Live(part.settings, split, device, Path(scratch))
        if isinstance(begin, Pretrained):
            live.model.load_state_dict(begin.weights)
        run = Run(live, told, begin if isinstance(begin, TrialState) else None, part.last, started)
        score, metrics = run.fit()
        live.steps.close()
        best, last = run.checkpoints()
        return Trained(
            score=score,
            metrics={str(name): float(value) for name, value in metrics.items()},
            best_epoch=run.best_epoch or 1,
            epochs=max(run.epoch, 1),
            seconds=run.seconds,
            pretraining=begin.epochs if isinstance(begin, Pretrained) else 0,
            path=str(live.path),
            best=best,
            last=last,
        )


def evaluate(
    settings: Mapping[str, Any], split: Split, device: torch.device, state: dict[str, Any]
) -> dict[str, float]:
    """Metrics of a trained configuration on the test split, in full. For winners only."""
    with tester(settings, split, device, state) as (trainer, test_data):
        return recbole.evaluate(trainer, test_data)


@contextmanager
def tester(
    settings: Mapping[str, Any], split: Split, device: torch.device, state: dict[str, Any]
) -> Iterator[tuple[Any, Any]]:
    """RecBole's trainer of a trained configuration, ready to test it, and the loader of the test split."""
    wide = _at_once(settings, device)
    # Validation keeps RecBole's four decimals: by them it stops early, and an equal score is progress.
    own = {**settings, "metric_decimal_place": _ALL_DECIMALS, **wide}
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
        config = TypedConfig(own, device, Path(scratch))
        train_data, _, test_data = make_loaders(config, split)
        model = fast.restored(config, train_data, state, device)
        trainer = recbole.make_trainer(config, model)
        if wide:  # pairs that a model scores one by one are still so many at once
            trainer.test_batch_size = settings["eval_batch_size"]
        trainer.eval_collector.data_collect(train_data)
        yield trainer, test_data


def _at_once(settings: Mapping[str, Any], device: torch.device) -> dict[str, int]:
    """Scores that a test computes at once, where RecBole takes a handful of users, to the same end."""
    model, given = settings["model"], settings.get("eval_batch_size")
    mode = (settings.get("eval_args") or {}).get("mode", "full")
    in_full = mode == "full" or (isinstance(mode, dict) and mode.get("test") == "full")
    if given is None or not in_full or model in _DRAWN or catalog.models().get(model) != "general":
        return {}
    return {"eval_batch_size": max(given, scores_at_once(device))}


def save_checkpoints(folder: Path, trained: Trained) -> bool:
    """Write the best and the last weights of a trial to its own folder.

    Returns:
        False where the model holds state that torch cannot read back as weights only; nothing is kept then,
        and a winner is retrained.
    """
    model = trained.best["config"]["model"]
    for name, state in (("best", trained.best), ("last", trained.last)):
        with atomic_path(folder / f"{name}.pth") as temporary:
            torch.save(state, temporary)
        if model not in _STORABLE and load_checkpoint(folder, name) is None:
            for path in folder.glob("*.pth"):
                path.unlink()
            folder.rmdir()
            return False
    _STORABLE.add(model)
    return True


def load_checkpoint(folder: Path, name: str = "best") -> dict[str, Any] | None:
    """A checkpoint of ours, or None where there is none or it is not whole. Runs no code."""
    try:
        state: dict[str, Any] = torch.load(folder / f"{name}.pth", map_location="cpu", weights_only=True)
    except Exception:  # torch raises whatever a damaged file leads to
        return None
    return state
