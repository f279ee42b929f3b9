"""The form for a job: its fields with the defaults, the choices and the words of the request itself."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic.fields import FieldInfo

from recsweep.service.request import KEYS, JobRequest, Limits, default_engine
from recsweep.sweeps import engine_table
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.engine_table import ENGINES
from recsweep.sweeps.fields import Facts, facts
from recsweep.sweeps.scheduler_table import NO_SCHEDULER

_SEARCH = {
    "metric_name": "Metric",
    "num_samples": "Trials of each study",
    "max_concurrent_trials": "Trials at once",
    "engine": "Engine",
    "algo": "How parameters are proposed",
    "scheduler": "Ray Tune's scheduler",
    "pruner": "Rule that stops poor trials early",
    "seed": "Seed",
}
_TRAINING = {
    "epochs": "Most epochs of a trial",
    "patience": "Validations without progress",
    "batch_size": "Training samples in a batch",
}
_LIMITS = {
    "limits.timeout_minutes": "Minutes of a study",
    "limits.sweep_timeout_minutes": "Minutes of the job",
    "limits.trial_timeout_minutes": "Minutes of a trial",
    "limits.no_improvement_after": "Trials without a better one",
}
_UNLIMITED = "no limit"


@dataclass(frozen=True)
class FormField:
    """One field of the form.

    Attributes:
        name: in the request; dotted where it stands in an object.
        empty: words for leaving it out; empty: it is never left out.
        engines: those that have a choice, by choices which not all have.
        left_out: the choice that leaving it out comes to.
    """

    name: str
    label: str
    default: Any
    help: str
    choices: tuple[str, ...]
    is_number: bool
    empty: str = ""
    engines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: str = ""

    @property
    def id(self) -> str:
        """A name that a page can have once."""
        return self.name.replace(".", "-")


def sections() -> dict[str, list[FormField]]:
    """The fields beside name, models, data sets and spaces, by the headings that they stand under."""
    named = {"The search": _SEARCH, "The training": _TRAINING, "Limits": _LIMITS}
    return {
        heading: [one for name, label in names.items() if (one := _field(name, label)) is not None]
        for heading, names in named.items()
    }


def _field(name: str, label: str) -> FormField | None:
    """A field; None for one that leaves no choice."""
    asked, key = _asked(name), facts(SweepConfig, KEYS[name]) if name in KEYS else Facts()
    choices = tuple(key.choices) or _words(asked.annotation)
    if len(choices) == 1:
        return None
    told = (asked.description or "").replace("`", "")
    empty = left_out = ""
    if name == "engine":
        left_out = default_engine()
    if asked.default is None:
        empty = f"the one that is here: {default_engine()}" if choices else _UNLIMITED
    default = "" if asked.default is None else asked.default
    engines = {choice: _engines(name, choice) for choice in choices}
    only = {choice: found for choice, found in engines.items() if found != tuple(ENGINES)}
    return FormField(name, label, default, told, choices, "number" in key.kind, empty, only, left_out)


def _engines(name: str, choice: str) -> tuple[str, ...]:
    """The engines with which a choice of a field can be taken."""
    if name == "algo":
        return engine_table.having(choice)
    if name == "scheduler" and choice != NO_SCHEDULER:
        return (engine_table.RAY,)
    return tuple(ENGINES)


def _asked(name: str) -> FieldInfo:
    model, last = (Limits, name.partition(".")[2]) if "." in name else (JobRequest, name)
    return model.model_fields[last]


def _words(kind: Any) -> tuple[str, ...]:
    return tuple(map(str, typing.get_args(kind))) if typing.get_origin(kind) is typing.Literal else ()
