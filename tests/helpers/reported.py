"""A small sweep as its report sees it, made without training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from helpers.found import not_begun, result_of, some_trials, trial, workspace
from recsweep.document.facts import Facts, gathered
from recsweep.document.outcomes import Measured, Value
from recsweep.report.results import StudyResult

MODELS = ("NARM", "Slow", "Waiting")
TEST = {"ndcg@10": 0.1912, "recall@10": 0.3, "mrr@10": 0.1, "hit@10": 0.3}
OTHER = {"ndcg@10": 0.1034, "recall@10": 0.31, "mrr@10": 0.1, "hit@10": 0.31}
ENVIRONMENT = {
    "device": "cpu",
    "threads": 2,
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "commit": "0123456789abcdef",
    "hardware": {"processor": "A processor", "cores": 8, "memory_gib": 31.2, "system": "Linux 6.1"},
}


def results_of_three(root: Path) -> list[StudyResult]:
    """On toy NARM and Slow are finished and tested, Waiting is not begun."""
    space = workspace(root)
    for name in MODELS[1:]:
        (space.root / "models" / f"{name}.yaml").write_text(space.model.read_text())
    plans = space.plans(models=" ".join(MODELS))
    here = [dataclasses.replace(one, environment=ENVIRONMENT) for one in some_trials()]
    there = [trial(slot, 0.1 + slot / 1000, environment=ENVIRONMENT) for slot in range(12)]
    return [
        dataclasses.replace(result_of(plans[0], here), test=TEST),
        dataclasses.replace(result_of(plans[1], there), test=OTHER),
        not_begun(plans[2]),
    ]


def facts_of_three(root: Path) -> Facts:
    """The same, gathered."""
    return gathered("toy-sweep", results_of_three(root), "sweep.yaml")


def over_seeds(chance: float) -> Measured:
    """Five trainings of two models, and the corrected p-value of their difference."""
    values = {
        ("toy", "NARM"): {"ndcg@10": Value(0.19, 0.18, 0.20, 5)},
        ("toy", "Slow"): {"ndcg@10": Value(0.17, 0.16, 0.18, 5)},
    }
    return Measured(values, {("toy", "ndcg@10", frozenset(("NARM", "Slow"))): chance})
