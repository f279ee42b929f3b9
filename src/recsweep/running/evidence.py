"""The test of a trial of evidence: once, by the weights that validation chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recsweep.planning.evidence import EvidencePlan
from recsweep.recbole_api.data import Split
from recsweep.running.bench import Bench
from recsweep.training import training, users


def tested(
    bench: Bench, slot: int, settings: Mapping[str, Any], split: Split, trained: training.Trained
) -> dict[str, float] | None:
    """The metrics of a trial on its own test split, whose scores per user are written; None in a search.

    A search tests its winner alone, when it has ended.
    """
    plan = bench.run.plan
    if not isinstance(plan, EvidencePlan):
        return None
    found, point = users.tested(settings, split, bench.device, trained.best), plan.points[slot]
    one, seeds = point.configuration, (point.training_seed, point.split_seed)
    file = plan.outputs.evidence_users(
        *plan.folder_names[:2], *seeds, None if one.slot == plan.best else one.slot
    )
    about = {"study": plan.name, "slot": slot, **point.to_plain()}
    replace(found.users, about=about).write(file)
    return found.metrics
