"""From a sweep to its studies: what each one is, its content hash, and the seed of every trial.

A study is checked here against what RecBole knows, before anything is trained.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recsweep import space as spaces
from recsweep.config import (
    MODEL_PARAMETER,
    SECONDS,
    WHOLE,
    WITH_MODEL,
    DatasetConfig,
    ModelConfig,
    SweepConfig,
    TrainingConfig,
)
from recsweep.datasets.check import DataFiles, check_dataset, find_files
from recsweep.documents import Document, nearest
from recsweep.errors import InputError, UserError
from recsweep.files import content_hash, to_plain
from recsweep.loading import Sweep
from recsweep.paths import Outputs
from recsweep.recbole_api import catalog
from recsweep.recbole_api.settings import trial_settings

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
        return Outputs(self.sweep.outputs)

    @property
    def storage_url(self) -> str:
        return self.sweep.storage or self.outputs.storage_url

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
        if self.sweep.search.algo == "exhaustive":
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
            "dataset": self.dataset.model_dump(exclude={"path"}),
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
        return content_hash(self.definition)

    @property
    def _seed_hash(self) -> str:
        """Of all but the pruner: with and without one, a study trains the same trials."""
        return content_hash({key: part for key, part in self.definition.items() if key != "pruning"})

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
    """The named parameters of a space, the others having the values of `params`."""
    part: dict[str, Any] = {}
    settled = {name: value for name, value in params.items() if name not in names}
    for name in names:
        inside = {parent: value for parent, value in (space[name].when or {}).items() if parent in names}
        outside = {parent: value for parent, value in (space[name].when or {}).items() if parent not in names}
        alone = space[name].model_copy(update={"when": outside or None})
        if spaces.is_active({**space, name: alone}, name, settled):
            part[name] = space[name].model_copy(update={"when": inside or None})
    return part


def _defining_model(model: ModelConfig) -> dict[str, Any]:
    """A model file's part of a definition; `phases` only names what a study's own part says."""
    plain = model.model_dump(exclude={"phases"})
    for parameter in plain["space"].values():
        if parameter["when"] is None:
            del parameter["when"]
    return plain


def _defining(training: TrainingConfig) -> dict[str, Any]:
    """What decides a result. What is as it was before there was a choice is left out: old studies go on."""
    left_out = {"device"}
    if training.precision == "float32":
        left_out.add("precision")
    if not training.fast:
        left_out.add("fast")
    return training.model_dump(exclude=left_out)


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEED_SPACE


def plan_sweep(sweep: Sweep) -> list[StudyPlan]:
    """The studies of a sweep, data set by data set.

    Raises:
        InputError: what RecBole does not know, a parameter that a model never reads, defaults
            outside their space, bad data.
        UserError: a grid too large to search without being asked to.
    """
    _check_metrics(sweep)
    for name, model in _single_models(sweep):
        document = sweep.model_documents[name]
        _check_model(model, document)
        _check_phases(model, document)
        _check_precision(model, document, sweep.config.training)
        _check_order(model, sweep)
    studies = list(_studies(sweep))
    for study in studies:
        _check_grid(study)
    return studies


def check_data(sweep: Sweep) -> dict[str, int]:
    """Read every row of every data set; kept interactions by data set."""
    kept: dict[str, int] = {}
    for name, dataset in sweep.datasets.items():
        document = sweep.dataset_documents[name]
        kept[name] = check_dataset(dataset, document, find_files(dataset, document))
    return kept


def _studies(sweep: Sweep) -> Iterator[StudyPlan]:
    for dataset_name, dataset in sweep.datasets.items():
        files = find_files(dataset, sweep.dataset_documents[dataset_name])
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


def _single_models(sweep: Sweep) -> Iterator[tuple[str, ModelConfig]]:
    """Every model that a sweep trains, by the name of its file."""
    for name, model in sweep.models.items():
        yield from (sweep.variants.get(name) or {name: model}).items()


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


def _check_metrics(sweep: Sweep) -> None:
    known = catalog.metrics()
    evaluation = sweep.config.evaluation
    if evaluation.metric_name.lower() not in known:
        raise sweep.error(
            ("evaluation", "metric"),
            f"unknown metric `{evaluation.metric_name}`",
            nearest(evaluation.metric_name, known),
        )
    for position, objective in enumerate(evaluation.objectives):
        metric = objective.split("@")[0]
        if objective != SECONDS and metric.lower() not in known:
            raise sweep.error(
                ("evaluation", "objectives", position), f"unknown metric `{metric}`", nearest(metric, known)
            )
    for position, name in enumerate(evaluation.metrics):
        if name.lower() not in known:
            raise sweep.error(
                ("evaluation", "metrics", position), f"unknown metric `{name}`", nearest(name, known)
            )
    for position, cutoff in enumerate(evaluation.topk):
        if cutoff < 1:
            raise sweep.error(
                ("evaluation", "topk", position), f"a cut-off must be >= 1, but got {cutoff}", "use 10"
            )


def _check_order(model: ModelConfig, sweep: Sweep) -> None:
    if catalog.models()[model.model] != "sequential":
        return
    for name, dataset in sweep.datasets.items():
        if dataset.split.order != "time":
            raise sweep.dataset_documents[name].error(
                ("split", "order"),
                f"{model.model} learns from sequences, which need `order: time`",
                "use `order: time`, or leave the model out",
            )


def _check_model(model: ModelConfig, document: Document) -> None:
    if model.model not in catalog.models():
        raise document.error(
            ("model",), f"RecBole has no model `{model.model}`", nearest(model.model, catalog.models())
        )
    searchable = catalog.searchable(model.model)
    for name, parameter in model.space.items():
        _check_searchable(model, document, name, searchable)
        _check_conditions(model, document, name)
        if name not in model.defaults:
            published = catalog.published_defaults(model.model).get(name)
            hint = f" (RecBole ships {published})" if published is not None else ""
            raise document.error(
                ("space", name), f"`{name}` has no default", f"add `{name}:` to `defaults`{hint}", at_key=True
            )
        if not parameter.contains(model.defaults[name]):
            raise document.error(
                ("defaults", name),
                f"the default {to_plain(model.defaults[name])!r} of `{name}` lies outside its space",
                "widen the space, so that trial number one is a point of it",
            )
    for name in model.defaults:
        if name not in model.space:
            raise document.error(
                ("defaults", name),
                f"`{name}` is not searched",
                "move it to `fixed`, or add it to `space`",
                at_key=True,
            )
    for name in model.fixed:
        if name in catalog.RESERVED_KEYS:
            raise document.error(
                ("fixed", name),
                f"`{name}` is the same for every model of a sweep",
                "set it in the sweep file or the data set file",
                at_key=True,
            )
        known = searchable | catalog.settings() | catalog.published_defaults(model.model).keys()
        if name in model.space:
            raise document.error(("fixed", name), f"`{name}` is searched too", "drop one", at_key=True)
        if name not in known:
            raise document.error(
                ("fixed", name), f"{model.model} never reads `{name}`", nearest(name, known), at_key=True
            )


def _check_conditions(model: ModelConfig, document: Document, name: str) -> None:
    """What a parameter depends on must be searched, have an end, and not depend on it in turn."""
    for parent, wanted in (model.space[name].when or {}).items():
        place = ("space", name, "when", parent)
        others = [other for other in model.space if other != name]
        if parent not in others:
            raise document.error(
                place, f"`{parent}` is no other parameter of the space", nearest(parent, others), at_key=True
            )
        if math.isinf(model.space[parent].size):
            raise document.error(
                place, f"`{parent}` is continuous", "depend on a choice, quniform or randint", at_key=True
            )
        for value in wanted if isinstance(wanted, tuple) else (wanted,):
            if not model.space[parent].contains(value):
                raise document.error(place, f"`{parent}` is never {value!r}", "use one of its values")
    ancestors: set[str] = set()
    pending = [name]
    while pending:
        parents = set(model.space[pending.pop()].when or {}) - ancestors
        ancestors |= parents
        pending += parents & model.space.keys()
    if name in ancestors:
        raise document.error(
            ("space", name, "when"), f"`{name}` depends on itself", "take one condition away", at_key=True
        )


def _check_phases(model: ModelConfig, document: Document) -> None:
    for phase, names in model.phases.items():
        for position, name in enumerate(names):
            if name not in model.space:
                raise document.error(
                    ("phases", phase, position), f"`{name}` is not in the space", nearest(name, model.space)
                )


def _check_precision(model: ModelConfig, document: Document, training: TrainingConfig) -> None:
    """RecBole clips gradients while they are scaled for float16, and so to next to nothing."""
    if training.precision == "float32" or training.device == "cpu":
        return
    for part in ("space", "fixed"):
        if getattr(model, part).get("clip_grad_norm") is not None:
            raise document.error(
                (part, "clip_grad_norm"),
                "RecBole clips wrongly with `training.precision: mixed` on a GPU",
                "use `precision: float32`, or leave out `clip_grad_norm`",
                at_key=True,
            )


def _check_searchable(model: ModelConfig, document: Document, name: str, searchable: frozenset[str]) -> None:
    if name in searchable:
        return
    if name in catalog.DATA_KEYS or name in catalog.RESERVED_KEYS:
        raise document.error(
            ("space", name),
            f"`{name}` is the same for every trial of a study",
            "set it in the data set or sweep file, and make one sweep for each value",
            at_key=True,
        )
    raise document.error(
        ("space", name),
        f"{model.model} never reads `{name}`",
        nearest(name, searchable),
        at_key=True,
    )


def _check_grid(study: StudyPlan) -> None:
    search = study.sweep.search
    if search.algo != "exhaustive":
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
