"""The section of evidence: how often what a search found is trained again."""

from __future__ import annotations

from pydantic import Field

from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.values import Whole


class EvidenceConfig(Frozen):
    """How often `recsweep evidence` trains the best configurations again; it decides nothing of a search."""

    training_seeds: Whole = Field(5, ge=1, le=1000)
    """Training seeds, other ones than the search's; the same for every model."""
    split_seeds: Whole = Field(3, ge=1, le=1000)
    """Other random splits, on each of which every training seed is trained; where a data set is split by
    time there is one split, and this is left out."""
    top: Whole = Field(1, ge=1, le=1000)
    """How many of a study's best configurations are trained again."""
