"""From a sweep to its studies: what each one is, its content hash, and the seed of every trial.

A study is checked here against what RecBole knows, before anything is trained.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recsweep import space as spaces
from recsweep.config import DatasetConfig, ModelConfig, Sweep, SweepConfig, TrainingConfig
from recsweep.datasets.check import DataFiles, check_dataset, find_files
from recsweep.documents import Document, nearest
from recsweep.errors import InputError, UserError
from recsweep.files import content_hash, to_plain
from recsweep.paths import Outputs
from recsweep.recbole_api import catalog
from recsweep.recbole_api.settings import trial_settings

PHASE = "full"
LARGE_GRID = 1000
_SEED_SPACE = 2**31 - 1


@dataclass(frozen=True)
class StudyPlan:
    """One search: a data set x a model."""

    sweep: SweepConfig
    dataset_name: str
    model_name: str
    dataset: DatasetConfig
    model: ModelConfig
    files: DataFiles

    @property
    def name(self) -> str:
        """Name of the study in the store."""
        return f"{self.sweep.sweep}/{self.dataset_name}/{self.model_name}/{PHASE}"

    @property
    def label(self) -> str:
        return f"{self.dataset_name}/{self.model_name}"

    @property
    def outputs(self) -> Outputs:
        return Outputs(self.sweep.outputs)

    @property
    def storage_url(self) -> str:
        return self.sweep.storage or self.outputs.storage_url

    @property
    def maximize(self) -> bool:
        return catalog.metrics()[self.sweep.evaluation.metric_name.lower()]

    @property
    def budget(self) -> int:
        """Slots of the study: MAX_EVALS, or the whole grid of an exhaustive search."""
        if self.sweep.search.algo == "exhaustive":
            return int(spaces.grid_size(self.model.space))
        return self.sweep.search.max_evals

    @property
    def defaults(self) -> spaces.Params:
        """Trial number one: the published value of every searched parameter."""
        return spaces.cast(self.model.space, self.model.defaults)

    @property
    def definition(self) -> dict[str, Any]:
        """All that decides what a trial computes; not how many there are, nor where they run."""
        search = self.sweep.search
        plain: dict[str, Any] = to_plain(
            {
                "dataset": self.dataset.model_dump(exclude={"path"}),
                "data": dict(self.files.hashes),
                "model": self.model.model_dump(),
                "training": _defining(self.sweep.training),
                "evaluation": self.sweep.evaluation.model_dump(),
                "search": {
                    "engine": search.engine,
                    "algo": search.algo,
                    "startup_trials": search.startup_trials,
                },
                "seed": self.sweep.seed,
            }
        )
        return plain

    @property
    def content_hash(self) -> str:
        return content_hash(self.definition)

    def trial_seed(self, slot: int) -> int:
        """Seed of a trial's training, the same wherever and however often it runs."""
        return _seed(self.content_hash, "trial", slot)

    def proposal_seed(self, slot: int) -> int:
        """Seed of the engine's proposal for a slot."""
        return _seed(self.content_hash, "proposal", slot)

    def settings(self, params: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """The complete RecBole config of one trial."""
        return trial_settings(
            self.dataset,
            self.files.given_folder,
            self.model,
            self.sweep.training,
            self.sweep.evaluation,
            params,
            seed,
            self.sweep.seed,
        )


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
    for name, model in sweep.models.items():
        _check_model(model, sweep.model_documents[name])
        _check_precision(model, sweep.model_documents[name], sweep.config.training)
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
            yield StudyPlan(sweep.config, dataset_name, model_name, dataset, model, files)


def _check_metrics(sweep: Sweep) -> None:
    known = catalog.metrics()
    evaluation = sweep.config.evaluation
    if evaluation.metric_name.lower() not in known:
        raise sweep.error(
            ("evaluation", "metric"),
            f"unknown metric `{evaluation.metric_name}`",
            nearest(evaluation.metric_name, known),
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
    if names := spaces.continuous(study.model.space):
        raise UserError(
            f"{study.label}: an exhaustive search needs a finite grid; {', '.join(names)} "
            f"{'is' if len(names) == 1 else 'are'} continuous; write choice, quniform or randint, "
            "or use another algo"
        )
    size = spaces.grid_size(study.model.space)
    if size > LARGE_GRID and not search.allow_large_grid:
        raise UserError(
            f"{study.label}: the grid has {math.floor(size):,} combinations; more than {LARGE_GRID:,} are "
            "searched only on purpose; narrow the space, or pass --allow-large-grid"
        )


def find_study(studies: list[StudyPlan], dataset: str, model: str) -> StudyPlan:
    """The study of a data set and a model.

    Raises:
        InputError: the sweep has no such study.
    """
    for study in studies:
        if (study.dataset_name, study.model_name) == (dataset, model):
            return study
    names = [study.label for study in studies]
    raise InputError(
        "--model", f"the sweep has no study {dataset}/{model}", nearest(f"{dataset}/{model}", names)
    )
