"""Test once: only a closed study's winner ever meets the test split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import torch

from recsweep.running.study_run import StudyRun
from recsweep.running.user_files import write_users
from recsweep.running.winner import closed_winner, kept_trial, trained_trial
from recsweep.study import TEST_ATTRIBUTE, Trial
from recsweep.training import users as users_of
from recsweep.training.scoring import TrainedModel

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
    study, trial = run.study, closed_winner(run)
    stored = study.test_metrics(trial)
    if stored is not None:
        if users:
            _write_again(run, trial, device, stored)
        return stored
    trained = trained_trial(run, trial, device)
    found = _test(trained, device)
    write_users(run.plan, trial, found.users)
    study.set_attribute(
        TEST_ATTRIBUTE,
        {
            "trial_id": trial.id,
            "slot": trial.slot,
            "metrics": found.metrics,
            "weights": trained.source,
            "evaluated_at": datetime.now().isoformat(timespec="seconds"),
        },
    )
    return found.metrics


def _write_again(run: StudyRun, trial: Trial, device: torch.device, stored: Mapping[str, float]) -> None:
    """The scores per user of a winner whose test is in the store; that stays as it is."""
    trained = kept_trial(run, trial)
    if trained is None:
        run.say(
            f"{run.label}: no weights of trial {trial.slot} are left, so its scores per user cannot be made "
            "again; a new sweep name, or `--restart`, trains and tests it anew"
        )
        return
    found = _test(trained, device)
    other = [n for n, value in stored.items() if abs(found.metrics.get(n, math.nan) - value) > _SAME]
    if other:
        run.say(
            f"{run.label}: its scores per user do not give the {other[0]} of its test: they were made on "
            "another machine, or with other versions"
        )
    write_users(run.plan, trial, found.users)


def _test(trained: TrainedModel, device: torch.device) -> users_of.Tested:
    """RecBole's metrics on the test split, and the same for each user."""
    return users_of.tested(trained.settings, trained.split, device, dict(trained.state))
