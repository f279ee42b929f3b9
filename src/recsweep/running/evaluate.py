"""Test once: only a closed study's winner ever meets the test split."""

from __future__ import annotations

import math
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
from recsweep.running.user_files import write_users
from recsweep.study import TEST_ATTRIBUTE, Trial
from recsweep.training import schedules, training
from recsweep.training import users as users_of

_SAME = 1e-6
"""Metrics that are so near are those of the same weights."""


def evaluate_winner(run: StudyRun, device: torch.device, *, users: bool = False) -> dict[str, float]:
    """Restore or retrain the winner of a closed study and evaluate it on the test split, once.

    Its scores for each user are a view beside the results: written with the test.

    Args:
        users: of a winner that was tested already they are made again, where its weights are kept.

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
        if users:
            _write_again(run, trial, device, stored)
        return stored
    weights = _Weights(run, trial)
    found = weights.test(device, weights.restored() or weights.retrained(device))
    write_users(plan, trial, found.users)
    study.set_attribute(
        TEST_ATTRIBUTE,
        {
            "trial_id": trial.id,
            "slot": trial.slot,
            "metrics": found.metrics,
            "weights": weights.source,
            "evaluated_at": datetime.now().isoformat(timespec="seconds"),
        },
    )
    return found.metrics


def _write_again(run: StudyRun, trial: Trial, device: torch.device, stored: Mapping[str, float]) -> None:
    """The scores per user of a winner whose test is in the store; that stays as it is."""
    weights = _Weights(run, trial)
    state = weights.restored()
    if state is None:
        run.say(
            f"{run.label}: no weights of trial {trial.slot} are left, so its scores per user cannot be made "
            "again; a new sweep name, or `--restart`, trains and tests it anew"
        )
        return
    found = weights.test(device, state)
    other = [n for n, value in stored.items() if abs(found.metrics.get(n, math.nan) - value) > _SAME]
    if other:
        run.say(
            f"{run.label}: its scores per user do not give the {other[0]} of its test: they were made on "
            "another machine, or with other versions"
        )
    write_users(run.plan, trial, found.users)


class _Weights:
    """The weights of a trial: restored from where they are kept, or trained again."""

    def __init__(self, run: StudyRun, trial: Trial) -> None:
        self._run, self._plan, self._trial = run, run.plan, trial
        self._begun, self._schedule = training_of(self._plan, trial)
        self._settings = schedules.settings_at(self._begun, self._schedule, trial.result.best_epoch or 1)
        self._split = prepare(self._settings, self._plan.files, self._plan.outputs.cache).split
        self.source = "restored"

    def restored(self) -> dict[str, Any] | None:
        """As they were kept here or elsewhere; None where they are not."""
        plan, trial = self._plan, self._trial
        state = _restore(plan, trial, self._settings)
        if state is None and not trial.inherited and keeper_of(plan).fetch_weights(trial.slot, self._run.say):
            state = _restore(plan, trial, self._settings)
        return state

    def retrained(self, device: torch.device) -> dict[str, Any]:
        """Trained again; the trial's seed gives the same weights."""
        self._run.say(
            f"{self._plan.label}: no checkpoint of trial {self._trial.slot} is left; training it again for "
            "the test split"
        )
        state = training.train(self._begun, self._split, device, schedule=self._schedule).best
        self.source = "retrained"
        self._settings = schedules.settings_at(self._begun, self._schedule, state["epoch"] + 1)
        return state

    def test(self, device: torch.device, state: dict[str, Any]) -> users_of.Tested:
        """RecBole's metrics on the test split, and the same for each user."""
        return users_of.tested(self._settings, self._split, device, state)


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
