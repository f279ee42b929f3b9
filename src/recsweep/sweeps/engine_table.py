"""The engines that there are: all that config, errors, documentation and tests know of them.

Plain data: reading it imports no search library. What an engine does stands in the class that its row names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal


class Can(StrEnum):
    """Abilities of an algo, in the words of the documentation."""

    LEARN = "learns"
    GROUPS = "conditions"
    OTHERS = "parallel"
    OBJECTIVES = "objectives"
    GRID = "grid"


MEANING: dict[Can, str] = {
    Can.LEARN: "has a model of the outcomes, and does better than a random search within tens of trials",
    Can.GROUPS: "learns of parameters that exist together; where it is missing, conditions are kept all the "
    "same, but each parameter is proposed by itself, or at random",
    Can.OTHERS: "keeps away from what other workers train at the moment; all of them may have many workers",
    Can.OBJECTIVES: "takes several objectives",
    Can.GRID: "tries each combination once, and needs a finite space",
}


@dataclass(frozen=True)
class Algo:
    """One way to propose.

    Attributes:
        about: what it is, and when to take it; a part of a sentence.
        can: what it can do.
        slow: a proposal takes tenths of a second and more.
        also: other names that a sweep file may use, where the engine has no algo of that name.
    """

    name: str
    about: str
    can: frozenset[Can] = frozenset()
    slow: bool = False
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineRow:
    """One engine.

    Attributes:
        made_by: its class, as `module:name` below `recsweep.search.engines`; imported when it is used.
        library: what it needs, as pip names it; empty: nothing more.
        about: what it is for.
        algos: how it can propose.
        extra: the command that installs the library, where it is no part of the base lock.
    """

    name: str
    made_by: str
    library: str
    about: str
    algos: tuple[Algo, ...]
    extra: str = ""

    def algo(self, name: str) -> Algo | None:
        """The algo of that name."""
        return next((algo for algo in self.algos if algo.name == name), None)

    def names(self, can: Can | None = None) -> tuple[str, ...]:
        """Names of its algos, or of those that can do something."""
        return tuple(algo.name for algo in self.algos if can is None or can in algo.can)


def _can(*abilities: Can) -> frozenset[Can]:
    return frozenset(abilities)


_RANDOM = "a baseline; where many workers run at once, as its proposals wait for no result"
_GRID = "every combination once, the defaults first; for small grids without continuous parameters"

RAY, OPTUNA = "ray", "optuna"
"""The engine that Ray Tune drives, and that of Optuna's samplers."""
ENGINES: dict[str, EngineRow] = {
    row.name: row
    for row in (
        EngineRow(
            "hyperopt",
            "hyperopt_:HyperoptEngine",
            "hyperopt",
            "RecBole's own `HyperTuning`: for numbers that stand beside those of RecBole's tuner",
            (
                Algo("random", _RANDOM),
                Algo(
                    "bayes",
                    "TPE, each parameter by itself; for most searches",
                    _can(Can.LEARN),
                    also=("tpe",),
                ),
                Algo(
                    "anneal",
                    "stays near the best so far; for small budgets around good defaults",
                    _can(Can.LEARN),
                ),
                Algo("exhaustive", _GRID, _can(Can.GRID)),
            ),
        ),
        EngineRow(
            "optuna",
            "optuna_:OptunaEngine",
            "optuna",
            "Optuna's samplers: more algos, conditions as such, several objectives",
            (
                Algo("random", _RANDOM, _can(Can.OBJECTIVES)),
                Algo(
                    "bayes",
                    "TPE (`tpe` is the same) over all parameters together; for most searches",
                    _can(Can.LEARN, Can.GROUPS, Can.OTHERS, Can.OBJECTIVES),
                    also=("tpe",),
                ),
                Algo("exhaustive", _GRID, _can(Can.GRID, Can.OBJECTIVES)),
                Algo(
                    "gp",
                    "a Gaussian process; for few, long trials of mostly numbers, as proposals take a while",
                    _can(Can.LEARN, Can.OTHERS),
                    slow=True,
                ),
                Algo("cmaes", "CMA-ES; for numbers only and a hundred trials or more", _can(Can.LEARN)),
                Algo("qmc", "a Sobol sequence; a more even `random`", _can(Can.OBJECTIVES)),
                Algo("nsga2", "NSGA-II; for several objectives and many trials", _can(Can.OBJECTIVES)),
            ),
        ),
        EngineRow(
            RAY,
            "ray_:RayEngine",
            "ray",
            "Ray Tune's searchers; an extra, which `make setup-ray` installs",
            (
                Algo("random", _RANDOM),
                Algo("exhaustive", _GRID, _can(Can.GRID)),
                Algo(
                    "bayes",
                    "Ray's HyperOptSearch: TPE, each parameter by itself; for most searches",
                    _can(Can.LEARN),
                ),
                Algo(
                    "tpe",
                    "Ray's OptunaSearch: TPE over all parameters together",
                    _can(Can.LEARN, Can.GROUPS, Can.OTHERS),
                ),
            ),
            extra="make setup-ray",
        ),
    )
}


def algo_names() -> tuple[str, ...]:
    """Names of the algos of all engines, each once."""
    return tuple(dict.fromkeys(name for row in ENGINES.values() for name in row.names()))


def known_as(engine: object, algo: object) -> object:
    """The name of an engine's algo that was given by another name of it; anything else as it is."""
    row = ENGINES.get(engine) if isinstance(engine, str) else None
    if row is None or not isinstance(algo, str) or row.algo(algo) is not None:
        return algo
    return next((one.name for one in row.algos if algo in one.also), algo)


def can(engine: str, algo: str, ability: Can) -> bool:
    """An engine's algo can do that."""
    found = ENGINES[engine].algo(algo)
    return found is not None and ability in found.can


def having(algo: str) -> tuple[str, ...]:
    """Names of the engines that have an algo."""
    return tuple(row.name for row in ENGINES.values() if row.algo(algo) is not None)


def with_ability(ability: Can) -> str:
    """`optuna with random, bayes`: the engines and their algos that can do something."""
    found = ((row.name, row.names(ability)) for row in ENGINES.values())
    return " or ".join(f"{name} with {', '.join(algos)}" for name, algos in found if algos)


if TYPE_CHECKING:
    EngineName = str
    AlgoName = str
else:  # for pydantic, and all that reads choices from its models
    EngineName = Literal[tuple(ENGINES)]
    AlgoName = Literal[algo_names()]


def markdown() -> str:
    """The tables of config/README.md, which a test holds against this one."""
    engines = [f"| `{row.name}` | {row.library or 'nothing'} | {row.about} |" for row in ENGINES.values()]
    algos = [
        f"| `{algo.name}` | `{row.name}` | {algo.about} | {', '.join(filter(algo.can.__contains__, Can))} |"
        for row in ENGINES.values()
        for algo in row.algos
    ]
    return "\n".join(
        [
            *("| engine | needs | for |", "|---|---|---|", *engines, ""),
            *("| algo | engine | what it is, and when to take it | can |", "|---|---|---|---|", *algos, ""),
            *(f"- *{one}*: {MEANING[one]}" for one in Can),
        ]
    )
