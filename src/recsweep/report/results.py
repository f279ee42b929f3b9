"""The four files of one study, made from the store alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsweep.files import to_plain, write_json, write_text, write_yaml
from recsweep.plan import StudyPlan
from recsweep.study import Study, Trial, best

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

    @property
    def failed(self) -> int:
        return sum(trial.state == "failed" for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Training time of all counted trials."""
        return sum(float(trial.result.get("seconds", 0.0)) for trial in self.trials)


def read_result(plan: StudyPlan, study: Study) -> StudyResult:
    """A study's result as the store has it."""
    trials = study.results()
    winner = best(trials, maximize=plan.maximize)
    return StudyResult(plan, trials, winner, study.test_metrics(winner) if winner else None)


def write_study(result: StudyResult) -> None:
    """Write best_result.yaml, best_config.yaml, best_params.json and trials.csv."""
    plan, winner = result.plan, result.winner
    outputs, names = plan.outputs, (plan.dataset_name, plan.model_name)
    write_text(outputs.trials(*names), trials_csv(plan, result.trials))
    if winner is None:
        return
    config_path = outputs.best_config(*names)
    header = _CONFIG_HEADER.format(label=plan.label, path=config_path)
    write_yaml(config_path, plan.settings(winner.params, winner.seed or 0), header)
    write_json(outputs.best_params(*names), winner.params)
    # Last: it is what the pipeline takes as the sign that a study is done.
    write_yaml(outputs.best_result(*names), best_result(result))


def best_result(result: StudyResult) -> dict[str, Any]:
    """The content of best_result.yaml."""
    plan, winner = result.plan, result.winner
    if winner is None:
        raise ValueError(f"study {plan.name} has no winner")
    environment: Mapping[str, Any] = winner.environment
    plain: dict[str, Any] = to_plain(
        {
            "sweep": plan.sweep.sweep,
            "dataset": plan.dataset_name,
            "model": plan.model_name,
            "study": plan.name,
            "metric": plan.sweep.evaluation.metric,
            "score": winner.score,
            "parameters": winner.params,
            "validation": winner.result.get("metrics", {}),
            "test": result.test,
            "trial": winner.slot,
            "seed": winner.seed,
            "epochs": {"best": winner.result.get("best_epoch"), "trained": winner.result.get("epochs")},
            "budget": {"trials": plan.budget, "counted": len(result.trials), "failed": result.failed},
            "search": {
                "engine": plan.sweep.search.engine,
                "algo": plan.sweep.search.algo,
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


def trials_csv(plan: StudyPlan, trials: list[Trial]) -> str:
    """One row a trial: slot, state, score, parameters, metrics, seed, epochs, seconds, reason."""
    parameters = list(plan.model.space)
    metrics = sorted({name for trial in trials for name in trial.result.get("metrics", {})})
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "trial",
            "state",
            "score",
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
                _cell(trial.score),
                *(_cell(trial.params.get(name)) for name in parameters),
                *(_cell(found.get(name)) for name in metrics),
                _cell(trial.seed),
                trial.attempt,
                _cell(trial.result.get("best_epoch")),
                _cell(trial.result.get("epochs", len(trial.curve) or None)),
                _cell(trial.result.get("seconds")),
                _reason(trial),
            ]
        )
    return buffer.getvalue()


def _reason(trial: Trial) -> str:
    if not trial.failure:
        return ""
    return f"{trial.failure.get('kind')}: {trial.failure.get('message')}"


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list | dict | bool) else value
