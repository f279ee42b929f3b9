"""The section `tracking` of a sweep file: where a sweep can be watched. Nothing of it decides on a trial."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.tracker_table import TRACKERS, TrackerName
from recsweep.sweeps.values import Text


class WandbConfig(Frozen):
    """Weights & Biases."""

    project: Text | None = None
    """The project. None: that of `WANDB_PROJECT`, else `recsweep`."""
    entity: Text | None = None
    """The team or user. None: that of `WANDB_ENTITY`, else the key's own."""
    mode: Literal["online", "offline"] | None = None
    """`offline` writes files that can be sent later. None: `online` where `WANDB_API_KEY` is set."""


class MlflowConfig(Frozen):
    """MLflow."""

    uri: Text | None = None
    """The server. None: that of `MLFLOW_TRACKING_URI`, else a SQLite file in the output folder."""
    experiment: Text | None = None
    """The experiment. None: `recsweep/` and the name of the sweep."""

    @field_validator("uri")
    @classmethod
    def _without_secrets(cls, uri: str | None) -> str | None:
        # A validator's message is shown with the value, which is left out of it.
        if uri is not None and "@" in urlsplit(uri).netloc:
            raise ValueError(
                "an address of MLflow holds no user or password; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD in the environment or in .env"
            )
        return uri


class TensorboardConfig(Frozen):
    """TensorBoard's event files."""


class CsvConfig(Frozen):
    """Tables."""


class JsonlConfig(Frozen):
    """Lines of JSON."""


class TrackingConfig(Frozen):
    """Where a sweep can be watched; a tracker is on where its section is there, if only as `{}`."""

    trackers: tuple[TrackerName, ...] | None = None
    """The trackers that are on. None: those whose sections are there; `none`: none of them."""
    wandb: WandbConfig | None = None
    """Weights & Biases."""
    mlflow: MlflowConfig | None = None
    """MLflow."""
    tensorboard: TensorboardConfig | None = None
    """TensorBoard's event files, in `outputs/tracking/<sweep>/tensorboard`."""
    csv: CsvConfig | None = None
    """Tables of trials and epochs, in `outputs/tracking/<sweep>/csv`."""
    jsonl: JsonlConfig | None = None
    """A line of JSON for each event, in `outputs/tracking/<sweep>/jsonl`."""

    def on(self) -> dict[str, dict[str, Any]]:
        """The settings of the trackers that are on, by their names."""
        sections = {name: getattr(self, name) for name in TRACKERS}
        there = [name for name, section in sections.items() if section is not None]
        wanted = there if self.trackers is None else [name for name in self.trackers if name in TRACKERS]
        return {name: {} if sections[name] is None else sections[name].model_dump() for name in wanted}
