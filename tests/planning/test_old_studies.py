"""Studies that were made by an earlier version go on: what they were made from hashes to what it did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from recsweep.planning.plan import plan_sweep
from recsweep.sweeps.loading import load_sweep

CONFIG = Path(__file__).parents[2] / "config"
# Of version 0.1 before there were pruners, phases and conditions.
HASHES = {
    "GRU4Rec": "031c224f1874f03a87f3bc5bfda920c526ed0a90929d71a3ac83918ad95b0992",
    "NARM": "8d4ca1e5da7e5afe3e358c55b3bc59f7122d203afe736753b62c5fb065c92a39",
    "STAMP": "3e777e25dcb417e0bef41a0ce4b596500a449785837c32729d437f72d940140b",
    "SASRec": "5ad40bdcdc3431a6ce95653f5a194338ee91f3cd2931c4798432422e173fc0bc",
    "FPMC": "fb93919b13cbd0d18247e6fc75c9bf9b9ecff42ace3689bfaf0594808f8e3e51",
    "FOSSIL": "ca27f42f09e0d30c9ede14548391a2a8b40c4496244b5a501e59cbc3ec939cd4",
}


@pytest.mark.parametrize("model", HASHES)
def test_a_study_of_an_earlier_version_keeps_hash_and_seeds(model):
    (plan,) = plan_sweep(load_sweep(CONFIG / "smoke.yaml", {"models": model}))
    assert plan.content_hash == HASHES[model]


def test_what_no_result_depends_on_is_no_part_of_a_study():
    usual, other = (
        plan_sweep(load_sweep(CONFIG / "smoke.yaml", {"models": "FPMC", **overrides}))[0]
        for overrides in ({}, {"device": "cpu", "workers": 3, "cooldown": 5})
    )
    training = other.sweep.training.model_copy(update={"eval_batch_size": 17})
    workers = other.sweep.workers.model_copy(update={"threads": 3, "trials_per_gpu": 2})
    sweep = other.sweep.model_copy(update={"training": training, "workers": workers})
    other = dataclasses.replace(other, sweep=sweep)
    assert other.settings(other.defaults, 1)["eval_batch_size"] == 17
    assert other.definition == usual.definition
    assert other.content_hash == usual.content_hash
    assert other.trial_seed(3) == usual.trial_seed(3)
    assert other.proposal_seed(3) == usual.proposal_seed(3)


def test_a_scheduler_changes_the_definition_but_no_seed_and_is_kept():
    given = {"models": "FPMC", "engine": "ray"}
    without, with_asha = (
        plan_sweep(load_sweep(CONFIG / "smoke.yaml", {**given, **more}))[0]
        for more in ({}, {"scheduler": "asha"})
    )
    assert "scheduler" not in without.definition
    assert without.content_hash != with_asha.content_hash
    assert without.trial_seed(3) == with_asha.trial_seed(3)
    assert without.proposal_seed(3) == with_asha.proposal_seed(3)
    kept = with_asha.record()
    assert (kept.search.scheduler, kept.pruning.warmup_epochs) == ("asha", 2)


def test_how_a_population_is_compared_is_kept_with_its_study():
    given = {"models": "FPMC", "engine": "ray", "algo": "random", "scheduler": "pbt", "epochs": 9}
    kept = plan_sweep(load_sweep(CONFIG / "smoke.yaml", {**given, "perturbation_interval": 3}))[0].record()
    assert (kept.search.scheduler, kept.search.perturbation_interval) == ("pbt", 3)
    assert "warmup_epochs" not in kept.definition["scheduler"]


def test_a_pruner_changes_the_definition_but_not_what_a_trial_trains():
    with_none, with_median = (
        plan_sweep(load_sweep(CONFIG / "smoke.yaml", {"models": "FPMC", "pruner": pruner}))[0]
        for pruner in ("none", "median")
    )
    assert with_none.content_hash != with_median.content_hash
    assert with_none.trial_seed(3) == with_median.trial_seed(3)
    assert with_none.proposal_seed(3) == with_median.proposal_seed(3)
