"""Jobs of a service in words: rows, facts, the line that is watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recsweep.common.escape import short
from recsweep.looking.listing import markdown
from recsweep.running.watch import duration

if TYPE_CHECKING:
    from recsweep.service.answers import JobAnswer, JobSummary

_SHOWN_TRIALS = 20


def as_table(jobs: Sequence[JobSummary]) -> str:
    """Jobs as a Markdown table."""
    rows = [
        {
            "id": job.id,
            "name": job.name,
            "state": str(job.status),
            "data sets": ", ".join(job.datasets),
            "models": ", ".join(job.models),
            "trials": "" if job.trials_total is None else str(job.trials_total),
            "made": f"{job.created:%Y-%m-%d %H:%M} UTC",
        }
        for job in jobs
    ]
    return markdown(rows, ("trials",))


def one_line(job: JobSummary) -> str:
    """A job and its state."""
    return f"{job.id} is {job.status}"


def line_of(job: JobAnswer) -> str:
    """How far a job is, in one line."""
    done = job.progress
    parts = [f"{job.name}: {job.status}", f"{done.done} of {done.total or '?'} trials"]
    parts += [f"{number} {word}" for word in ("running", "failed") if (number := getattr(done, word))]
    if job.best is not None:
        parts.append(f"best {job.metric_name} {short(job.best.score)} (trial {job.best.slot})")
    if job.eta_seconds:
        parts.append(f"{duration(job.eta_seconds)} left")
    return ", ".join(parts)


def facts_of(job: JobAnswer) -> tuple[list[str], str]:
    """All of a job in lines, and its best trials as a Markdown table."""
    facts = {
        "job": job.id,
        "state": line_of(job),
        "data sets": ", ".join(job.datasets),
        "models": ", ".join(job.models),
        "search": f"{job.engine}, {job.algo}, {job.num_samples} trials each, by {job.metric_name}",
        "can be asked": ", ".join(job.allowed),
        "error": job.error or "",
    }
    facts |= {f"best of {study.study}": _best(study.best) for study in job.studies if study.best is not None}
    return [f"{name}: {value}" for name, value in facts.items() if value], _trials(job)


def _best(best: Any) -> str:
    return f"{short(best.score)} (trial {best.slot}): {_params(best.params)}"


def _params(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {short(value) if isinstance(value, float) else value}" for name, value in params.items()
    )


def _trials(job: JobAnswer) -> str:
    """The last trials."""
    rows = [
        {
            "study": trial.study,
            "trial": str(trial.slot),
            "state": trial.state,
            job.metric_name: "" if trial.score is None else short(trial.score),
            "epochs": "" if trial.epochs is None else str(trial.epochs),
            "parameters": _params(trial.params),
        }
        for trial in job.trials[-_SHOWN_TRIALS:]
    ]
    return markdown(rows, ("trial", job.metric_name, "epochs"))
