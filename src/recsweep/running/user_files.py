"""The file of a winner's scores for each user: whose it is, and whether it is there. Free of torch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recsweep.common.errors import InputError
from recsweep.planning.plan import StudyPlan
from recsweep.study import Trial

if TYPE_CHECKING:
    from recsweep.statistics.users import UserScores


def write_users(plan: StudyPlan, trial: Trial, users: UserScores) -> None:
    """Write the scores of a study's winner beside its results."""
    replace(users, about=_about(plan, trial)).write(plan.outputs.users(*plan.folder_names))


def has_users(plan: StudyPlan, trial: Trial) -> bool:
    """True where the file is there, whole, and of this winner."""
    from recsweep.statistics.users import UserScores

    try:
        found = UserScores.read(plan.outputs.users(*plan.folder_names))
    except InputError:
        return False
    return dict(found.about) == _about(plan, trial)


def _about(plan: StudyPlan, trial: Trial) -> dict[str, Any]:
    return {"study": plan.name, "trial": trial.slot, "seed": trial.seed}
