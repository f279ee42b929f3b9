"""Studies that have found something, without training: in memory, or in a real store."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from helpers.workspace import Workspace, make_workspace
from recsweep.api.seen import results_of
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.report.results import StudyResult, read_result, with_missing
from recsweep.study import Failure, Holder, Reason, Result, State, Store, Trial, best

NASTY = "<img src=x onerror=alert(1)> & $x_1$"
BEGIN = datetime(2026, 3, 1, 12, 0, 0)
MODEL = """
model: NARM
defaults: {learning_rate: 0.001, n_layers: 1, hidden_size: 64, dropout_probs: [0.25, 0.5], loss_type: CE}
space:
  learning_rate: {type: loguniform, min: 1.0e-4, max: 1.0e-2}
  n_layers: {type: randint, min: 1, max: 3}
  hidden_size: {type: quniform, min: 32, max: 128, q: 32}
  dropout_probs: {type: choice, values: [[0.25, 0.5], [0.2, 0.2]], when: {loss_type: CE}}
  loss_type: {type: choice, values: [CE, BPR]}
"""
OBJECTIVES = ("NDCG@10", "training_seconds")


def workspace(root: Path, budget: int = 12, objectives: Sequence[str] = (), model: str = MODEL) -> Workspace:
    """A sweep of one study, `toy/NARM`."""
    lines = ["sweep: toy-sweep", "models: [NARM]", "datasets: [toy]", f"outputs: {root / 'outputs'}"]
    if objectives:
        lines.append(f"search: {{max_evals: {budget}, engine: optuna, algo: nsga2}}")
        lines.append(f"evaluation: {{objectives: [{', '.join(objectives)}]}}")
    else:
        lines.append(f"search: {{max_evals: {budget}}}")
    return make_workspace(root, sweep="\n".join(lines) + "\n", model=model)


def params_of(slot: int) -> dict[str, Any]:
    params: dict[str, Any] = {
        "learning_rate": 1e-4 * (1 + slot * 7 % 90),
        "n_layers": 1 + slot % 3,
        "hidden_size": 32 * (1 + slot % 4),
        "loss_type": "CE" if slot % 2 else "BPR",
    }
    if slot % 2:
        params["dropout_probs"] = [0.25, 0.5] if slot % 4 == 1 else [0.2, 0.2]
    return params


def trial(slot: int, score: float | None = None, state: str = "complete", **changes: Any) -> Trial:
    """A counted trial, as the store would give it."""
    me = this_process()
    values = () if score is None else (score,)
    parts: dict[str, Any] = {
        "params": params_of(slot),
        "seed": slot,
        "score": score,
        "values": values,
        "curve": {} if score is None else {1: score / 2, 2: score},
        "result": Result({"ndcg@10": score}, best_epoch=2, epochs=2, seconds=2.0),
        "owner": Holder(dataclasses.replace(me, pid_space="host-a/boot/pid", worker=100 + slot % 2)),
        "started": BEGIN + timedelta(seconds=60 * slot),
        "finished": BEGIN + timedelta(seconds=60 * slot + 45),
    }
    if state != "complete":
        parts["failure"] = Failure(Reason.PRUNED if state == "pruned" else Reason.DIVERGED, NASTY)
    return Trial(slot, slot, slot, State(state), **{**parts, **changes})


def some_trials() -> list[Trial]:
    """Two pruned, one failed, the others complete; trial 7 is the best."""
    states = {3: "pruned", 8: "pruned", 5: "failed"}
    scores = [0.10, 0.12, 0.11, 0.05, 0.15, None, 0.13, 0.20, 0.06, 0.14, 0.16, 0.18]
    return [trial(slot, score, states.get(slot, "complete")) for slot, score in enumerate(scores)]


def result_of(plan: StudyPlan, trials: Sequence[Trial]) -> StudyResult:
    winner = best(list(trials), maximize=plan.maximize)
    return StudyResult(plan.record(), plan.sweep.outputs, list(trials), winner, None)


def not_begun(plan: StudyPlan) -> StudyResult:
    """A study that is not in the store."""
    return StudyResult(plan.record(), plan.sweep.outputs, [], None, None)


def result_in(plan: StudyPlan, store: Store) -> StudyResult:
    """What a store has of a study."""
    return read_result(plan.record(), plan.sweep.outputs, store)


def drawn(plans: Sequence[StudyPlan], chosen: Sequence[StudyPlan]) -> Path:
    """The gallery of a sweep, with the pictures of the chosen studies drawn."""
    from recsweep.report.plots import draw_sweep  # with matplotlib, which few who import this file need

    found = results_of(plans)
    everything = with_missing(found, [plan.record() for plan in plans], plans[0].sweep.outputs)
    return draw_sweep(plans[0].outputs, everything, found, {plan.name for plan in chosen})


def fill_store(plan: StudyPlan, trials: Sequence[Trial], test: dict[str, float] | None = None) -> None:
    """Write trials into the plan's own store, as workers would."""
    store = Store(plan.storage_url)
    several = [objective.maximize for objective in plan.objectives]
    study = store.open_study(plan.name, plan.definition, maximize=several)
    study.ensure_slots(plan.budget)
    for wanted in trials:
        claim = study.claim(plan.budget, this_process())
        assert claim is not None
        assert claim.slot == wanted.slot
        study.start(claim, wanted.params, plan.space, plan.trial_seed(wanted.slot), {"device": "cpu"})
        for epoch, score in wanted.curve.items():
            study.report(claim, epoch, score)
        if wanted.state == "complete":
            study.finish(claim, list(wanted.values), wanted.result)
        elif wanted.state == "pruned":
            study.prune(claim, list(wanted.values), wanted.result, wanted.failure.message)
        else:
            study.fail(claim, wanted.failure.kind, wanted.failure.message)
    if test:
        winner = best(study.results(), maximize=plan.maximize)
        assert winner is not None
        study.set_attribute("test", {"trial_id": winner.id, "metrics": test})
    store.close()
