"""The description of a study, whoever gives it: its plan, made of files, and its record, kept in the store.

Both hold the same parts; what follows from them alone stands here, once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.common.files import canonical_json, content_hash
from recsweep.common.paths import Outputs
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import (
    MODEL_PARAMETER,
    DatasetConfig,
    EvaluationConfig,
    ModelConfig,
    PruningConfig,
    SearchConfig,
    TrainingConfig,
)
from recsweep.sweeps.protocol_words import protocol_text
from recsweep.sweeps.rules import Rule
from recsweep.sweeps.scheduler_table import POPULATION
from recsweep.sweeps.sections import TRIALS

_SEED_SPACE = 2**31 - 1


@dataclass(frozen=True)
class Objective:
    """One thing that a study searches for."""

    name: str
    """A metric such as `NDCG@10`, or `training_seconds`."""
    maximize: bool


class Description:
    """All that follows from the parts of a study."""

    if TYPE_CHECKING:  # what a plan and a record each have in their own way

        @property
        def sweep_name(self) -> str: ...
        @property
        def dataset_name(self) -> str: ...
        @property
        def model_name(self) -> str: ...
        @property
        def phase(self) -> str: ...
        @property
        def kind(self) -> str:
            """The purpose of the study: `search` or `evidence`."""

        @property
        def chain(self) -> tuple[str, ...]:
            """The phases of this model in this sweep, in order."""

        @property
        def study_name(self) -> str | None:
            """Another name of the study in the store than its own."""

        @property
        def dataset(self) -> DatasetConfig: ...
        @property
        def hashes(self) -> Mapping[str, str]:
            """SHA-256 of the data's files by file name."""

        @property
        def data_folder(self) -> Path | None:
            """Where the data are, as settings want it: None for ml-100k from RecBole's wheel."""

        @property
        def model(self) -> ModelConfig: ...
        @property
        def variants(self) -> Mapping[str, ModelConfig]:
            """The models that this one stands for, where the model itself is searched."""

        @property
        def training(self) -> TrainingConfig: ...
        @property
        def evaluation(self) -> EvaluationConfig: ...
        @property
        def search(self) -> SearchConfig: ...
        @property
        def pruning(self) -> PruningConfig: ...
        @property
        def seed(self) -> int: ...
        @property
        def sweep_timeout_minutes(self) -> float | None: ...
        @property
        def start(self) -> spaces.Params | None:
            """Where the search starts, a value for every parameter of the model; None: the defaults."""

        @property
        def inherits(self) -> bool:
            """True where slot 0 is the best trial of the phase before, which is not trained again."""

        @property
        def budget(self) -> int:
            """Slots of the study, an inherited one among them."""

        @property
        def objectives(self) -> tuple[Objective, ...]:
            """The objectives of the search; the first one decides on the winner."""

        @property
        def definition(self) -> Mapping[str, Any]:
            """All that decides what the trials come to; not how many there are, nor where they run."""

    # -- its trials ------------------------------------------------------------------------------

    @property
    def repeats(self) -> bool:
        """True where two trials may begin alike; those of `pbt` change while they train."""
        return self.search.noise or self.search.scheduler == POPULATION

    @cached_property
    def most_trials(self) -> float:
        """Trials that are worth their time: where none repeats, as many as there are configurations."""
        return math.inf if self.repeats else spaces.grid_size(self.space)

    @property
    def tries_all(self) -> bool:
        """True where the budget is all configurations, fewer than were asked for."""
        return self.most_trials <= self.budget < self.search.max_evals

    # -- names -----------------------------------------------------------------------------------

    @property
    def own_name(self) -> str:
        """The name that a study has where the user gives it none."""
        return name_of(self.sweep_name, self.dataset_name, self.model_name, self.phase)

    @property
    def name(self) -> str:
        """Name of the study in the store."""
        return self.study_name or self.own_name

    @property
    def label(self) -> str:
        label = f"{self.dataset_name}/{self.model_name}"
        return label if self.chain == (self.phase,) else f"{label}/{self.phase}"

    @property
    def previous(self) -> str | None:
        """The phase before this one; evidence is none of the phases, and starts from what they found."""
        position = self.chain.index(self.phase) if self.phase in self.chain else 0
        return self.chain[position - 1] if position else None

    @property
    def is_last(self) -> bool:
        """True where this phase's winner is the model's: it alone meets the test split."""
        return self.phase == self.chain[-1]

    @property
    def folder_phase(self) -> str | None:
        """The folder of its own that an earlier phase's files have; None for the last one."""
        return None if self.is_last else self.phase

    @property
    def folder_names(self) -> tuple[str, str, str | None]:
        """Data set, model and phase of the folders of the study's files, as `paths.Outputs` asks for them."""
        return self.dataset_name, self.model_name, self.folder_phase

    def outputs_below(self, root: Path) -> Outputs:
        """The names of the study's files below a folder."""
        return Outputs(root, self.sweep_name, None if self.name == self.own_name else self.name)

    @property
    def share(self) -> float | None:
        """Seconds or epochs that the study may use, where its budget is counted in these."""
        return self.search.share if self.search.budget != TRIALS else None

    @property
    def search_split(self) -> int:
        """The split that the search is on: the seed that draws it, or the fold."""
        split = self.dataset.split
        if split.type == "k_fold":
            return split.fold
        return self.seed if split.seed is None else split.seed

    def protocol_text(self, items: Any) -> str:
        """How the data are filtered, divided and ranked, in words.

        Args:
            items: how many there are; anything else where that is not known.
        """
        number = items if isinstance(items, int) else None
        return protocol_text(self.dataset, number, predicts=self.evaluation.predicts)

    # -- what is searched ------------------------------------------------------------------------

    @property
    def directions(self) -> list[bool]:
        """For each objective, whether more is better."""
        return [objective.maximize for objective in self.objectives]

    @property
    def maximize(self) -> bool:
        return self.objectives[0].maximize

    @cached_property
    def space(self) -> spaces.Space:
        """The parameters of this phase. A condition on a parameter that it does not search is settled."""
        names = self.model.phases.get(self.phase)  # type: ignore[call-overload]
        space = self.model.space if names is None else _part(self.model.space, names, self._everywhere)
        return spaces.Ruled(space, self.rules) if self.rules else space

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The constraints of the model; of each model, where several are searched."""
        if self.variants:
            every = ((f"{name}.", model) for name, model in self.variants.items())
            return tuple(Rule(text, model.fixed, prefix) for prefix, model in every for text in model.require)
        given = {**self.model.fixed, **self.constants} if self.model.require else {}
        return tuple(Rule(text, given) for text in self.model.require)

    @property
    def _everywhere(self) -> spaces.Params:
        return dict(self.start) if self.start is not None else dict(self.model.defaults)

    @property
    def constants(self) -> spaces.Params:
        """Parameters of the model that this phase does not search, at the values where it starts."""
        searched = self.model.phases.get(self.phase, tuple(self.model.space))  # type: ignore[call-overload]
        return {name: value for name, value in self._everywhere.items() if name not in searched}

    @property
    def defaults(self) -> spaces.Params:
        """Trial number one: where the search starts."""
        return spaces.cast(self.space, self._everywhere)

    @property
    def known_good(self) -> tuple[spaces.Params, ...]:
        """The first trials: the defaults, of each model where several are searched."""
        others = [{**self._everywhere, MODEL_PARAMETER: name} for name in self.variants]
        starts = [self.defaults, *(spaces.cast(self.space, params) for params in others)]
        return tuple({canonical_json(params): params for params in starts}.values())

    def model_of(self, params: Mapping[str, Any]) -> str:
        """Name of the model that a trial trains."""
        return str(params[MODEL_PARAMETER]) if self.variants else self.model_name

    def complete(self, params: Mapping[str, Any]) -> spaces.Params:
        """A trial's parameters with those that this phase does not search."""
        return spaces.cast(self.model.space, {**self.constants, **params})

    # -- hashes and seeds ------------------------------------------------------------------------

    @property
    def content_hash(self) -> str:
        return content_hash(_hashed(self.definition))

    @property
    def _seed_hash(self) -> str:
        """Of all but what ends trials early: with and without it, a study trains the same trials."""
        parts = _hashed(self.definition)
        return content_hash({k: part for k, part in parts.items() if k not in ("pruning", "scheduler")})

    def trial_seed(self, slot: int) -> int:
        """Seed of a trial's training, the same wherever and however often it runs."""
        return seed_of(self._seed_hash, "trial", slot)

    def proposal_seed(self, slot: int) -> int:
        """Seed of the engine's proposal for a slot."""
        return seed_of(self._seed_hash, "proposal", slot)


