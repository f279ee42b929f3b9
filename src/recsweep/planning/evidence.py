"""The study that holds the evidence of a search: its best configurations, trained on other seeds and splits.

It is a study like any other, whose slots are given: each has its configuration, its training seed and the
seed of its split. Seeds follow from the sweep's own and are the same for every model of it, so that models
are compared on the same splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recsweep.common.files import to_plain
from recsweep.planning.plan import StudyPlan
from recsweep.study.description import Description, name_of, seed_of
from recsweep.study.details import Stretch
from recsweep.study.record import EVIDENCE
from recsweep.sweeps.config import DatasetConfig, PruningConfig, SearchConfig
from recsweep.sweeps.space import Params


@dataclass(frozen=True)
class Configuration:
    """A configuration that a search found.

    Attributes:
        slot: of its trial in the search.
        params: a value for every parameter of the model that exists there.
        stretches: how its parameters changed while it trained, where it took up another one's weights.
    """

    slot: int
    params: Params
    stretches: tuple[Stretch, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """All that its training follows from, as plain JSON: the same whichever trial has found it."""
        stretches = [stretch.to_dict() for stretch in self.stretches]
        plain: dict[str, Any] = to_plain({"params": self.params, "stretches": stretches})
        return plain


@dataclass(frozen=True)
class Point:
    """One training: what a slot of the study is."""

    configuration: Configuration
    training_seed: int
    split_seed: int

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON, as the store keeps it."""
        one = self.configuration
        stretches = {"stretches": [stretch.to_dict() for stretch in one.stretches]} if one.stretches else {}
        seeds = {"training_seed": self.training_seed, "split_seed": self.split_seed}
        plain: dict[str, Any] = to_plain({"trial": one.slot, "params": one.params, **stretches, **seeds})
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Point:
        stretches = tuple(
            Stretch(int(one["slot"]), int(one["from_epoch"]), dict(one["params"]))
            for one in plain.get("stretches", ())
        )
        configuration = Configuration(int(plain["trial"]), dict(plain["params"]), stretches)
        return cls(configuration, int(plain["training_seed"]), int(plain["split_seed"]))


@dataclass(frozen=True)
class EvidencePlan(StudyPlan):
    """The evidence of one search."""

    points: tuple[Point, ...] = ()
    """The training of each slot, by slot."""
    best: int = 0
    """The trial of the search that is its best now."""

    @property
    def kind(self) -> str:
        return EVIDENCE

    @property
    def budget(self) -> int:
        return len(self.points)

    @property
    def repeats(self) -> bool:
        return True

    @property
    def known_good(self) -> tuple[Params, ...]:
        return tuple(point.configuration.params for point in self.points)

    @property
    def how(self) -> str:
        trials = dict.fromkeys(point.configuration.slot for point in self.points)
        return f"trial {', '.join(map(str, trials))} of the search on other seeds"

    def trial_seed(self, slot: int) -> int:
        return self.points[slot].training_seed

    def split_seed(self, slot: int) -> int:
        return self.points[slot].split_seed

    def stretches(self, slot: int) -> tuple[Stretch, ...]:
        return self.points[slot].configuration.stretches


def evidence_name(search: Description) -> str:
    """The name in the store of the evidence of a search: of the model, whatever its last phase."""
    if search.study_name is not None:
        return f"{search.study_name}/{EVIDENCE}"
    return name_of(search.sweep_name, search.dataset_name, search.model_name, EVIDENCE)


def evidence_plan(search: StudyPlan, best: Sequence[Configuration]) -> EvidencePlan:
    """The study that holds the evidence of a search.

    Args:
        search: the last phase of a model.
        best: its best configurations, the best one first.
    """
    unlimited = {
        # Nothing is proposed, stopped early or left out: whatever was found is trained to its own end.
        "search": SearchConfig(engine="optuna", algo="random"),
        "pruning": PruningConfig(),
        "timeout_minutes": None,
    }
    return EvidencePlan(
        search.sweep.model_copy(update=unlimited),
        search.dataset_name,
        search.model_name,
        search.dataset,
        search.model,
        search.files,
        EVIDENCE,
        search.chain,
        variants=search.variants,
        study_name=None if search.study_name is None else evidence_name(search),
        folder=search.folder,
        points=points_of(search, best),
        best=best[0].slot,
    )


def is_random(dataset: DatasetConfig) -> bool:
    """True where the split of a data set is drawn, so that there are others."""
    return dataset.split.drawn


def training_seeds(seed: int, count: int) -> list[int]:
    """Training seeds by a sweep's own; more of them begin with those that fewer are."""
    return [seed_of(seed, EVIDENCE, "training", number) for number in range(count)]


def split_seeds(plan: StudyPlan, count: int) -> list[int]:
    """Seeds of the splits: other ones than the search's, all folds, or the one split that there is."""
    split = plan.dataset.split
    if split.type == "k_fold":
        return list(range(1, split.folds + 1))
    if not is_random(plan.dataset):
        return [plan.seed]
    return [seed_of(plan.search_split, EVIDENCE, "split", number) for number in range(count)]


def points_of(search: StudyPlan, configurations: Sequence[Configuration]) -> tuple[Point, ...]:
    """Every training of some configurations that the sweep asks for, split after split."""
    wanted = search.sweep.evidence
    return tuple(
        Point(configuration, training, split)
        for configuration in configurations
        for split in split_seeds(search, wanted.split_seeds)
        for training in training_seeds(search.seed, wanted.training_seeds)
    )


def with_points(plan: EvidencePlan, kept: Sequence[Point]) -> EvidencePlan:
    """A plan whose first slots are what a store has of the study; what is new comes after them."""
    new = [point for point in plan.points if not _is_known(point, kept)]
    return replace(plan, points=(*kept, *new))


def is_same(one: Configuration, other: Configuration) -> bool:
    """True where two trials of a search have found one configuration."""
    return one.identity == other.identity


def _is_known(point: Point, kept: Sequence[Point]) -> bool:
    seeds = point.training_seed, point.split_seed
    return any(
        seeds == (other.training_seed, other.split_seed) and is_same(point.configuration, other.configuration)
        for other in kept
    )
