"""The winner of a study, as a trained model: its weights as they were kept, or trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from recsweep.checkpoints.keeper import WEIGHTS
from recsweep.checkpoints.units import Unit
from recsweep.common.errors import RecsweepError, UserError
from recsweep.common.files import to_plain
from recsweep.datasets.prepare import prepare
from recsweep.planning.lineage import training_of
from recsweep.planning.plan import StudyPlan
from recsweep.recbole_api.settings import placed
from recsweep.running.keeping import keeper_of
from recsweep.running.study_run import StudyRun
from recsweep.study import Trial
from recsweep.training import schedules, training
from recsweep.training.scoring import TrainedModel


def closed_winner(run: StudyRun) -> Trial:
    """The best trial of a closed study.

    Raises:
        RecsweepError: the study is not closed, or nothing in it succeeded.
    """
    if run.closed() is None:
        raise RecsweepError(f"study {run.plan.name} is not closed; its test split stays unseen until it is")
    trial = run.winner()
    if trial is None or trial.seed is None:
        raise RecsweepError(f"study {run.plan.name} has no winner; no trial succeeded")
    return trial


def trained_trial(run: StudyRun, trial: Trial, device: torch.device) -> TrainedModel:
    """A trial of a study as a trained model; trained again where its weights are gone, which is said."""
    kept = kept_trial(run, trial)
    if kept is not None:
        return kept
    plan = run.plan
    begun, schedule = training_of(plan, trial)
    split = prepare(begun, plan.files, plan.outputs.cache).split
    run.say(
        f"{plan.label}: no checkpoint of trial {trial.slot} is left; training it again for the test split"
    )
    state = training.train(begun, split, device, schedule=schedule, cache=plan.outputs.cache).best
    settings = schedules.settings_at(begun, schedule, state["epoch"] + 1)
    return TrainedModel(settings, split, state, "retrained")


def kept_trial(run: StudyRun, trial: Trial) -> TrainedModel | None:
    """A trial of a study whose weights were kept, here or where they are sent; None where they were not."""
    plan = run.plan
    begun, schedule = training_of(plan, trial)
    settings = schedules.settings_at(begun, schedule, trial.result.best_epoch or 1)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    state = _restore(plan, trial, settings)
    if state is None and not trial.inherited and keeper_of(plan).fetch_weights(trial.slot, run.say):
        state = _restore(plan, trial, settings)
    return None if state is None else TrainedModel(settings, split, state)


def require_kept(run: StudyRun, trial: Trial) -> TrainedModel:
    """The same, where nothing is to be trained.

    Raises:
        UserError: its weights were not kept.
    """
    kept = kept_trial(run, trial)
    if kept is None:
        raise UserError(
            f"{run.label}: the weights of trial {trial.slot} are not there; nothing is trained for this; set "
            "checkpoints.keep_best to 1 or more before a search, or give what `recsweep train --save` left "
            "with --trained"
        )
    return kept


def _restore(plan: StudyPlan, trial: Trial, settings: dict[str, Any]) -> dict[str, Any] | None:
    dataset, model, phase = plan.folder_names
    slot, outputs = trial.slot, plan.outputs
    if trial.inherited:  # its weights are where it was trained, under the study's own name
        slot, phase = trial.inherited.slot, trial.inherited.phase
        outputs = replace(outputs, study_name=None)
    for folder in (
        outputs.trial_checkpoints(dataset, model, slot, phase),
        outputs.old_checkpoints(dataset, model, slot, phase),
        # Of a study that was archived, and whose config is back.
        *sorted(outputs.checkpoints(dataset, model, phase).glob(f"@*/trial-{slot}")),
    ):
        state = training.load_checkpoint(folder)
        if state is not None and _are_of(plan, folder, state.get("config") or {}, to_plain(settings)):
            return state
    return None


def _are_of(plan: StudyPlan, folder: Path, config: dict[str, Any], settings: dict[str, Any]) -> bool:
    """True for weights of the trial: a folder of that name may hold those of another study's."""
    if config.get("data_path") != settings.get("data_path"):  # the same data, where the study is the same
        manifest = Unit(folder, WEIGHTS).manifest()
        if manifest is None or manifest.definition != plan.content_hash:
            return False
    return _deciding(placed(config, settings)) == _deciding(settings)


def _deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that weights depend on; `protocol` of a best_config.yaml is words for people."""
    left_out = ("eval_batch_size", "protocol")
    return {name: value for name, value in settings.items() if name not in left_out}
