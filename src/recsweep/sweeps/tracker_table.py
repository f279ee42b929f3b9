"""The trackers that there are: all that config, errors, documentation and tests know of them.

Plain data: reading it imports no tracker's library. What one does stands in the class that its row names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

TRACKERS_EXTRA = "make setup-trackers"
"""The command that installs the libraries that are no part of the base lock."""


@dataclass(frozen=True)
class TrackerRow:
    """One tracker.

    Attributes:
        name: its section of `tracking`.
        made_by: its class, as `module:name`, below `recsweep.tracking.trackers` where it has no dot;
            imported when it is used.
        about: what it is for.
        library: the module that it needs; empty: nothing more.
        extra: the command that installs the library, where it is no part of the base lock.
        secret: the variable without which nothing can be sent to its servers; its `mode` is then `offline`.
        variables: of the environment or `.env`, which it is given; what is secret in them is masked.
        keeps_epochs: an epoch that it took is there, whatever dies after that. False: a trial is there as a
            whole once it has ended, and is sent again where the tracker's process died before.
    """

    name: str
    made_by: str
    about: str
    library: str = ""
    extra: str = ""
    secret: str = ""
    variables: tuple[str, ...] = ()
    keeps_epochs: bool = True


TRACKERS: dict[str, TrackerRow] = {
    row.name: row
    for row in (
        TrackerRow(
            "wandb",
            "wandb_:WandbTracker",
            "Weights & Biases, on its servers or as files that can be sent there",
            "wandb",
            TRACKERS_EXTRA,
            "WANDB_API_KEY",
            ("WANDB_API_KEY", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_BASE_URL"),
            keeps_epochs=False,
        ),
        TrackerRow(
            "mlflow",
            "mlflow_:MlflowTracker",
            "an MLflow server, or a SQLite file that `mlflow ui` shows",
            "mlflow",
            TRACKERS_EXTRA,
            variables=(
                "MLFLOW_TRACKING_URI",
                "MLFLOW_TRACKING_USERNAME",
                "MLFLOW_TRACKING_PASSWORD",
                "MLFLOW_TRACKING_TOKEN",
            ),
        ),
        TrackerRow(
            "tensorboard", "tensorboard_:TensorboardTracker", "TensorBoard's event files", "tensorboard"
        ),
        TrackerRow("csv", "csv_files:CsvTracker", "tables of trials and epochs"),
        TrackerRow("jsonl", "json_lines:JsonLinesTracker", "a line of JSON for each event"),
    )
}
NO_TRACKER = "none"

if TYPE_CHECKING:
    TrackerName = str
else:  # for pydantic, and all that reads choices from its models
    TrackerName = Literal[(*TRACKERS, NO_TRACKER)]
