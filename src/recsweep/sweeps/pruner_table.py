"""The pruners that there are: all that config, errors, documentation and tests know of them.

Plain data. What a rule does stands in `search/pruning_rules.py`, under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

NO_PRUNER = "none"


@dataclass(frozen=True)
class Pruner:
    """One pruner.

    Attributes:
        about: what it compares a trial with; a part of a sentence.
        rungs: it is asked at a few epochs only, each several times as late as the one before; trials that
            still run are compared too.
        brackets: trials have their first rung at different epochs, and are compared within their bracket.
    """

    about: str
    rungs: bool = False
    brackets: bool = False


PRUNERS: dict[str, Pruner] = {
    NO_PRUNER: Pruner("nothing: every trial is trained to its early stop"),
    "median": Pruner("the median of the others at the same epoch"),
    "asha": Pruner("all that came to the same rung, of which one in three goes on", rungs=True),
    "hyperband": Pruner(
        "as `asha`, within brackets that have their first rung at different epochs", rungs=True, brackets=True
    ),
    "wilcoxon": Pruner("the best trial's whole curve"),
}

if TYPE_CHECKING:
    PrunerName = str
else:  # for pydantic, and all that reads choices from its models
    PrunerName = Literal[tuple(PRUNERS)]
