"""A small sweep with phases, and studies of it whose trials came to given scores without training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.workspace import Workspace, make_workspace
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.study import Reason, Result, Store, Study, Trial
from recsweep.sweeps.space import Params

MODEL = """\
defaults: {n_layers: 1, hidden_size: 64, loss_type: CE, weight_decay: 0.0}
space:
  n_layers: {type: choice, values: [1, 2]}
  hidden_size: {type: quniform, min: 32, max: 128, q: 32}
  loss_type: {type: choice, values: [CE, BPR]}
  weight_decay: {type: choice, values: [0.0, 0.1], when: {loss_type: BPR}}
phases:
  coarse: [n_layers, hidden_size]
  loss: [loss_type, weight_decay]
"""
ENVIRONMENT = {"device": "cpu", "threads": 1, "versions": {"torch": "2.13.0"}, "commit": "abc123"}


def workspace(root: Path, search: str = "max_evals: 4", extra: str = "", model: str = MODEL) -> Workspace:
    """A sweep of NARM on `toy`, its outputs in the same folder."""
    head = f"sweep: s\nmodels: [NARM]\ndatasets: [toy]\noutputs: {root / 'outputs'}\n"
    return make_workspace(root, sweep=f"{head}search: {{{search}}}\n{extra}", model=model)


def fill(
    plan: StudyPlan,
    store: Store,
    scores: Sequence[float | None],
    params: Sequence[Params] | None = None,
    study: Study | None = None,
) -> list[Trial]:
    """Let the next slots of a study come to these scores (None: failed), as a worker would."""
    study = study or store.open_study(plan.name, plan.definition, maximize=plan.directions)
    study.ensure_slots(plan.budget)
    given: list[Any] = list(params or [])
    for position, score in enumerate(scores):
        claim = study.claim(plan.budget, this_process())
        assert claim is not None
        own = given[position] if position < len(given) else plan.defaults
        study.start(claim, own, plan.space, plan.trial_seed(claim.slot), ENVIRONMENT)
        if score is None:
            study.fail(claim, Reason.DIVERGED, "the loss is NaN")
            continue
        study.report(claim, 1, score)
        metrics = {"ndcg@10": score}
        study.finish(claim, score, Result(metrics, 1, 2, 1.5))
    return study.results()
