"""The answers of the service, as types: what the OpenAPI document says of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recsweep.service.request import JobRequest
from recsweep.service.states import JobStatus


class Answer(BaseModel):
    """Whatever is answered."""

    model_config = ConfigDict(extra="forbid")


class Progress(Answer):
    """How far a job is, in trials."""

    done: int
    total: int | None
    running: int
    failed: int
    pruned: int
    share: float | None = Field(description="Of its trials, 0 to 1; a limit may end it before.")


class Curve(Answer):
    """A validation of a trial."""

    epoch: int
    score: float | None


class TrialEnergy(Answer):
    """The energy of a trial, and what follows from it."""

    kwh: float
    co2_g: float = Field(description="Grams of CO2-equivalent.")
    read: str = Field(description="Where: `rapl`, `nvml`, `estimate`, several with a `+` between them.")
    estimated: bool = Field(description="A part of it could not be read.")
    cost: float | None = Field(None, description="In the currency of the sweep's price.")


class TrialAnswer(Answer):
    """A trial: one that fills its slot, or runs."""

    slot: int
    study: str = Field(description="Data set, model and phase: `ml-100k/SASRec`.")
    state: str = Field(description="`running`, `complete`, `pruned` or `failed`.")
    params: dict[str, Any]
    metrics: dict[str, float | None]
    score: float | None
    epochs: int | None
    best_epoch: int | None
    seconds: float | None
    seed: int | None
    attempt: int
    reason: str | None = Field(description="Why it failed or was pruned.")
    inherited: str | None = Field(description="The phase and slot whose result it has.")
    path: str | None = Field(description="Whose code trained it.")
    energy: TrialEnergy | None = Field(description="That it took; null where nobody measured it.")


class TrialWithCurve(TrialAnswer):
    """A trial with its validations."""

    curve: list[Curve]


class BestAnswer(Answer):
    """The best trial, by validation."""

    study: str
    slot: int
    score: float
    params: dict[str, Any]
    metrics: dict[str, float | None]
    test: dict[str, float | None] | None = Field(description="On the test split, once its study has ended.")


class StudyAnswer(Answer):
    """One search of a job: a data set, a model, a phase."""

    study: str
    dataset: str
    model: str
    phase: str
    state: str
    trials: int
    of: int
    metric: str
    best: BestAnswer | None
    ended_by: str | None


class JobSummary(Answer):
    """A job without its trials."""

    id: str
    name: str
    status: JobStatus
    engine: str
    algo: str
    models: list[str]
    datasets: list[str]
    metric_name: str
    num_samples: int
    trials_total: int | None
    created: datetime
    queued: datetime | None
    started: datetime | None
    ended: datetime | None
    error: str | None
    allowed: list[str] = Field(description="What can be asked of it now: start, cancel, resume, delete.")


class ListedJob(JobSummary):
    """A job in a list."""

    progress: Progress
    best_score: float | None = Field(
        description="Of studies that have ended, and of a job that runs; null where data sets are several."
    )


class JobAnswer(JobSummary):
    """A job with all that is known of it."""

    request: JobRequest
    progress: Progress
    eta_seconds: float | None = Field(description="Until its trials are done, as fast as they were so far.")
    best: BestAnswer | None = Field(
        description="Of all its studies; null where they are on several data sets."
    )
    studies: list[StudyAnswer]
    trials: list[TrialAnswer] = Field(
        description="The last fifty, study by study and slot by slot; `/trials` pages through all."
    )
    trials_before: str | None = Field(
        description="The `before` of the page of `/trials` with those before; null: there are none."
    )


class JobPage(Answer):
    """A page of jobs, the newest first."""

    jobs: list[ListedJob]
    next: str | None = Field(description="The `after` of the next page; null: there is none.")


class TrialPage(Answer):
    """A page of trials."""

    trials: list[TrialAnswer]
    next: str | None = Field(description="The `after` of the page behind; null: there is none.")
    previous: str | None = Field(description="The `before` of the page before; null: there is none.")


class Kind(StrEnum):
    """The use of a file of a job."""

    RESULT = "result"
    WEIGHTS = "weights"
    """A model that was trained: large, and made again by `recsweep train`."""
    LOG = "log"
    OTHER = "other"


class Artifact(Answer):
    """A file of a job."""

    path: str
    kind: Kind = Field(description="`weights` are large: who wants the results alone leaves them out.")
    bytes: int
    modified: datetime


class Artifacts(Answer):
    """The files of a job."""

    artifacts: list[Artifact]
    complete: bool = Field(description="False where there are more than are listed.")


class PlannedStudy(Answer):
    """A search that would run."""

    study: str
    dataset: str
    model: str
    phase: str
    trials: int
    space: dict[str, Any]
    defaults: dict[str, Any]
    definition: str = Field(description="Its content hash: studies with the same one have the same trials.")


class Plan(Answer):
    """A dry run: what would run."""

    engine: str
    algo: str
    trials: int
    studies: list[PlannedStudy]
    remarks: list[str]


class ModelAnswer(Answer):
    """A model that can be asked for."""

    name: str
    model: str
    variants: list[str]
    space: dict[str, Any]
    defaults: dict[str, Any]
    fixed: dict[str, Any]
    phases: dict[str, list[str]]


class DatasetAnswer(Answer):
    """A data set that can be asked for."""

    name: str
    split: dict[str, Any]
    max_sequence_length: int
    keep: dict[str, str]
    min_user_interactions: int
    min_item_interactions: int


class Models(Answer):
    """The models, with their default spaces."""

    models: list[ModelAnswer]
    broken: list[str] = Field(description="Files that cannot be read as they are.")


class Datasets(Answer):
    """The data sets."""

    datasets: list[DatasetAnswer]
    broken: list[str]


class Health(Answer):
    """A sign of life."""

    status: str
