"""RecBole's models and trainers, as one trial needs them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api import catalog, matrices, own_models, safety, trees
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.settings import STAGE
from recsweep.sweeps.own_names import is_own


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, deterministic kernels on."""
    recbole("utils").init_seed(seed, True)


@contextmanager
def clean_globals() -> Iterator[None]:
    """Put back what RecBole and torch set for the whole process: random states, cuDNN's switches."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn


def make_model(config: TypedConfig, train_data: Any) -> Any:
    """A RecBole model with fresh weights, on the config's device."""
    seed_everything(config["seed"])
    if config["model"] in trees.LIBRARIES:
        return trees.made(config["model"], config)
    if is_own(config["model"]):
        own_models.check_code(config["model"], config[own_models.CODE])
    made = recbole("utils").get_model(config["model"])
    if (stages := catalog.stages(config["model"])) and config[STAGE] != stages[0]:
        return _in_stage(config, made, stages[0], train_data._dataset)
    return made(config, train_data._dataset).to(config["device"])


def bare_model(config: TypedConfig, train_data: Any) -> Any:
    """A model of which RecBole has made nothing but the part that is common to all general models."""
    seed_everything(config["seed"])
    made = recbole("utils").get_model(config["model"])
    model = made.__new__(made)
    common = recbole("model.abstract_recommender").GeneralRecommender
    common.__init__(model, config, train_data._dataset)
    return model


def _in_stage(config: TypedConfig, made: Any, first: str, dataset: Any) -> Any:
    """A model in a later stage of its training, which RecBole makes of a file of the stage before."""
    settings = config.final_config_dict
    path, stage = Path(config["checkpoint_dir"]) / "stage.pth", settings[STAGE]
    settings[STAGE] = first
    torch.save({"state_dict": made(config, dataset).state_dict()}, path)
    settings |= {STAGE: stage, "pre_model_path": str(path)}
    try:
        return made(config, dataset).to(config["device"])
    finally:
        settings["pre_model_path"] = ""
        path.unlink()


def make_trainer(config: TypedConfig, model: Any) -> Any:
    """The trainer that RecBole uses for the model; of trees, one that says how they are validated."""
    if isinstance(model, trees.TreeModel):
        return trees.TreeTrainer(config, model)
    return recbole("utils").get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


def fit(
    trainer: Any, train: Any, valid: Any, after_epoch: Callable[[int, float], None]
) -> tuple[float, dict[str, Any] | None]:
    """RecBole's own training loop: epochs, early stop; saves nothing.

    Args:
        after_epoch: called with the epoch (from 0) and the validation score after each validation.

    Returns:
        Best validation score and all validation metrics of that epoch.
    """
    score, metrics = trainer.fit(
        train, valid, verbose=False, saved=False, show_progress=False, callback_fn=after_epoch
    )
    return float(score), metrics


def train_epoch(trainer: Any, train: Any, epoch: int) -> float:
    """One epoch of RecBole's own code, without a validation; the sum of the losses."""
    loss = trainer._train_epoch(train, epoch, show_progress=False)
    return float(sum(loss) if isinstance(loss, tuple) else loss)


def evaluate(trainer: Any, data: Any) -> dict[str, float]:
    """Metrics of the model as it stands."""
    result = trainer.evaluate(data, load_best_model=False, show_progress=False)
    return {str(name): float(value) for name, value in result.items()}


def weights(model: Any) -> dict[str, torch.Tensor]:
    """A copy of a model's weights on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def other_state(model: Any) -> dict[str, Any]:
    """A copy on the CPU of what a model holds besides its weights (RecBole's `other_parameter`).

    LightGCN and its kind keep what they last propagated there, KGCN the neighbours that it drew, EASE its
    similarities of items. A layer that is named there too is left out: its weights are among the model's.
    """
    found = model.other_parameter()
    return {
        name: copied_to(matrices.written(value), torch.device("cpu"), always=True)
        for name, value in found.items()
        if not isinstance(value, torch.nn.Module)
    }


def copied_to(value: Any, device: torch.device, *, always: bool = False) -> Any:
    """A value with all its tensors on a device, in lists, tuples and mappings too.

    Args:
        always: copy tensors that are there already.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().to(device, copy=always)
    if isinstance(value, dict):  # a plain one: torch reads no other back as weights only
        return {name: copied_to(item, device, always=always) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copied_to(item, device, always=always) for item in value)
    return value


def checkpoint(
    trainer: Any, state: dict[str, torch.Tensor], other: dict[str, Any], epoch: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """A checkpoint that RecBole's `trainer.evaluate(model_file=…)` and `resume_checkpoint` read.

    Its config is a plain dict, so that torch can read it as weights only.

    Args:
        state: the weights of an epoch.
        other: what the model held besides in that epoch (`other_state`).
    """
    return {
        "config": settings,
        "epoch": epoch,
        "cur_step": trainer.cur_step,
        "best_valid_score": float(trainer.best_valid_score),
        "state_dict": state,
        "other_parameter": other,
        "optimizer": trainer.optimizer.state_dict(),
    }


def optimizer_states(trainer: Any) -> dict[str, Any]:
    """A copy on the CPU of the state of a trainer's optimizers, by their names; RecVAE has several."""
    found: dict[str, Any] = {}
    named: dict[int, str] = {}
    for name, optimizer in reversed(_optimizers(trainer).items()):  # `optimizer` may be another name of one
        if id(optimizer) in named:
            found[name] = {"same_as": named[id(optimizer)]}
            continue
        named[id(optimizer)] = name
        state = copied_to(optimizer.state_dict()["state"], torch.device("cpu"), always=True)
        found[name] = {"class": type(optimizer).__name__, "state": state}
    return found


def restore_optimizers(trainer: Any, found: dict[str, Any]) -> None:
    """Put their state into a trainer's own optimizers, whose rates stay those of its config."""
    for name, one in found.items():
        if "same_as" in one:
            setattr(trainer, name, getattr(trainer, one["same_as"]))
            continue
        optimizer = getattr(trainer, name)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict(
            {"state": copied_to(one["state"], torch.device("cpu"), always=True), "param_groups": groups}
        )


def _optimizers(trainer: Any) -> dict[str, torch.optim.Optimizer]:
    return {name: one for name, one in vars(trainer).items() if isinstance(one, torch.optim.Optimizer)}


def restore(model: Any, state: dict[str, Any], device: torch.device) -> None:
    """Put a checkpoint's weights, and what belongs to them, into a model on a device."""
    model.load_state_dict(state["state_dict"])
    other = state.get("other_parameter")
    if other is not None:
        other = {
            name: matrices.read(value) if matrices.is_written(value) else copied_to(value, device)
            for name, value in other.items()
        }
    model.load_other_parameter(other)


def pretrains_only(model: Any) -> str | None:
    """The stage of a model that RecBole pre-trains without ever validating it; None for all others."""
    stage = getattr(model, "train_stage", None)
    return stage if isinstance(stage, str) and "pretrain" in stage else None


def hyper_tuning() -> Any:
    """RecBole's `HyperTuning` class."""
    module = recbole("trainer.hyper_tuning")
    safety.close()
    return module.HyperTuning
