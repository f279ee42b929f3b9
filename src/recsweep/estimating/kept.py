"""Measurements, kept in a file of its own: the next estimate of the same takes no time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsweep.common.errors import disk_trouble
from recsweep.common.files import content_hash, to_plain, write_json
from recsweep.common.provenance import commit, hardware, versions
from recsweep.estimating.probe import Point, Probes
from recsweep.planning.plan import StudyPlan

FORMAT = 1


def key_of(plan: StudyPlan, points: Sequence[Point], threads: int) -> str:
    """All that what is measured depends on: code, model, data, protocol, and the machine."""
    defined, training = plan.definition, plan.training
    machine = {**hardware(), "device": training.device, "threads": threads}
    parts = {
        "format": FORMAT,
        "code": [commit(), versions()],
        "what": {name: defined[name] for name in ("dataset", "data", "model", "evaluation", "training")},
        "batch": training.eval_batch_size,
        "variants": defined.get("variants"),
        "points": [[point.name, dict(point.params)] for point in points],
        "machine": machine,
    }
    return content_hash(to_plain(parts))


def file_of(folder: Path, key: str) -> Path:
    """The file of what was measured under a key."""
    return folder / f"{key[:32]}.json"


def kept(folder: Path, key: str) -> Probes | None:
    """Measurements of before; None where nothing was, or where the file is not whole."""
    try:
        content = json.loads(file_of(folder, key).read_text(encoding="utf-8"))
        return Probes.of(content["probes"]) if content["key"] == key else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def keep(folder: Path, key: str, plan: StudyPlan, probes: Probes) -> None:
    """Write what was measured; where nothing can be written it is measured again.

    Raises:
        SweepPaused: the disk is full.
    """
    content: dict[str, Any] = {"key": key, "study": plan.name, "probes": probes.to_plain()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file_of(folder, key), content)
    except OSError as error:
        if (pause := disk_trouble(error)) is not None:
            raise pause from None
