"""The trackers of a job: those of a sweep file, without addresses and keys.

Where the service sends, and with which keys, is its own environment's: else whoever may ask for a job could
have it send its keys elsewhere.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, field_validator

from recsweep.common.masked import Malformed
from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.tracker_table import TrackerName
from recsweep.sweeps.tracking import CsvConfig, JsonlConfig, TensorboardConfig, WandbConfig
from recsweep.sweeps.values import Text

_NAME = re.compile(r"[\w .,:+()=@#/-]{1,128}")
_KEY = re.compile(r"[A-Za-z0-9+=_]{40}|wandb_v\d_")


def _name(text: str) -> str:
    if _KEY.search(text):
        raise Malformed(
            "a name of a tracker's must be none of its keys, and this looks like one",
            "set keys in the environment of the service",
        )
    if not _NAME.fullmatch(text) or not text.strip():
        raise Malformed(
            "a name of a tracker's has 1 to 128 letters, digits, spaces and `_ . , : + - / ( ) = @ #`",
            "choose another name",
        )
    return text


_Named = Annotated[Text, AfterValidator(_name)]


class JobWandb(WandbConfig):
    """Weights & Biases."""

    project: _Named | None = None
    """The project. None: that of `WANDB_PROJECT` where the job runs, else `recsweep`."""
    entity: _Named | None = None
    """The team or user. None: that of `WANDB_ENTITY` where the job runs, else the key's own."""


class JobMlflow(Frozen):
    """MLflow."""

    uri: None = None
    """A job names no server: it is that of `MLFLOW_TRACKING_URI` where the job runs, else a SQLite file among
    the job's own files."""
    experiment: _Named | None = None
    """The experiment. None: `recsweep/` and the name of the job's sweep."""

    @field_validator("uri", mode="before")
    @classmethod
    def _of_the_service(cls, uri: Any) -> Any:
        if uri is not None:
            raise Malformed("a job names no address", "set MLFLOW_TRACKING_URI where the service's jobs run")
        return uri


class JobTracking(Frozen):
    """Where a job can be watched; a tracker is on where its section is there, if only as `{}`."""

    trackers: tuple[TrackerName, ...] | None = None
    """The trackers that are on. None: those whose sections are there."""
    wandb: JobWandb | None = None
    """Weights & Biases."""
    mlflow: JobMlflow | None = None
    """MLflow."""
    tensorboard: TensorboardConfig | None = None
    """TensorBoard's event files, among the job's own."""
    csv: CsvConfig | None = None
    """Tables of trials and epochs, likewise."""
    jsonl: JsonlConfig | None = None
    """A line of JSON for each event, likewise."""
