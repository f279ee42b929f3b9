"""CMA-ES, fed from a study's history. The only importer of cmaes."""

from __future__ import annotations

import random
from typing import Any

import cmaes  # type: ignore[import-untyped]
import numpy as np

from recsweep.search.engines.base import Search
from recsweep.search.engines.proposals import Basis, Draw, loss
from recsweep.sweeps import space as spaces
from recsweep.sweeps.space import Choice, Params

_STEP = 0.2
"""The first standard deviation, as a part of each range; between Hansen's 0.3 and Optuna's 1/6."""


class CmaEs:
    """Draws from a normal distribution that moves, stretches and turns towards what was good (Hansen 2016).

    It begins at the best of the first `startup_trials` trials, which are random. The trials after
    them, in the order of slots and as many at a time as make a generation, move it; failed ones are
    left out. So a proposal follows from the history and the slot's seed alone. Where the distribution
    has shrunk to a point, it starts again with generations twice as large, as IPOP-CMA-ES does
    (Auger and Hansen 2005).

    CMA-ES knows numbers that always exist. A choice of numbers is taken by rank; other choices, and
    parameters with a condition, are drawn at random for each trial.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._names = [name for name in search.space if _is_number(search.space[name])]
        self._told: list[int] = []
        self._optimizer: Any = None

    def sampler(self, basis: Basis) -> Draw:
        """The sampler that draws for a slot."""
        optimizer = self._distribution(basis)

        def draw(seed: int) -> Params:
            generator = random.Random(seed)
            shares = {name: generator.random() for name in self._search.space}
            if optimizer is not None:
                optimizer.reseed_rng(seed)
                shares |= zip(self._names, map(float, optimizer.ask()), strict=True)
            return spaces.from_unit(self._search.space, shares)

        return draw

    def _distribution(self, basis: Basis) -> Any:
        """After all whole generations of the history; None while the trials are random."""
        scored = [(one, value) for one in basis.history if (value := loss(self._search, one)) is not None]
        startup = self._search.startup_trials
        if not self._names or len(scored) < startup:
            return None
        slots = [one.slot for one, _ in scored]
        if self._told != slots[: len(self._told)] or not self._told:  # a trial of another worker came late
            best, _ = min(scored[:startup], key=lambda trial: trial[1])
            self._optimizer = self._start(self._point(best.params))
            self._told = slots[:startup]
        while len(scored) - len(self._told) >= (size := self._optimizer.population_size):
            generation = scored[len(self._told) :][:size]
            self._optimizer.tell([(self._point(one.params), value) for one, value in generation])
            self._told = slots[: len(self._told) + size]
            if self._optimizer.should_stop():
                self._optimizer = self._start(np.full(len(self._names), 0.5), 2 * size)
        return self._optimizer

    def _start(self, mean: Any, population: int | None = None) -> Any:
        bounds = np.array([[0.0, 1.0]] * len(self._names))
        return cmaes.CMA(mean=mean, sigma=_STEP, bounds=bounds, population_size=population, seed=0)

    def _point(self, params: Params) -> Any:
        return np.array([self._search.space[name].to_unit(params[name]) for name in self._names])


def _is_number(parameter: Any) -> bool:
    if parameter.size < 2 or parameter.when:
        return False
    return parameter.ordered if isinstance(parameter, Choice) else True
