"""Commands of a supervisor to a worker. Small, picklable, free of torch; an unknown command is an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Never

from recsweep.common.errors import RecsweepError
from recsweep.estimating.probe import Point
from recsweep.planning.plan import StudyPlan
from recsweep.running.gpus import Seat
from recsweep.study import Claim, Lineage
from recsweep.sweeps.space import Params


@dataclass(frozen=True)
class Search:
    """Fill slots of a study until none waits, or until the seat's terms end the search."""

    plan: StudyPlan
    seat: Seat | None = None
    """A GPU and the terms on which it may be used; None: the config's device, unshared."""


@dataclass(frozen=True)
class Evaluate:
    """Test the winner of a study that is closed."""

    plan: StudyPlan
    seat: Seat | None = None
    users: bool = False
    """Its scores per user are to be made again, where it was tested already."""


@dataclass(frozen=True)
class Gauge:
    """Train configurations of a study for a moment each, to see what they take; no store is asked."""

    plan: StudyPlan
    points: tuple[Point, ...]
    seconds: float
    """For all of them."""


@dataclass(frozen=True)
class Stop:
    """Claim nothing more, and end. The only command that is heeded while another one is carried out."""

    now: bool = False
    """The trial that runs ends with its epoch, and its slot waits again; else it is trained to its end."""


@dataclass(frozen=True)
class Bred:
    """All that makes a trial a member of a population.

    Attributes:
        lineage: the training that leads to where it goes on, and how it goes on.
        state: file of the state from which it does; None, or a file that is not there: by that training.
        since: the epoch that the members were compared at.
        asks: its worker is to say which parameters may change while the model trains.
    """

    lineage: Lineage
    state: str | None = None
    since: int = 0
    asks: bool = False


@dataclass(frozen=True)
class Train:
    """Train one slot that was claimed for the worker, and wait for a word after each epoch."""

    plan: StudyPlan
    claim: Claim
    params: Params
    bred: Bred | None = None


@dataclass(frozen=True)
class Continue:
    """The word that the trial goes on."""


@dataclass(frozen=True)
class Prune:
    """The word that the trial ends at the epoch that it is at."""

    reason: str


@dataclass(frozen=True)
class Save:
    """The word that the trial is left at its epoch, to go on later: its state goes to a file."""

    path: str


Word = Continue | Prune | Save
"""A trial waits for one of these after each epoch."""
Command = Search | Evaluate | Gauge | Stop | Train | Word


def unknown(message: Never) -> RecsweepError:
    """The error for a command or an event that is none of those there are; mypy sees that all are met."""
    return RecsweepError(
        f"a message that is none of ours: {message!r}; its sender is of another version of recsweep, or this "
        "is a bug; run the same version everywhere"
    )
