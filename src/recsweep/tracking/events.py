"""The events that trackers are given: plain data, to and from JSON, made of what a store holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsweep.common.files import content_hash, to_plain

if TYPE_CHECKING:  # a tracker's process needs none of the store
    from recsweep.study import StudyRecord

_ID_LENGTH = 16


@dataclass(frozen=True)
class StudyName:
    """A study as trackers know it.

    Attributes:
        id: the same as long as it is the same study, whatever it is called and wherever it is kept; another
            one for a study that was begun anew.
        study: its name in the store.
    """

    id: str
    study: str
    sweep: str
    dataset: str
    model: str
    phase: str
    metric: str
    maximize: bool

    @classmethod
    def of(cls, record: StudyRecord) -> StudyName:
        parts = (record.sweep_name, record.dataset_name, record.model_name, record.phase)
        made = [*parts, record.begun and record.begun.isoformat(), dict(record.definition)]
        id_ = content_hash(to_plain(made))[:_ID_LENGTH]
        return cls(id_, record.study, *parts, record.metric, record.maximize)

    @property
    def folder(self) -> str:
        """A folder of its own below those of its data set and model."""
        return f"{self.dataset}/{self.model}/{self.phase}-{self.id[:6]}"

    @property
    def group(self) -> str:
        """The name of all of its runs together, for people."""
        return f"{self.sweep}/{self.dataset}/{self.model}/{self.phase}"


@dataclass(frozen=True)
class RunName:
    """A slot of a study: one run in a tracker, whatever is tried in it."""

    study: StudyName
    slot: int

    @property
    def id(self) -> str:
        """The same for every attempt at the slot."""
        return f"{self.study.id}-{self.slot:05d}"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.study.model} {self.study.dataset} trial {self.slot}"


@dataclass(frozen=True)
class Begun:
    """A trial was begun."""

    run: RunName
    attempt: int
    params: dict[str, Any]
    seed: int | None
    environment: dict[str, Any]
    """Versions, commit and device."""
    time: float
    inherited: str = ""
    """The phase that it was trained in, where that is another one."""


@dataclass(frozen=True)
class Epoch:
    """An epoch was validated."""

    run: RunName
    attempt: int
    epoch: int
    metrics: dict[str, float]
    time: float


@dataclass(frozen=True)
class Ended:
    """A trial is over.

    Attributes:
        counted: it fills its slot; else the slot waits again, and its run goes on.
        reason: why it failed or was stopped early, in a word; empty for one that is complete.
        message: the same for people.
        checkpoint: where its weights are; empty where none are kept.
    """

    run: RunName
    attempt: int
    params: dict[str, Any]
    seed: int | None
    environment: dict[str, Any]
    counted: bool
    state: str
    reason: str
    message: str
    score: float | None
    metrics: dict[str, float]
    best_epoch: int | None
    epochs: int | None
    seconds: float | None
    path: str
    checkpoint: str
    time: float


@dataclass(frozen=True)
class Summary:
    """A study as far as it is.

    Attributes:
        mark: what it sums up, in a word; another one when anything has changed.
        state: `finished` or `not finished`.
        history: slot, score and best until then, in the order of the slots.
        importance: of each parameter, by objective; empty where it cannot be said.
        rows: of its final table, a row a trial.
        parallel: parallel coordinates, a PNG in base64; empty where there is nothing to draw.
    """

    study: StudyName
    mark: str
    state: str
    ended_by: str
    budget: int
    counts: dict[str, int]
    best: dict[str, Any]
    history: list[list[float | int | None]]
    importance: dict[str, dict[str, float]]
    rows: list[dict[str, Any]]
    parallel: str
    time: float


@dataclass(frozen=True)
class Tested:
    """The winner of a study was evaluated on the test split."""

    run: RunName
    metrics: dict[str, float]
    time: float


Event = Begun | Epoch | Ended | Summary | Tested
_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Begun, Epoch, Ended, Summary, Tested)
}


def kind_of(event: Event) -> str:
    """The kind in a word: `begun`, `epoch`, `ended`, `summary`, `tested`."""
    return type(event).__name__.lower()


def to_json(event: Event) -> dict[str, Any]:
    """Plain, with the kind in it."""
    return {"kind": kind_of(event), **to_plain(event)}


def from_json(plain: Mapping[str, Any]) -> Event:
    """From what `to_json` gives."""
    parts = dict(plain)
    kind = _KINDS[parts.pop("kind")]
    if "run" in parts:
        run = parts["run"]
        parts["run"] = RunName(StudyName(**run["study"]), run["slot"])
    else:
        parts["study"] = StudyName(**parts["study"])
    event: Event = kind(**parts)
    return event


def study_of(event: Event) -> StudyName:
    """The study that an event is of."""
    return event.study if isinstance(event, Summary) else event.run.study


def mark_of(event: Event) -> str:
    """A word that no other event of the study has, and the same event always has."""
    match event:
        case Begun(run, attempt):
            return f"begun-{run.slot}.{attempt}"
        case Epoch(run, _, epoch):
            return f"epoch-{run.slot}.{epoch}"  # attempts see the same: a trial is a pure function
        case Ended(run, attempt):
            return f"ended-{run.slot}.{attempt}"
        case Summary(_, mark):
            return f"summary-{mark}"
        case Tested(run):
            return f"tested-{run.slot}"
