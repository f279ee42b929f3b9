"""The form for a job: its fields with the defaults, the choices and the words of the request itself."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from recsweep.service.request import KEYS, JobRequest, Limits, default_engine
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import Facts, facts

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
    """

    name: str
    label: str
    default: Any
    help: str
    choices: tuple[str, ...]
    is_number: bool
    empty: str = ""

    @property
    def id(self) -> str:
        """A name that a page can have once."""
        return self.name.replace(".", "-")


def sections() -> dict[str, list[FormField]]:
    """The fields beside name, models, data sets and spaces, by the headings that they stand under."""
    named = {"The search": _SEARCH, "The training": _TRAINING, "Limits": _LIMITS}
    return {
        heading: [field for name, label in names.items() if (field := _field(name, label)) is not None]
        for heading, names in named.items()
    }


def _field(name: str, label: str) -> FormField | None:
    """A field; None for one that leaves no choice."""
    asked, key = _asked(name), facts(SweepConfig, KEYS[name]) if name in KEYS else Facts()
    choices = tuple(key.choices) or _words(asked.annotation)
    if len(choices) == 1:
        return None
    told = (asked.description or "").replace("`", "")
    empty = ""
    if asked.default is None:
        empty = f"the one that is here: {default_engine()}" if choices else _UNLIMITED
    default = "" if asked.default is None else asked.default
    return FormField(name, label, default, told, choices, "number" in key.kind, empty)


def _asked(name: str) -> FieldInfo:
    model, last = (Limits, name.partition(".")[2]) if "." in name else (JobRequest, name)
    return model.model_fields[last]


def _words(kind: Any) -> tuple[str, ...]:
    return tuple(map(str, typing.get_args(kind))) if typing.get_origin(kind) is typing.Literal else ()
