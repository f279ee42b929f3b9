"""All that is known of a model before it is made, in one place; read from RecBole's source.

What asks about a model asks here: the checks of a sweep, its tables, `recsweep models`, an estimate. Which
code trains it stands in `training.fast.families`, which space is shipped in `config/models`: `looking.models`
puts them beside this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recsweep.recbole_api import catalog, packages
from recsweep.recbole_api.needs import Needs, needs
from recsweep.recbole_api.own_source import until_changed

Task = Literal["ranking", "labels"]
"""The work that a model is made for: lists of items, or telling rows labelled 1 from those labelled 0.

A model of labels ranks too, by the same score, where all items are scored for each user; those of `exlib` do
not: their libraries score rows.
"""


@dataclass(frozen=True)
class ModelFacts:
    """A model, and all that it takes to train it."""

    name: str
    kind: str
    """general, sequential, context, knowledge, exlib: RecBole's families."""
    task: Task
    learns: bool
    """True where it is trained by gradients; False where it counts, solves, or grows trees."""
    ranks: bool
    """True where it scores all items for a user; False where it scores rows alone."""
    parameters: tuple[str, ...]
    """All that a search may vary, in order of their names; empty for Pop and Random."""
    needs: Needs
    """Of the data."""
    packages: tuple[str, ...]
    """Python packages that it imports and the base set-up lacks, by the names that they are imported by."""
    stages: tuple[str, ...]
    """Stages of pre-training before the one that is validated; empty for nearly all."""

    @property
    def refusal(self) -> Refusal | None:
        """The reason why it cannot be searched here, whatever the data are; None where it can."""
        return refusal(self.name)

    @property
    def needed(self) -> tuple[str, ...]:
        """Its needs in words that `recsweep models --needs` takes."""
        found = self.needs
        there = {
            "labels": found.labels and not found.own_negatives,
            "time": found.sequences,
            "kg": found.graph or bool(found.vectors),
            "vectors": bool(found.vectors),
            "item-features": found.item_columns is not None,
            "repeats": found.repeats,
            "pre-training": bool(self.stages),
            **dict.fromkeys(self.packages, True),
        }
        return tuple(name for name, wanted in there.items() if wanted)


@dataclass(frozen=True)
class Refusal:
    """The reason why a model cannot be searched, and what would make it run."""

    problem: str
    fix: str


@until_changed
def facts(model: str) -> ModelFacts:
    """All that is known of one of RecBole's models.

    Raises:
        KeyError: RecBole has none of that name.
    """
    kind = catalog.family(model)
    return ModelFacts(
        name=model,
        kind=kind,
        task="labels" if kind in ("context", "exlib") else "ranking",
        learns=catalog.learns(model),
        ranks=kind != "exlib",
        parameters=tuple(sorted(catalog.searchable(model))),
        needs=needs(model),
        packages=packages.wanted(model),
        stages=catalog.stages(model),
    )


@until_changed
def refusal(model: str) -> Refusal | None:
    """The reason why a model cannot be searched here, whatever the data are; None where it can."""
    about = facts(model)
    if missing := [name for name in about.packages if not packages.installed(name)]:
        return Refusal(
            f"needs the Python package {' and '.join(missing)}, which is not installed",
            f"run `{packages.command(missing)}`, or leave the model out",
        )
    return None
