"""The schedulers of Ray Tune that there are: all that config, errors, documentation and tests know of them.

Plain data. Which class of Ray's each one is stands in `running/ray_schedulers.py`, under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

NO_SCHEDULER = "none"
POPULATION = "pbt"
"""The one that ends no trial, but lets it go on from another one's weights."""
OF_POPULATION = ("perturbation_interval", "quantile_fraction", "resample_probability")
"""Keys of `search` that it alone reads."""


@dataclass(frozen=True)
class Scheduler:
    """One scheduler.

    Attributes:
        about: what it does with trials that train; a part of a sentence.
    """

    about: str


SCHEDULERS: dict[str, Scheduler] = {
    NO_SCHEDULER: Scheduler("nothing: every trial is trained to its early stop"),
    "asha": Scheduler(
        "of all that came to the same rung one in three goes on; the first rung is `warmup_epochs`"
    ),
    "hyperband": Scheduler("as `asha`, within three brackets that have their first rung at different epochs"),
    "median": Scheduler("a trial ends whose best is below the median of what the others were on average"),
    POPULATION: Scheduler(
        "population based training: every `perturbation_interval` epochs the worst trials go on from the "
        "weights of the best, with their parameters perturbed"
    ),
}

if TYPE_CHECKING:
    SchedulerName = str
else:  # for pydantic, and all that reads choices from its models
    SchedulerName = Literal[tuple(SCHEDULERS)]
