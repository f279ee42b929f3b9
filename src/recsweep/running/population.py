"""A population of trials that take up each other's weights: who is of it, and where their states are; pure.

What stands with the study in the store is how its trials went on after they were compared last. The states of
that epoch are in files whose names follow from it, so that one that is lost or damaged is made again: the
training that leads there is known from its first epoch on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsweep.common.files import content_hash
from recsweep.planning.plan import StudyPlan
from recsweep.study import Lineage, Stretch
from recsweep.sweeps.space import Params

ATTRIBUTE = "population"


@dataclass(frozen=True)
class Population:
    """The members when they were compared last.

    Attributes:
        epoch: that all of them were at.
        members: how they go on, by slot.
    """

    epoch: int = 0
    members: Mapping[int, Lineage] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        members = {str(slot): lineage.to_dict() for slot, lineage in self.members.items()}
        return {"epoch": self.epoch, "members": members}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Population:
        """That of a study; None: its trials were not compared yet."""
        if data is None:
            return cls()
        members = {int(slot): Lineage.from_dict(one) for slot, one in data["members"].items()}
        return cls(int(data["epoch"]), members)


def begun(plan: StudyPlan, slot: int, params: Params) -> Lineage:
    """The lineage of a trial that begins."""
    return Lineage(plan.trial_seed(slot), (Stretch(slot, 1, params),))


def state_file(plan: StudyPlan, lineage: Lineage, epoch: int) -> Path:
    """Where the state is to which a lineage leads at the end of an epoch."""
    dataset, model, phase = plan.folder_names
    name = content_hash([plan.content_hash, lineage.until(epoch).to_dict()])[:24]
    return plan.outputs.population_state(dataset, model, epoch, name, phase)


def keep_only(plan: StudyPlan, population: Population) -> None:
    """Remove the states that nobody goes on from any more."""
    needed = {state_file(plan, lineage, population.epoch) for lineage in population.members.values()}
    dataset, model, phase = plan.folder_names
    folder = plan.outputs.population_state(dataset, model, 0, "", phase).parent
    for path in folder.glob("*.pt"):
        if path not in needed:
            path.unlink(missing_ok=True)
    if not needed and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
