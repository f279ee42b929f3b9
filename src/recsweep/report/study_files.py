"""The files of one study, made from the store alone."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

from recsweep.common.files import counted, to_plain, write_json, write_text, write_yaml
from recsweep.planning.lineage import training_of
from recsweep.recbole_api.settings import FROM_EPOCH, PROTOCOL, recorded
from recsweep.report import energy
from recsweep.report.evidence_files import write_evidence
from recsweep.report.pareto import pareto_csv, pareto_front, pareto_markdown
from recsweep.report.results import FINISHED, StudyResult
from recsweep.report.summary_notes import protocol_of
from recsweep.report.text import cell, reason, worker
from recsweep.search.stopping import MAX_EVALS
from recsweep.study import StudyRecord, Trial
from recsweep.sweeps.config import WHOLE

_CONFIG_HEADER = """The best configuration that the sweep found for {label}{so_far}, complete.
Train with it:  recsweep train --config {path}
RecBole reads it too (config_file_list=[...]); it knows no `time_order` and uses its own rounding."""
_NO_FOLDER = "\nThe store does not say where the data are: write the folder that theirs is in as `data_path`."

_SCHEDULED = (
    "\nNor does it know a `schedule`: it would train to the end with what holds from the first epoch on."
)


def write_study(result: StudyResult) -> None:
    """Write best_result.yaml, best_config.yaml, best_params.json, trials.csv and study_results.json.

    Where there are several objectives, pareto.csv and pareto.md too.
    """
    record, winner = result.record, result.winner
    outputs, names = result.outputs, record.folder_names
    write_text(outputs.trials(*names), trials_csv(record, result.trials))
    write_json(outputs.study_results(*names), study_results(result))
    if len(record.objectives) > 1:
        write_text(outputs.pareto("csv", *names), pareto_csv(record, result.trials))
        write_text(outputs.pareto("md", *names), pareto_markdown(record, result.trials, _so_far(result)))
    if winner is None:
        return
    config_path = outputs.best_config(*names)
    header = _CONFIG_HEADER.format(label=record.label, so_far=_so_far(result), path=config_path)
    header += "" if record.knows_its_data else _NO_FOLDER
    settings, changes = training_of(record, winner)
    header += _SCHEDULED if changes else ""
    settings = {**settings, PROTOCOL: protocol_of(result)}
    write_yaml(config_path, recorded(settings, changes, record.hashes), header)
    write_json(outputs.best_params(*names), result.parameters)
    # Last: it is what the pipeline takes as the sign that a study is done.
    write_yaml(outputs.best_result(*names), best_result(result))
    if result.evidence:  # the pipeline makes it of that
        write_evidence(result)


def _so_far(result: StudyResult) -> str:
    """` in 13 of 18 trials, not finished`; empty for a study that is."""
    if result.state == FINISHED:
        return ""
    return f" in {result.trained} of {counted(result.budget, 'trial')}, {result.state}"


def best_result(result: StudyResult) -> dict[str, Any]:
    """The content of best_result.yaml.

    It is long, as it lists all of it.
    """
    record, winner = result.record, result.winner
    if winner is None:
        raise ValueError(f"study {record.name} has no winner")
    plain: dict[str, Any] = to_plain(
        {
            "sweep": record.sweep_name,
            "dataset": record.dataset_name,
            "model": record.model_name,
            "study": record.name,
            "protocol": protocol_of(result),
            "metric": record.evaluation.metric,
            "score": winner.score,
            **({"objectives": _objectives(record, winner)} if len(record.objectives) > 1 else {}),
            "parameters": result.parameters,
            "validation": winner.result.metrics,
            "test": result.test,
            **({"evidence": result.best_evidence.plain()} if result.best_evidence else {}),
            "trial": winner.slot,
            "seed": winner.seed,
            "epochs": {"best": winner.result.best_epoch, "trained": winner.result.epochs},
            "state": result.state,
            "budget": _counts(result),
            **({"inherited": winner.inherited} if winner.inherited else {}),
            **({"lineage": winner.result.lineage} if winner.result.lineage else {}),
            "search": _search(record),
            "content": {"study": record.content_hash, "data": dict(record.hashes)},
            "environment": _environment(winner),
            **({"sharing": result.sharing} if result.sharing else {}),
            **_took(winner, result),
        }
    )
    return plain


def _took(winner: Trial, result: StudyResult) -> dict[str, Any]:
    """Seconds of the best trial and of all of them, and their energy where somebody measured it."""
    own, every = winner.result, round(result.seconds, 3)
    durations = {"best_trial_seconds": own.seconds, "all_trials_seconds": every}
    if result.energy is None:
        return {"durations": durations}
    best = {} if own.energy is None else {"best_trial_kwh": energy.digits(own.energy.kwh)}
    return {"durations": durations, "energy": {**best, **result.energy.plain("all_trials_")}}


def _search(record: StudyRecord) -> dict[str, Any]:
    pruner = record.pruning.pruner
    return {
        "engine": record.search.engine,
        "algo": record.search.algo,
        **({"phase": record.phase, "searched": list(record.space)} if record.phase != WHOLE else {}),
        **({"pruner": pruner} if pruner != "none" else {}),
        "sweep_seed": record.seed,
    }


def _environment(winner: Trial) -> dict[str, Any]:
    environment: Mapping[str, Any] = winner.environment
    return {
        "versions": environment.get("versions", {}),
        "commit": environment.get("commit"),
        "repository": environment.get("repository"),
        "hardware": environment.get("hardware", {}),
        "device": environment.get("device"),
        "threads": environment.get("threads"),
        "trained_by": winner.result.path,
    }


def study_results(result: StudyResult) -> dict[str, Any]:
    """The content of study_results.json: every counted trial with all that the store knows of it.

    It is strict JSON: a number that is none (NaN, infinity) is null.
    """
    record, winner = result.record, result.winner
    content: dict[str, Any] = {
        "study": record.name,
        "sweep": record.sweep_name,
        "dataset": record.dataset_name,
        "model": record.model_name,
        "phase": record.phase,
        "content": record.content_hash,
        "objectives": [
            {"name": objective.name, "better": "more" if objective.maximize else "less"}
            for objective in record.objectives
        ],
        "state": result.state,
        "budget": _counts(result),
        "best_trial": winner.slot if winner else None,
    }
    if len(record.objectives) > 1:
        content["pareto_front"] = [trial.slot for trial in pareto_front(result.trials, record.objectives)]
    content["trials"] = [_everything(record, trial) for trial in result.trials]
    strict: dict[str, Any] = _strict(to_plain(content))
    return strict


def _counts(result: StudyResult) -> dict[str, Any]:
    """How the budget was spent. What is as it was before there was a choice is left out."""
    inherited = len(result.trials) - result.trained
    counts: dict[str, Any] = {
        "trials": result.budget,
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


def _everything(record: StudyRecord, trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.slot,
        "state": trial.state,
        "reason": reason(trial) or None,
        "score": trial.score,
        "objectives": _objectives(record, trial),
        "parameters": trial.params,
        "validation": trial.result.metrics,
        "curve": [{"epoch": epoch, "score": score} for epoch, score in trial.curve.items()],
        "epochs": {"best": trial.result.best_epoch, "trained": _epochs(trial)},
        "seconds": trial.result.seconds,
        "trained_by": trial.result.path,
        "seed": trial.seed,
        "attempt": trial.attempt,
        "inherited": trial.inherited,
        **({"lineage": trial.result.lineage} if trial.result.lineage else {}),
        **({"energy": trial.result.energy} if trial.result.energy else {}),
        "started": trial.started,
        "finished": trial.finished,
        "worker": worker(trial) or None,
        "environment": trial.environment,
    }


def _objectives(record: StudyRecord, trial: Trial) -> dict[str, float]:
    names = [objective.name for objective in record.objectives]
    return dict(zip(names, trial.values, strict=False))


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list) else value


def _epochs(trial: Trial) -> Any:
    epochs = trial.result.epochs
    return epochs if epochs is not None else len(trial.curve) or None


def trials_csv(record: StudyRecord, trials: list[Trial]) -> str:
    """One row a trial: slot, state, score, parameters, metrics, seed, epochs, seconds, reason, energy.

    The score is the value of the first objective; each further one has a column of its own. Where a trial
    took up the weights of another one: whose, and from which epoch on.
    """
    parameters = list(record.space)
    further = [objective.name for objective in record.objectives[1:]]
    metrics = sorted({name for trial in trials for name in trial.result.metrics})
    last = ("seed", "attempt", "best_epoch", "epochs", "seconds", "reason")
    origin = ("parent", FROM_EPOCH) if any(trial.result.lineage for trial in trials) else ()
    took = energy.columns([trial.result.energy for trial in trials])
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["trial", "state", "score", *further, *parameters, *metrics, *origin, *last, *took])
    for trial in trials:
        found = trial.result.metrics
        first = (trial.slot, trial.state, cell(trial.score), *map(cell, _further(trial, len(further))))
        searched = (cell(trial.params.get(name)) for name in parameters)
        named = (cell(found.get(name)) for name in metrics)
        ends = (*_last(trial), *energy.cells(None if trial.inherited else trial.result.energy, took))
        writer.writerow([*first, *searched, *named, *(_origin(trial) if origin else ()), *ends])
    return buffer.getvalue()


def _origin(trial: Trial) -> tuple[str, str]:
    lineage = trial.result.lineage
    parent = lineage.parent(trial.slot) if lineage is not None else None
    return ("", "") if parent is None else (str(parent[0]), str(parent[1]))


def _last(trial: Trial) -> tuple[Any, ...]:
    result = trial.result
    best, seconds = cell(result.best_epoch), cell(result.seconds)
    return cell(trial.seed), trial.attempt, best, cell(_epochs(trial)), seconds, reason(trial)


def _further(trial: Trial, count: int) -> list[float | None]:
    """Values of the objectives after the first; a trial that did not end well has none."""
    return [*trial.values[1:], *[None] * count][:count]
