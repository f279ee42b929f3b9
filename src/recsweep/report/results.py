"""The files of one study, made from the store alone."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsweep.config import WHOLE
from recsweep.files import to_plain, write_json, write_text, write_yaml
from recsweep.limits import closed
from recsweep.paths import is_made
from recsweep.plan import StudyPlan
from recsweep.report.pareto import pareto_csv, pareto_front, pareto_markdown
from recsweep.report.text import cell, reason, worker
from recsweep.space import Params
from recsweep.starts import as_begun
from recsweep.stopping import MAX_EVALS, Ended
from recsweep.study import Store, Study, Trial, best

_CONFIG_HEADER = """The best configuration that the sweep found for {label}, complete.
Train with it:  recsweep train --config {path}
RecBole reads it too (config_file_list=[...]); it knows no `time_order` and uses its own rounding."""


@dataclass(frozen=True)
class StudyResult:
    """What a study has found so far."""

    plan: StudyPlan
    trials: list[Trial]
    """Counted trials, by slot."""
    winner: Trial | None
    test: dict[str, float] | None
    """Test metrics of the winner, once the study is closed and the winner was evaluated."""
    ended: Ended | None = None
    """The limit that ended the study; None where it goes on, or where nobody asked."""
    before: tuple[StudyResult, ...] = ()
    """The earlier phases of the model, where they are to be counted too."""

    @property
    def parameters(self) -> Params:
        """The winner's, with those that its phase did not search."""
        return self.plan.complete(self.winner.params) if self.winner else {}

    @property
    def trained(self) -> int:
        """Trials that the study trained: an inherited one was trained before."""
        return sum(not trial.inherited for trial in self.trials)

    @property
    def failed(self) -> int:
        return sum(trial.state == "failed" for trial in self.trials)

    @property
    def pruned(self) -> int:
        return sum(trial.state == "pruned" for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Training time of all trials that the study trained."""
        own = (trial for trial in self.trials if not trial.inherited)
        return sum(float(trial.result.get("seconds", 0.0)) for trial in own)

    @property
    def all_trained(self) -> int:
        """With the earlier phases."""
        return self.trained + sum(result.trained for result in self.before)

    @property
    def all_failed(self) -> int:
        """With the earlier phases."""
        return self.failed + sum(result.failed for result in self.before)

    @property
    def all_pruned(self) -> int:
        """With the earlier phases."""
        return self.pruned + sum(result.pruned for result in self.before)

    @property
    def all_seconds(self) -> float:
        """With the earlier phases."""
        return self.seconds + sum(result.seconds for result in self.before)


def read_result(plan: StudyPlan, study: Study, store: Store | None = None) -> StudyResult:
    """A study's result as the store has it; the store is asked for what ended it."""
    trials = study.results()
    winner = best(trials, maximize=plan.maximize)
    ended = closed(plan, study, store) if store is not None else None
    return StudyResult(plan, trials, winner, study.test_metrics(winner) if winner else None, ended)


def read_results(plans: Sequence[StudyPlan]) -> list[StudyResult]:
    """What is in the store of these studies. Makes no store where there is none."""
    results: list[StudyResult] = []
    stores: dict[str, Store] = {}
    try:
        for plan in plans:
            if not is_made(plan.storage_url):
                continue
            if plan.storage_url not in stores:
                stores[plan.storage_url] = Store(plan.storage_url)
            found = _found(plan, stores[plan.storage_url])
            if found is not None:
                results.append(found)
    finally:
        for store in stores.values():
            store.close()
    return results


def _found(plan: StudyPlan, store: Store) -> StudyResult | None:
    if store.find_study(plan.name) is None:
        return None
    begun = as_begun(plan, store)
    study = store.find_study(plan.name, begun.definition)
    return read_result(begun, study, store) if study is not None else None


def write_study(result: StudyResult) -> None:
    """Write best_result.yaml, best_config.yaml, best_params.json, trials.csv and study_results.json.

    Where there are several objectives, pareto.csv and pareto.md too.
    """
    plan, winner = result.plan, result.winner
    outputs, names = plan.outputs, plan.place
    write_text(outputs.trials(*names), trials_csv(plan, result.trials))
    write_json(outputs.study_results(*names), study_results(result))
    if len(plan.objectives) > 1:
        write_text(outputs.pareto("csv", *names), pareto_csv(plan, result.trials))
        write_text(outputs.pareto("md", *names), pareto_markdown(plan, result.trials))
    if winner is None:
        return
    config_path = outputs.best_config(*names)
    header = _CONFIG_HEADER.format(label=plan.label, path=config_path)
    write_yaml(config_path, plan.settings(winner.params, winner.seed or 0), header)
    write_json(outputs.best_params(*names), result.parameters)
    # Last: it is what the pipeline takes as the sign that a study is done.
    write_yaml(outputs.best_result(*names), best_result(result))


def best_result(result: StudyResult) -> dict[str, Any]:
    """The content of best_result.yaml."""
    plan, winner = result.plan, result.winner
    if winner is None:
        raise ValueError(f"study {plan.name} has no winner")
    environment: Mapping[str, Any] = winner.environment
    pruning = plan.sweep.pruning
    plain: dict[str, Any] = to_plain(
        {
            "sweep": plan.sweep.sweep,
            "dataset": plan.dataset_name,
            "model": plan.model_name,
            "study": plan.name,
            "metric": plan.sweep.evaluation.metric,
            "score": winner.score,
            **({"objectives": _objectives(plan, winner)} if len(plan.objectives) > 1 else {}),
            "parameters": result.parameters,
            "validation": winner.result.get("metrics", {}),
            "test": result.test,
            "trial": winner.slot,
            "seed": winner.seed,
            "epochs": {"best": winner.result.get("best_epoch"), "trained": winner.result.get("epochs")},
            "budget": _counts(result),
            **({"inherited": winner.inherited} if winner.inherited else {}),
            "search": {
                "engine": plan.sweep.search.engine,
                "algo": plan.sweep.search.algo,
                **({"phase": plan.phase, "searched": list(plan.space)} if plan.phase != WHOLE else {}),
                **({"pruner": pruning.pruner} if pruning.pruner != "none" else {}),
                "sweep_seed": plan.sweep.seed,
            },
            "content": {"study": plan.content_hash, "data": dict(plan.files.hashes)},
            "environment": {
                "versions": environment.get("versions", {}),
                "git_commit": environment.get("commit"),
                "hardware": environment.get("hardware", {}),
                "device": environment.get("device"),
                "threads": environment.get("threads"),
                "trained_by": winner.result.get("path"),
            },
            "durations": {
                "best_trial_seconds": winner.result.get("seconds"),
                "all_trials_seconds": round(result.seconds, 3),
            },
        }
    )
    return plain


def study_results(result: StudyResult) -> dict[str, Any]:
    """The content of study_results.json: every counted trial with all that the store knows of it.

    It is strict JSON: a number that is none (NaN, infinity) is null.
    """
    plan, winner = result.plan, result.winner
    content: dict[str, Any] = {
        "study": plan.name,
        "sweep": plan.sweep.sweep,
        "dataset": plan.dataset_name,
        "model": plan.model_name,
        "phase": plan.phase,
        "content": plan.content_hash,
        "objectives": [
            {"name": objective.name, "better": "more" if objective.maximize else "less"}
            for objective in plan.objectives
        ],
        "budget": _counts(result),
        "best_trial": winner.slot if winner else None,
    }
    if len(plan.objectives) > 1:
        content["pareto_front"] = [trial.slot for trial in pareto_front(result.trials, plan.objectives)]
    content["trials"] = [_everything(plan, trial) for trial in result.trials]
    strict: dict[str, Any] = _strict(to_plain(content))
    return strict


def _counts(result: StudyResult) -> dict[str, Any]:
    """How the budget was spent. What is as it was before there was a choice is left out."""
    plan, inherited = result.plan, len(result.trials) - result.trained
    counts: dict[str, Any] = {
        "trials": plan.budget - inherited,
        "counted": result.trained,
        "failed": result.failed,
    }
    if result.pruned:
        counts["pruned"] = result.pruned
    if inherited:
        counts["inherited"] = inherited
    if result.ended is not None and result.ended.limit != MAX_EVALS:
        counts["ended_by"] = result.ended.reason
    return counts


def _everything(plan: StudyPlan, trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.slot,
        "state": trial.state,
        "reason": reason(trial) or None,
        "score": trial.score,
        "objectives": _objectives(plan, trial),
        "parameters": trial.params,
        "validation": trial.result.get("metrics", {}),
        "curve": [{"epoch": epoch, "score": score} for epoch, score in trial.curve.items()],
        "epochs": {"best": trial.result.get("best_epoch"), "trained": _epochs(trial)},
        "seconds": trial.result.get("seconds"),
        "trained_by": trial.result.get("path"),
        "seed": trial.seed,
        "attempt": trial.attempt,
        "inherited": trial.inherited or None,
        "started": trial.started,
        "finished": trial.finished,
        "worker": worker(trial) or None,
        "environment": trial.environment,
    }


def _objectives(plan: StudyPlan, trial: Trial) -> dict[str, float]:
    names = [objective.name for objective in plan.objectives]
    return dict(zip(names, trial.values, strict=False))


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list) else value


