"""The test of a trial of evidence: its metrics, and its scores per user, which are written."""

from __future__ import annotations

from dataclasses import replace

from recsweep.planning.evidence import EvidencePlan
from recsweep.training.users import Tested


def kept(plan: EvidencePlan, slot: int, found: Tested) -> dict[str, float]:
    """Write the scores per user of a trial's test; its metrics."""
    point = plan.points[slot]
    one, seeds = point.configuration, (point.training_seed, point.split_seed)
    file = plan.outputs.evidence_users(
        *plan.folder_names[:2], *seeds, None if one.slot == plan.best else one.slot
    )
    about = {"study": plan.name, "slot": slot, **point.to_plain()}
    replace(found.users, about=about).write(file)
    return found.metrics
