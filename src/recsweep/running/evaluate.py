"""Test once: only a closed study's winner ever meets the test split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import torch

from recsweep.common.errors import RecsweepError
from recsweep.common.files import to_plain
from recsweep.datasets.prepare import prepare
from recsweep.planning.lineage import training_of
from recsweep.planning.plan import StudyPlan
from recsweep.running.keeping import keeper_of
from recsweep.running.study_run import StudyRun
from recsweep.study import TEST_ATTRIBUTE, Trial
from recsweep.training import schedules, training


def evaluate_winner(run: StudyRun, device: torch.device) -> dict[str, float]:
    """Restore or retrain the winner of a closed study and evaluate it on the test split, once.

    Raises:
        RecsweepError: the study is not closed, or nothing in it succeeded.
    """
    plan, study = run.plan, run.study
    if run.closed() is None:
        raise RecsweepError(f"study {plan.name} is not closed; its test split stays unseen until it is")
    trial = run.winner()
    if trial is None or trial.seed is None:
        raise RecsweepError(f"study {plan.name} has no winner; no trial succeeded")
    stored = study.test_metrics(trial)
    if stored is not None:
        return stored
    metrics, source = _evaluate(run, trial, device)
    study.set_attribute(
        TEST_ATTRIBUTE,
        {
            "trial_id": trial.id,
            "slot": trial.slot,
            "metrics": metrics,
            "weights": source,
            "evaluated_at": datetime.now().isoformat(timespec="seconds"),
        },
    )
    return metrics


def _evaluate(run: StudyRun, trial: Trial, device: torch.device) -> tuple[dict[str, float], str]:
    """The test metrics of a trial, and whether its weights were restored or retrained."""
    plan = run.plan
    begun, schedule = training_of(plan, trial)
    settings = schedules.settings_at(begun, schedule, trial.result.best_epoch or 1)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    state, source = _restore(plan, trial, settings), "restored"
    if state is None and not trial.inherited and keeper_of(plan).fetch_weights(trial.slot, run.say):
        state = _restore(plan, trial, settings)
    if state is None:
        run.say(
            f"{plan.label}: no checkpoint of trial {trial.slot} is left; training it again for the test split"
        )
        state, source = training.train(begun, split, device, schedule=schedule).best, "retrained"
        settings = schedules.settings_at(begun, schedule, state["epoch"] + 1)
    return training.evaluate(settings, split, device, state), source


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
        # A folder of that name may hold the weights of another study's trial.
        if state is not None and _deciding(state.get("config") or {}) == _deciding(to_plain(settings)):
            return state
    return None


def _deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that weights depend on."""
    return {name: value for name, value in settings.items() if name != "eval_batch_size"}
