"""A small sweep as its report sees it, made without training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from helpers.found import not_begun, result_of, some_trials, trial, workspace
from recsweep.document.facts import Facts, gathered
from recsweep.document.outcomes import Measured, Value
from recsweep.planning.evidence import Configuration, Point
from recsweep.report.evidence import EvidenceResult
from recsweep.report.results import StudyResult
from recsweep.statistics.users import UserScores
from recsweep.study import Result

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


def with_users(results: list[StudyResult]) -> list[StudyResult]:
    """The same with the scores of each user of the two that were tested; NARM is better for nearly all."""
    users = np.array(sorted(f"u{number:03}" for number in range(200)))
    for result, mean in zip(results[:2], (0.3, 0.1), strict=True):
        assert result.winner is not None
        values = mean + 0.05 * np.cos(np.arange(200.0) + len(result.record.model_name))
        about = {"study": result.record.study, "trial": result.winner.slot}
        scores = UserScores(users, {"ndcg@10": values}, about)
        scores.write(result.outputs.users(*result.record.folder_names))
    return results


def with_evidence(
    result: StudyResult,
    scores: Sequence[float] = (0.18, 0.19, 0.17),
    lower: float = 0.02,
    seconds: float = 1.0,
) -> StudyResult:
    """A study whose winner was trained again on a seed a score; on test each came to so much less."""
    assert result.winner is not None
    configuration = Configuration(result.winner.slot, result.winner.params)
    done = []
    for number, score in enumerate(scores):
        metrics = {"ndcg@10": score}
        one = trial(number, score, result=Result(metrics, 1, 2, seconds, test={"ndcg@10": score - lower}))
        done.append((Point(configuration, 100 + number, 7), one))
    own = {"validation": result.winner.result.metrics, "test": TEST}
    name = f"{result.record.study}/evidence"
    found = EvidenceResult(name, 1, configuration, "ndcg@10", tuple(done), len(done), 0, own)
    return dataclasses.replace(result, evidence=(found,))


def over_seeds(*, apart: bool) -> Measured:
    """Five trainings of two models, and whether the data can tell them apart."""
    values = {
        ("toy", "NARM"): {"ndcg@10": Value(0.19, 0.18, 0.20, 5)},
        ("toy", "Slow"): {"ndcg@10": Value(0.17, 0.16, 0.18, 5)},
    }
    return Measured(values, {("toy", "ndcg@10", frozenset(("NARM", "Slow"))): apart})
