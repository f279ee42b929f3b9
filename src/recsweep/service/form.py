"""The form for a job: its fields with the defaults, the choices and the words of the request itself."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

from recsweep.service.request import KEYS, JobRequest
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import facts

_SHOWN = {
    "metric_name": "Metric",
    "num_samples": "Trials of each study",
    "max_concurrent_trials": "Trials at once",
    "algo": "How parameters are proposed",
    "pruner": "Rule that stops poor trials early",
    "epochs": "Most epochs of a trial",
    "patience": "Validations without progress",
    "seed": "Seed",
}


@dataclass(frozen=True)
class FormField:
    """One field of the form."""

    name: str
    label: str
    default: Any
    help: str
    choices: tuple[str, ...]
    is_number: bool
    least: float | None


def fields() -> list[FormField]:
    """The fields beside name, model, data set and space."""
    return [_field(name, label) for name, label in _SHOWN.items()]


def _field(name: str, label: str) -> FormField:
    asked, facts_of = JobRequest.model_fields[name], facts(SweepConfig, KEYS[name])
    choices = tuple(facts_of.choices) or _words(asked.annotation)
    least = facts_of.span[0] if facts_of.span else None
    told = (asked.description or "").replace("`", "")
    return FormField(name, label, asked.default, told, choices, isinstance(asked.default, int), least)


def _words(kind: Any) -> tuple[str, ...]:
    return tuple(map(str, typing.get_args(kind))) if typing.get_origin(kind) is typing.Literal else ()
