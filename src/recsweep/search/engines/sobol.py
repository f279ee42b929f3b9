"""Quasi-random points, which fill a space more evenly than random ones. An importer of SciPy."""

from __future__ import annotations

from scipy.stats import qmc

from recsweep.search.engines.base import Session
from recsweep.search.engines.proposals import SEEDS, Basis, Draw, starting_points
from recsweep.sweeps import space as spaces
from recsweep.sweeps.space import Params


class Sobol:
    """A scrambled Sobol sequence (Owen 1998), one dimension a parameter; a slot's number is its point's.

    The seed of the scrambling is the study's. A point that was tried before is replaced by the same
    number's point under another scrambling.
    """

    def __init__(self, session: Session) -> None:
        self._space = session.search.space
        self._first = len(starting_points(session.search))
        self._seed = session.proposal_seed(0)

    def sampler(self, basis: Basis) -> Draw:
        """The sampler that draws for a slot."""

        def draw(seed: int) -> Params:
            scrambling = (self._seed + seed - basis.seed) % SEEDS
            sequence = qmc.Sobol(len(self._space), scramble=True, rng=scrambling)
            if basis.slot > self._first:
                sequence.fast_forward(basis.slot - self._first)
            (point,) = sequence.random(1)
            return spaces.from_unit(self._space, dict(zip(self._space, map(float, point), strict=True)))

        return draw
