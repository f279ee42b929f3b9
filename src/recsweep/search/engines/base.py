"""The interface of an engine: it proposes parameters for slots and is told what came of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from recsweep.sweeps.space import Params, Space


@dataclass(frozen=True)
class Observation:
    """The outcome of a slot. A score of None: the trial failed.

    Attributes:
        params: those that exist, in the types of the space.
        score: the value of the first objective.
        values: of every objective, where there are several and the trial succeeded.
        pruned: the trial was stopped early; its score is its best until then.
    """

    slot: int
    params: Params
    score: float | None
    values: tuple[float, ...] = ()
    pruned: bool = False


@dataclass(frozen=True)
class Search:
    """The search: its parameters, and how they are searched; the same for every slot of a study."""

    space: Space
    defaults: Params
    maximize: bool
    algo: str
    startup_trials: int
    known_good: tuple[Params, ...] = ()
    """The first trials, where more than the defaults are known: slot 0, 1, … take them in order."""
    directions: tuple[bool, ...] = ()
    """True where each objective is maximized, where there are several."""
    noise: bool = False
    """True where a point that is proposed again is trained again, on the seed of its slot."""

    def fixed(self, slot: int) -> Params | None:
        """The parameters of a slot that no engine decides on: the defaults, then what is known to be good."""
        starts = self.known_good or (self.defaults,)
        return dict(starts[slot]) if slot < len(starts) else None


@dataclass(frozen=True)
class SearchState:
    """The end state of a search library itself: a cross-check of what the store holds."""

    best_params: Params | None
    params2result: Mapping[str, Any]


class Known(Protocol):
    """A study as far as a proposal needs it."""

    search: Search

    def proposal_seed(self, slot: int) -> int:
        """Seed of the proposal for a slot: the same slot and history give the same proposal."""
        ...

    def history(self) -> list[Observation]:
        """The outcome of every filled slot, in the order of slots, from all workers."""
        ...

    def running(self) -> list[Params]:
        """Parameters of the trials that other workers train now: near them nothing new is to be learnt."""
        ...

    def take(self, slot: int, params: Params) -> bool:
        """Make a point that of the slot, in one step with the question for others.

        Returns:
            False where another slot has it: the study knows, or will know, what it comes to, and says so.
        """
        ...


class Session(Known, Protocol):
    """One worker's view of a study: the engine drives, the session answers."""

    def next_slot(self) -> int | None:
        """Claim a slot; None when none is left or the worker is to stop."""
        ...

    def run(self, slot: int, params: Params) -> Observation:
        """Train; never raises for a trial's own fault.

        Returns:
            What came of it, with the parameters that were trained: where an earlier trial of the slot left a
            checkpoint, it goes on with those that it had.
        """
        ...


class Engine(ABC):
    """Drives a study from one worker.

    The contract: the first proposal of a study (slot 0) is the defaults; the slots after it take
    what is known to be good (`Search.fixed`). A proposal depends on nothing but the search, the
    history, what other workers run, and the slot's seed; so the search of one worker that was killed
    and taken up again goes on as if nothing had been. Every claimed slot is run, and
    no point twice while another is left, unless the search is of noise. Values have the types
    of the space (48, not 48.0), and only parameters that exist have one. An engine is used by one
    thread.
    """

    @abstractmethod
    def search(self, session: Session) -> SearchState | None:
        """Fill slots until `next_slot` gives none; None when there was nothing to do."""
