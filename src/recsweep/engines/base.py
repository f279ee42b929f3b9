"""The interface of an engine: it proposes parameters for slots and is told what came of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from recsweep.space import Params, Space


@dataclass(frozen=True)
class Observation:
    """What a slot came to. A score of None: the trial failed."""

    slot: int
    params: Params
    score: float | None


@dataclass(frozen=True)
class Search:
    """What is searched, and how; the same for every slot of a study."""

    space: Space
    defaults: Params
    maximize: bool
    algo: str
    startup_trials: int


@dataclass(frozen=True)
class SearchState:
    """What a search library itself ended with: a cross-check of what the store holds."""

    best_params: Params | None
    params2result: Mapping[str, Any]


class Session(Protocol):
    """One worker's view of a study: the engine drives, the session answers."""

    search: Search

    def next_slot(self) -> int | None:
        """Claim a slot; None when none is left or the worker is to stop."""
        ...

    def proposal_seed(self, slot: int) -> int:
        """Seed of the proposal for a slot: the same slot and history give the same proposal."""
        ...

    def history(self) -> list[Observation]:
        """What every filled slot came to, in the order of slots, from all workers."""
        ...

    def run(self, slot: int, params: Params) -> Observation:
        """Train; never raises for a trial's own fault."""
        ...


class Engine(ABC):
    """Drives a study from one worker.

    The contract: the first proposal of a study (slot 0) is the defaults. A proposal depends on
    nothing but the search, the history and the slot's seed; so a search that was killed and taken
    up again goes on as if nothing had been. Every claimed slot is run. Values have the types of the
    space (48, not 48.0). An engine is used by one thread.
    """

    @abstractmethod
    def search(self, session: Session) -> SearchState | None:
        """Fill slots until `next_slot` gives none; None when there was nothing to do."""
