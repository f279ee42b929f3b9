"""From a sweep to its studies: what each one is, its content hash, and the seed of every trial."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError, UserError
from recsweep.common.files import content_hash, to_plain
from recsweep.common.paths import Outputs
from recsweep.datasets.check import DataFiles, check_dataset, find_files
from recsweep.datasets.feasible import Models, check_split
from recsweep.planning.checks import check_sweep, single_models
from recsweep.planning.data_checks import check_labels, check_needs
from recsweep.recbole_api import catalog
from recsweep.recbole_api.settings import searched_metrics, trial_settings
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import (
    MODEL_PARAMETER,
    SECONDS,
    WHOLE,
    WITH_MODEL,
    DatasetConfig,
    ModelConfig,
    SweepConfig,
    TrainingConfig,
    dataset_folder,
)
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.engine_table import Can
from recsweep.sweeps.loading import Sweep

LARGE_GRID = 1000
_SEED_SPACE = 2**31 - 1


@dataclass(frozen=True)
class Objective:
    """One thing that a study searches for."""

    name: str
    """A metric such as `NDCG@10`, or `training_seconds`."""
    maximize: bool


@dataclass(frozen=True)
class StudyPlan:
    """One search: a data set x a model x a phase."""

    sweep: SweepConfig
    dataset_name: str
    model_name: str
    dataset: DatasetConfig
    model: ModelConfig
    files: DataFiles
    phase: str = WHOLE
    chain: tuple[str, ...] = (WHOLE,)
    """The phases of this model in this sweep, in order."""
    start: spaces.Params | None = None
    """Where the search starts, a value for every parameter of the model; None: the defaults."""
    inherits: bool = False
    """Whether slot 0 is the best trial of the phase before, which is not trained again."""
    variants: Mapping[str, ModelConfig] = field(default_factory=dict)
    """The models that this one stands for, where the model itself is searched."""
    study_name: str | None = None
    """Another name of the study in the store."""
    slots: int | None = None
    """Another budget than the config's."""
    folder: Path = Path()
    """What files that the config names are relative to."""

    @property
    def name(self) -> str:
        """Name of the study in the store."""
        return self.study_name or f"{self.sweep.sweep}/{self.dataset_name}/{self.model_name}/{self.phase}"

    @property
    def label(self) -> str:
        label = f"{self.dataset_name}/{self.model_name}"
        return label if self.chain == (self.phase,) else f"{label}/{self.phase}"

    @property
    def previous(self) -> str | None:
        """The phase before this one."""
        position = self.chain.index(self.phase)
        return self.chain[position - 1] if position else None

    @property
    def is_last(self) -> bool:
        """Whether this phase's winner is the model's: it alone meets the test split."""
        return self.phase == self.chain[-1]

    @property
    def folder_phase(self) -> str | None:
        """The folder of its own that an earlier phase's files have; None for the last one."""
        return None if self.is_last else self.phase

    @property
    def place(self) -> tuple[str, str, str | None]:
        """Where the study's files are: what the names of `paths.Outputs` are made of."""
        return self.dataset_name, self.model_name, self.folder_phase

    @property
    def outputs(self) -> Outputs:
        own = replace(self, study_name=None).name
        return Outputs(self.sweep.outputs, self.sweep.sweep, None if self.name == own else self.name)

    @property
    def storage_url(self) -> StoreAddress:
        """Where the store is; masked wherever it is printed."""
        own = self.sweep.storage
        return own.below(self.sweep.outputs) if own is not None else self.outputs.storage_url

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is searched for; the first one decides on the winner."""
        names = self.sweep.evaluation.objectives or (self.sweep.evaluation.metric,)
        return tuple(Objective(name, _maximize(name)) for name in names)

    @property
    def directions(self) -> list[bool]:
        """For each objective, whether more is better."""
        return [objective.maximize for objective in self.objectives]

    @property
    def maximize(self) -> bool:
        return self.objectives[0].maximize

    @property
    def budget(self) -> int:
        """Slots of the study: its share of MAX_EVALS, or the whole grid of an exhaustive search.

        A trial that is inherited costs nothing and comes on top.
        """
        if self.slots is not None:
            return self.slots
        if self.sweep.search.can(Can.GRID):
            return int(spaces.grid_size(self.space))
        search = self.sweep.search
        shares = divide(search.max_evals, [search.phase_shares.get(name, 1.0) for name in self.chain])  # type: ignore[call-overload]
        return shares[self.chain.index(self.phase)] + self.inherits

    @property
    def space(self) -> spaces.Space:
        """What this phase searches. A condition on a parameter that it does not search is settled."""
        names = self.model.phases.get(self.phase)  # type: ignore[call-overload]
        return self.model.space if names is None else _part(self.model.space, names, self._everywhere)

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
        return tuple(params for position, params in enumerate(starts) if params not in starts[:position])

    def model_of(self, params: Mapping[str, Any]) -> str:
        """Name of the model that a trial trains."""
        return str(params[MODEL_PARAMETER]) if self.variants else self.model_name

    def complete(self, params: Mapping[str, Any]) -> spaces.Params:
        """A trial's parameters with those that this phase does not search."""
        return spaces.cast(self.model.space, {**self.constants, **params})

    @property
    def definition(self) -> dict[str, Any]:
        """All that decides what the trials come to; not how many there are, nor where they run.

        What is as it was before there was a choice is left out, so that old studies go on.
        """
        search, evaluation, pruning = self.sweep.search, self.sweep.evaluation, self.sweep.pruning
        how: dict[str, Any] = {
            "engine": search.engine,
            "algo": search.algo,
            "startup_trials": search.startup_trials,
        }
        if search.warm_start:
            how["warm_start"] = search.warm_start
        if search.transfer:
            how["transfer"] = True
        parts: dict[str, Any] = {
            "dataset": _defining_dataset(self.dataset),
            "data": dict(self.files.hashes),
            "model": _defining_model(self.model),
            "training": _defining(self.sweep.training),
            "evaluation": evaluation.model_dump(exclude=None if evaluation.objectives else {"objectives"}),
            "search": how,
            "seed": self.sweep.seed,
        }
        if self.variants:
            parts["variants"] = {name: _defining_model(model) for name, model in self.variants.items()}
        if self.phase != WHOLE or self.start is not None:
            parts["phase"] = {"name": self.phase, "searched": list(self.space), "start": self._everywhere}
        if pruning.pruner != "none":
            parts["pruning"] = pruning.model_dump()
        plain: dict[str, Any] = to_plain(parts)
        return plain

    @property
    def content_hash(self) -> str:
        return content_hash(_hashed(self.definition))

    @property
    def _seed_hash(self) -> str:
        """Of all but the pruner: with and without one, a study trains the same trials."""
        return content_hash({k: part for k, part in _hashed(self.definition).items() if k != "pruning"})

    def trial_seed(self, slot: int) -> int:
        """Seed of a trial's training, the same wherever and however often it runs."""
        return _seed(self._seed_hash, "trial", slot)

    def proposal_seed(self, slot: int) -> int:
        """Seed of the engine's proposal for a slot."""
        return _seed(self._seed_hash, "proposal", slot)

    def settings(self, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The complete RecBole config of one trial."""
        params, model = self.complete(params), self.model
        if self.variants:
            name = self.model_of(params)
            model, prefix = self.variants[name], f"{name}."
            params = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
        return trial_settings(
            self.dataset,
            self.files.given_folder,
            model,
            self.sweep.training,
            self.sweep.evaluation,
            params,
            seed,
            self.sweep.seed,
        )


def _maximize(objective: str) -> bool:
    return objective != SECONDS and catalog.metrics()[objective.split("@")[0].lower()]


def divide(total: int, shares: Sequence[float]) -> list[int]:
    """A budget in parts as near to the shares as whole numbers can be, none below 1.

    By largest remainders; of equal ones the earlier part gets more.
    """
    spare, whole = total - len(shares), sum(shares)
    exact = [max(0.0, share / whole * total - 1) for share in shares]
    scale = spare / sum(exact) if sum(exact) else 0.0
    parts = [math.floor(part * scale) for part in exact]
    order = sorted(range(len(shares)), key=lambda i: (parts[i] - exact[i] * scale, i))
    for position in order[: spare - sum(parts)]:
        parts[position] += 1
    return [part + 1 for part in parts]


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


def _defining_model(model: ModelConfig) -> dict[str, Any]:
    """A model file's part of a definition; `phases` only names what a study's own part says."""
    plain = model.model_dump(exclude={"phases"})
    for parameter in plain["space"].values():
        if parameter["when"] is None:
            del parameter["when"]
    return plain


def _defining_dataset(dataset: DatasetConfig) -> dict[str, Any]:
    """A data set file's part; what is as it was before there was a choice is left out."""
    choices = (
        *("remove_duplicates", "label_threshold", "numerical_features", "normalize"),
        *("max_user_interactions", "without_features", "sequence_separator"),
    )
    usual = {name for name in choices if getattr(dataset, name) == DatasetConfig.model_fields[name].default}
    return dataset.model_dump(exclude={"path", *usual})


def _defining(training: TrainingConfig) -> dict[str, Any]:
    """What decides a result. What is as it was before there was a choice is left out: old studies go on."""
    left_out = {"device", "eval_batch_size"}
    if training.precision == "float32":
        left_out.add("precision")
    if not training.fast:
        left_out.add("fast")
    return training.model_dump(exclude=left_out)


def _hashed(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What the hashes are of: with what once stood there, at its default, so that they stay what they are."""
    return {**definition, "training": {**definition["training"], "eval_batch_size": 4096}}


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEED_SPACE


def plan_sweep(sweep: Sweep, *, with_data: bool = True) -> list[StudyPlan]:
    """The studies of a sweep, data set by data set.

    Args:
        with_data: its data files must be there; to look at what was found, they need not.

    Raises:
        InputError: what RecBole does not know, a parameter that a model never reads, defaults
            outside their space, bad data.
        UserError: a grid too large to search without being asked to.
    """
    check_sweep(sweep)
    studies = list(_studies(sweep, with_data=with_data))
    if with_data:
        check_needs(sweep, {study.dataset_name: study.files for study in studies})
    for study in studies:
        _check_grid(study)
    return studies


def check_data(sweep: Sweep, tell: Callable[[str], None] = lambda remark: None) -> dict[str, int]:
    """Read every row of every data set, and see that its split can work; kept interactions by data set.

    Args:
        tell: is told what is no mistake, but may not be meant.

    Raises:
        InputError: bad data, or a split, a cut-off or a filter that cannot work with them.
    """
    kept: dict[str, int] = {}
    models = Models.of({model.model: catalog.models()[model.model] for _, model in single_models(sweep)})
    for name, dataset in sweep.datasets.items():
        document = sweep.dataset_documents[name]
        checked = check_dataset(dataset, document, find_files(dataset, document))
        remarks = check_split(dataset, document, checked, models)
        _check_cutoffs(sweep, name, checked.counts.all_items)
        check_labels(sweep, name, checked)
        for remark in (*checked.remarks, *remarks):
            tell(remark)
        kept[name] = checked.counts.interactions
    return kept


def _check_cutoffs(sweep: Sweep, dataset: str, items: int) -> None:
    """RecBole takes the best k of all items, and fails where there are fewer."""
    evaluation = sweep.config.evaluation
    asked = [("topk", max(evaluation.topk))]
    asked += [("metric", cutoff) for _, cutoff in searched_metrics(evaluation)]
    for key, cutoff in asked:
        if cutoff > items:
            raise sweep.error(
                ("evaluation", key),
                f"the cut-off {cutoff} is above the {items} items of {dataset}",
                f"use {items} or less, or more items",
            )


def _studies(sweep: Sweep, *, with_data: bool) -> Iterator[StudyPlan]:
    for dataset_name, dataset in sweep.datasets.items():
        files = _files(sweep, dataset_name, needed=with_data)
        for model_name, model in sweep.models.items():
            variants = sweep.variants.get(model_name, {})
            chain = (WITH_MODEL,) if variants else _chain(sweep, model_name, model)
            for phase in chain:
                yield StudyPlan(
                    sweep.config,
                    dataset_name,
                    model_name,
                    dataset,
                    model,
                    files,
                    phase,
                    chain,
                    variants=variants,
                    folder=Path() if "warm_start" in sweep.overrides else sweep.document.path.parent,
                )


def _files(sweep: Sweep, name: str, *, needed: bool) -> DataFiles:
    dataset, document = sweep.datasets[name], sweep.dataset_documents[name]
    try:
        return find_files(dataset, document)
    except InputError:
        if needed:
            raise
        folder = dataset_folder(dataset, document.path)
        return DataFiles(folder or Path(), {}, builtin=folder is None)


def _chain(sweep: Sweep, name: str, model: ModelConfig) -> tuple[str, ...]:
    """The phases of the sweep that a model has, so that each model spends the same budget on its own."""
    wanted = sweep.config.search.phases
    chain = tuple(phase for phase in wanted if phase == WHOLE or phase in model.phases)
    if not chain:
        raise sweep.model_documents[name].error(
            ("phases",),
            f"{name} has none of the phases {', '.join(wanted)}",
            f"add one to `phases` of the model, or search the phase {WHOLE}",
        )
    if len(chain) > sweep.config.search.max_evals:
        raise sweep.error(
            ("search", "max_evals"),
            f"each of the {len(chain)} phases of {name} needs a trial, but max_evals is "
            f"{sweep.config.search.max_evals}",
            "raise it, or name fewer phases",
        )
    return chain


def _check_grid(study: StudyPlan) -> None:
    search = study.sweep.search
    if not search.can(Can.GRID):
        return
    if names := spaces.continuous(study.space):
        raise UserError(
            f"{study.label}: an exhaustive search needs a finite grid; {', '.join(names)} "
            f"{'is' if len(names) == 1 else 'are'} continuous; write choice, quniform or randint, "
            "or use another algo"
        )
    size = spaces.grid_size(study.space)
    if size > LARGE_GRID and not search.allow_large_grid:
        raise UserError(
            f"{study.label}: the grid has {math.floor(size):,} combinations; more than {LARGE_GRID:,} are "
            "searched only on purpose; narrow the space, or pass --allow-large-grid"
        )


def find_study(studies: list[StudyPlan], dataset: str, model: str) -> list[StudyPlan]:
    """The studies of a data set and a model, one a phase.

    Raises:
        InputError: the sweep has no such study.
    """
    found = [study for study in studies if (study.dataset_name, study.model_name) == (dataset, model)]
    if found:
        return found
    names = [f"{study.dataset_name}/{study.model_name}" for study in studies]
    raise InputError(
        "--model", f"the sweep has no study {dataset}/{model}", nearest(f"{dataset}/{model}", names)
    )
