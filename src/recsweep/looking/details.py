"""One study in full, as its record and its trials tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recsweep.common.files import dump_yaml
from recsweep.looking.listing import Row, markdown, score_text, time_text
from recsweep.study.record import SEARCH
from recsweep.study.states import State
from recsweep.study.trial import Trial

if TYPE_CHECKING:
    from recsweep.report.evidence import EvidenceResult

BEST = 5
"""Trials that are shown of a study."""


def everything(row: Row, trials: Sequence[Trial], evidence: Sequence[EvidenceResult] = ()) -> dict[str, Any]:
    """A study as plain JSON: its record, how far it is, its counted trials, and the evidence of its best."""
    return {
        **row.plain(),
        "record": row.record.to_json(),
        "trials_found": [trial_row(trial) for trial in trials],
        **({"evidence": [one.plain() for one in evidence]} if evidence else {}),
    }


def trial_row(trial: Trial) -> dict[str, Any]:
    """A trial as plain values, its parameters by name."""
    result, failure = trial.result, trial.failure
    return {
        "slot": trial.slot,
        "state": str(trial.state),
        "score": trial.score,
        "values": list(trial.values),
        "params": dict(trial.params),
        "metrics": result.metrics,
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "energy": result.energy.to_dict() if result.energy else None,
        "path": result.path,
        "seed": trial.seed,
        "attempt": trial.attempt,
        "inherited": trial.inherited.to_dict() if trial.inherited else None,
        "reason": failure.to_dict() if failure else None,
        "curve": trial.curve,
        **({"test": result.test} if result.test is not None else {}),
    }


def facts(row: Row, evidence: Sequence[EvidenceResult] = ()) -> dict[str, Any]:
    """The answers to what a person asks of a study first; what nobody has said is left out."""
    record, details = row.record, row.record.details
    searches = record.kind == SEARCH
    winner = details.winner if searches else None
    pruned = "" if record.pruner == "none" else f", {record.pruner}"
    told = {
        "study": record.study,
        "state": f"{row.state}, {row.trained} of {row.budget} trials{_apart(row)}",
        "ended by": record.ended_by,
        "begun": time_text(record.begun),
        "ended": time_text(record.ended),
        "sweep": record.sweep_name,
        "data set": record.dataset_name,
        "model": ", ".join((record.model_name, *(m for m in record.models if m != record.model_name))),
        "phase": f"{record.phase} of {', '.join(record.chain)}" if searches and record.chain[1:] else "",
        "search": f"{record.engine}/{record.algo}{pruned}" if searches else "",
        "kind": "" if searches else f"{record.kind}: its trials are no search's",
        "objectives": ", ".join(one.name for one in record.objectives),
        "data": {**details.counts, **{name: value[:12] for name, value in record.hashes.items()}},
        "seed": record.seed,
        "limits": _limits(row),
        "budget": [f"{change.to} by {change.by}, {change.at}" for change in details.history],
        "begun by": _maker(row),
        "best": None if winner is None else f"trial {winner.slot}, {score_text(winner.score)} on validation",
        "parameters": record.complete(winner.params) if winner is not None else None,
        "test": dict(record.test),
        "evidence": _over_seeds(evidence),
    }
    return {name: value for name, value in told.items() if value not in ("", None, {}, [])}


def _over_seeds(evidence: Sequence[EvidenceResult]) -> dict[str, Any]:
    """The searched metric of each configuration over seeds, on validation and on test."""
    return {
        f"trial {one.configuration.slot}": {
            found.part: found.text() for found in one.measures if found.metric == one.metric
        }
        for one in evidence
    }


def text(row: Row, trials: Sequence[Trial], evidence: Sequence[EvidenceResult] = ()) -> str:
    """A study for people: its facts, its best trials."""
    scored = [trial for trial in trials if trial.score is not None]
    done = [trial for trial in scored if trial.state == State.COMPLETE] or scored
    sign = -1 if row.record.maximize else 1
    best = sorted(done, key=lambda trial: (sign * (trial.score or 0.0), trial.slot))[:BEST]
    rows = [
        {
            "trial": str(trial.slot),
            row.record.metric: score_text(trial.score),
            "parameters": ", ".join(f"{name} {value}" for name, value in trial.params.items()),
        }
        for trial in best
    ]
    table = markdown(rows, right=("trial", row.record.metric))
    return dump_yaml(facts(row, evidence)) + (f"\n{table}\n" if table else "")


def _apart(row: Row) -> str:
    tally = row.tally
    counts = {"pruned": tally.pruned, "failed": tally.failed, "running": tally.running}
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return f" ({told})" if told else ""


def _limits(row: Row) -> str:
    apart = row.record.details.apart
    limits = {
        "trials without a better one": apart.no_improvement_after,
        "minutes of the study": apart.timeout_minutes,
        "minutes of the sweep": apart.sweep_timeout_minutes,
    }
    return ", ".join(f"{value:g} {name}" for name, value in limits.items() if value is not None)


def _maker(row: Row) -> str:
    maker = row.record.details.maker
    if not maker.recsweep:
        return ""
    own = f"recsweep {maker.recsweep}" + (f" ({maker.commit[:12]})" if maker.commit else "")
    repository = maker.repository
    if not repository:
        return own
    changed = ", with changes" if repository.get("changes") else ""
    return f"{own}, in {repository.get('name')} at {str(repository.get('commit'))[:12]}{changed}"