def _epochs(trial: Trial) -> Any:
    return trial.result.get("epochs", len(trial.curve) or None)


def trials_csv(plan: StudyPlan, trials: list[Trial]) -> str:
    """One row a trial: slot, state, score, parameters, metrics, seed, epochs, seconds, reason.

    The score is the value of the first objective; each further one has a column of its own.
    """
    parameters = list(plan.space)
    further = [objective.name for objective in plan.objectives[1:]]
    metrics = sorted({name for trial in trials for name in trial.result.get("metrics", {})})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "trial",
            "state",
            "score",
            *further,
            *parameters,
            *metrics,
            "seed",
            "attempt",
            "best_epoch",
            "epochs",
            "seconds",
            "reason",
        ]
    )
    for trial in trials:
        found = trial.result.get("metrics", {})
        writer.writerow(
            [
                trial.slot,
                trial.state,
                cell(trial.score),
                *(cell(value) for value in _further(trial, len(further))),
                *(cell(trial.params.get(name)) for name in parameters),
                *(cell(found.get(name)) for name in metrics),
                cell(trial.seed),
                trial.attempt,
                cell(trial.result.get("best_epoch")),
                cell(_epochs(trial)),
                cell(trial.result.get("seconds")),
                reason(trial),
            ]
        )
    return buffer.getvalue()


def _further(trial: Trial, count: int) -> list[float | None]:
    """Values of the objectives after the first; a trial that did not end well has none."""
    return [*trial.values[1:], *[None] * count][:count]
