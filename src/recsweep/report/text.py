"""Values as tables and pictures show them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from recsweep.common.escape import for_terminal

if TYPE_CHECKING:
    from recsweep.study import Trial


def cell(value: Any) -> Any:
    """A value in a CSV file."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list | dict | bool) else value


def reason(trial: Trial) -> str:
    """Why a trial failed or was pruned; empty for one that is complete."""
    if trial.failure is None:
        return ""
    kind = trial.failure.kind
    # `pruned at epoch 2: …` says its kind itself.
    said = trial.failure.message.removeprefix(kind.replace("_", " "))
    return for_terminal(f"{kind}: {said.removeprefix(':').strip()}")


def worker(trial: Trial) -> str:
    """The process that ran a trial; empty where nobody has said so."""
    if trial.owner is None:
        return ""
    process = trial.owner.process
    return for_terminal(f"{process.pid_space.split('/')[0]} {process.worker or process.pid}")
