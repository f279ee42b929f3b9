"""Shared by the engines: the grid by slot, points that were not tried before, and what a search found."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from recsweep.common.files import canonical_json
from recsweep.search.engines.base import Known, Observation, Search, SearchState
from recsweep.sweeps import space as spaces
from recsweep.sweeps.space import Params, Space

MAX_REDRAWS = 3
"""How often a proposal that was tried before is drawn anew, where all its parameters are discrete.
More of it finds no more (benchmarks/search_published.py), and a model takes its time over each."""
MOST_REJECTED = 20
"""How often a proposal that breaks a constraint is drawn anew; the last one is mended, value by value."""
SEEDS = 2**31 - 1
"""Seeds lie below this."""
_STRIDE = 1_000_003
MOST_SCATTERED = 1_000
"""Random points among which a new one is looked for, where a branch of a space has an end and is used up."""

Draw = Callable[[int], Params]
"""A proposal by a seed."""


@dataclass(frozen=True)
class Basis:
    """All that a proposal follows from, besides the search."""

    slot: int
    seed: int
    study: Known

    @cached_property
    def history(self) -> list[Observation]:
        """Read from the store when it is asked for: a random search needs none of it."""
        return self.study.history()

    @cached_property
    def running(self) -> list[Params]:
        """The points that other workers train, likewise."""
        return self.study.running()

    def take(self, params: Params) -> bool:
        """Make a point the slot's; False where another trial has it."""
        return self.study.take(self.slot, params)


def propose(study: Known, slot: int, sampler: Callable[[Basis], Draw]) -> Params:
    """Parameters for a slot: what the search starts with, a point of the grid, or a draw of the sampler."""
    search = study.search
    if search.algo == "exhaustive":
        return grid_point(search, slot)
    fixed = search.fixed(slot)
    if fixed is not None:
        return fixed
    basis = Basis(slot, study.proposal_seed(slot), study)
    draw = sampler(basis)
    return untried(search, basis, lambda seed: allowed(search, draw, seed))


def allowed(search: Search, draw: Draw, seed: int) -> Params:
    """A draw that keeps the constraints of the space; those that do not cost nothing."""
    params = draw(seed)
    for again in range(1, MOST_REJECTED + 1):
        if spaces.is_allowed(search.space, params):
            break
        # Far from the seeds of other slots and of `untried`.
        params = draw((seed + again * _STRIDE) % SEEDS)
    return spaces.mended(search.space, params, search.defaults)


def grid_point(search: Search, slot: int) -> Params:
    """The grid in order, but first what the search starts with."""
    fixed = search.fixed(slot)
    if fixed is not None:
        return fixed
    starts = starting_points(search)
    index = slot - len(starts)
    for taken in sorted({spaces.combination_index(search.space, params) for params in starts}):
        index += taken <= index
    return spaces.combination_at(search.space, index)


def starting_points(search: Search) -> list[Params]:
    """Parameters of the first slots, on which no algo decides."""
    points: list[Params] = []
    while (fixed := search.fixed(len(points))) is not None:
        points.append(fixed)
    return points


def untried(search: Search, basis: Basis, draw: Draw) -> Params:
    """A draw that no other trial of the study has; where there is none left, or repeats are wanted, any.

    What is drawn again is answered by the result that the store has of it, and costs no slot. A point with a
    continuous parameter counts as new. Where all draws were tried points, one of those that are left is taken
    at random.
    """
    first = draw(basis.seed)
    if search.noise or _is_new(search.space, first) or basis.take(first):
        return first
    tried = [params for observation in basis.history if (params := observation.params)] + basis.running
    texts = set(map(canonical_json, tried + starting_points(search)))
    if len(texts) >= spaces.grid_size(search.space):
        return first
    for params in _others(search, basis, draw):
        if _is_new(search.space, params) or (canonical_json(params) not in texts and basis.take(params)):
            return params
    return first


def _others(search: Search, basis: Basis, draw: Draw) -> Iterator[Params]:
    """A few more draws, and then what is left: in random order, or random points where there is no end."""
    for redraw in range(1, MAX_REDRAWS + 1):
        yield draw((basis.seed + redraw) % SEEDS)
    space = search.space
    left = _scattered(space, basis.seed) if spaces.continuous(space) else _shuffled(space, basis.seed)
    yield from (point for point in left if spaces.is_allowed(space, point))


def _is_new(space: Space, params: Params) -> bool:
    """True where a point is new whatever was tried."""
    return any(math.isinf(space[name].size) for name in params)


def _scattered(space: Space, seed: int) -> Iterator[Params]:
    """Random points of a space with conditions, some of whose branches are continuous."""
    generator = random.Random(seed)
    for _ in range(MOST_SCATTERED):
        yield spaces.from_unit(space, {name: generator.random() for name in space})


def _shuffled(space: Space, seed: int) -> Iterator[Params]:
    """Every combination once: from a random one on, in steps that share no factor with their number."""
    size = int(spaces.grid_size(space))
    generator = random.Random(seed)
    index, step = generator.randrange(size), generator.randrange(1, size + 1)
    while math.gcd(step, size) > 1:
        step += 1
    for _ in range(size):
        yield spaces.combination_at(space, index)
        index = (index + step) % size


def outcome(search: Search, observation: Observation) -> tuple[float, ...] | None:
    """The value of each objective; None where the trial came to none that can be compared."""
    if len(search.directions) > 1:
        values = observation.values
    else:
        values = () if observation.score is None else (observation.score,)
    return values if values and all(map(math.isfinite, values)) else None


def loss(search: Search, observation: Observation) -> float | None:
    """The value of the first objective, such that less is better."""
    values = outcome(search, observation)
    if values is None:
        return None
    return -values[0] if search.maximize else values[0]


@dataclass
class Found:
    """The outcome of a search in this process."""

    search: Search
    best: Observation | None = None
    results: dict[str, float | None] = field(default_factory=dict)

    def add(self, observation: Observation) -> bool:
        """Note a result; True where it is the best so far by the first objective."""
        # Keyed by slot: equal parameters with another seed are another result.
        self.results[f"slot {observation.slot}: {canonical_json(observation.params)}"] = observation.score
        if outcome(self.search, observation) is None:
            return False
        if self.best is not None and self._rank(observation) >= self._rank(self.best):
            return False
        self.best = observation
        return True

    def _rank(self, observation: Observation) -> tuple[bool, float]:
        """A pruned trial is best only where none is complete, as in the store."""
        value = loss(self.search, observation)
        return observation.pruned, math.inf if value is None else value

    @property
    def state(self) -> SearchState:
        return SearchState(dict(self.best.params) if self.best else None, self.results)