def name_of(sweep: str, dataset: str, model: str, phase: str) -> str:
    """The name of a study in the store, where the user gives it none."""
    return f"{sweep}/{dataset}/{model}/{phase}"


def _part(space: spaces.Space, names: Sequence[str], params: Mapping[str, Any]) -> spaces.Space:
    """The named parameters of a space, the others having the values of `params`.

    What a parameter depends on may depend on others in turn: each condition of the chain is either
    settled by `params` or stays.
    """
    part: dict[str, Any] = {}
    for name in names:
        inside: dict[str, tuple[Any, ...]] = {}
        exists = True
        for parent, values in _conditions(space, name):
            if parent in names:
                inside[parent] = tuple(v for v in inside.get(parent, values) if spaces.is_among(v, values))
            else:
                exists = exists and parent in params and spaces.is_among(params[parent], values)
        if exists:
            when = {parent: values[0] if len(values) == 1 else values for parent, values in inside.items()}
            part[name] = space[name].model_copy(update={"when": when or None})
    return part


def _conditions(space: spaces.Space, name: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for parent, wanted in (space[name].when or {}).items():
        yield parent, wanted if isinstance(wanted, tuple) else (wanted,)
        yield from _conditions(space, parent)


def _hashed(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the hashes: with what once stood there, at its default, so that they stay the same."""
    return {**definition, "training": {**definition["training"], "eval_batch_size": 4096}}


def seed_of(*parts: object) -> int:
    """A seed that follows from these alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEED_SPACE
