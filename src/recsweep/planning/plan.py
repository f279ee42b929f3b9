"""From a sweep to its studies: what each one is, its content hash, and the seed of every trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.common.paths import Outputs
from recsweep.datasets.files import DataFiles, find_files
from recsweep.planning.checks import check_grid, check_sweep, single_models
from recsweep.planning.data_checks import check_labels, check_needs, check_sizes
from recsweep.planning.definition import code_places, defined, study_settings
from recsweep.planning.shares import share_of, share_text, slots_of
from recsweep.recbole_api import catalog
from recsweep.study.description import Description, Objective
from recsweep.study.details import Stretch
from recsweep.study.parts import Apart
from recsweep.study.record import SEARCH, StudyRecord, record_of
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import (
    SECONDS,
    WHOLE,
    WITH_MODEL,
    DatasetConfig,
    EvaluationConfig,
    ModelConfig,
    PruningConfig,
    SearchConfig,
    SweepConfig,
    TrainingConfig,
    dataset_folder,
)
from recsweep.sweeps.documents import Document, nearest
from recsweep.sweeps.engine_table import Can
from recsweep.sweeps.loading import Sweep
from recsweep.sweeps.protocol import ranked_of
from recsweep.sweeps.resources import ResourcesConfig

if TYPE_CHECKING:
    from recsweep.datasets.check import Checked


@dataclass(frozen=True)
class StudyPlan(Description):
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
    """True where slot 0 is the best trial of the phase before, which is not trained again."""
    variants: Mapping[str, ModelConfig] = field(default_factory=dict)
    """The models that this one stands for, where the model itself is searched."""
    study_name: str | None = None
    """Another name of the study in the store."""
    slots: int | None = None
    """Another budget than the config's."""
    folder: Path = Path()
    """The folder that paths in the config are relative to."""

    @property
    def kind(self) -> str:
        return SEARCH

    @property
    def sweep_name(self) -> str:
        return self.sweep.sweep

    @property
    def hashes(self) -> Mapping[str, str]:
        return self.files.hashes

    @property
    def data_folder(self) -> Path | None:
        return self.files.given_folder

    @property
    def training(self) -> TrainingConfig:
        return self.sweep.training

    @property
    def evaluation(self) -> EvaluationConfig:
        return self.sweep.evaluation

    @property
    def search(self) -> SearchConfig:
        return self.sweep.search

    @property
    def pruning(self) -> PruningConfig:
        return self.sweep.pruning

    @property
    def seed(self) -> int:
        return self.sweep.seed

    @property
    def sweep_timeout_minutes(self) -> float | None:
        return self.sweep.timeout_minutes

    @property
    def outputs(self) -> Outputs:
        return self.outputs_below(self.sweep.outputs)

    @property
    def storage_url(self) -> StoreAddress:
        """Where the store is; masked wherever it is printed."""
        own = self.sweep.storage
        return own.below(self.sweep.outputs) if own is not None else self.outputs.storage_url

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives of the search; the first one decides on the winner."""
        names = self.evaluation.objectives or (self.evaluation.metric,)
        return tuple(Objective(name, _maximize(name)) for name in names)

    @property
    def budget(self) -> int:
        """Slots of the study: its share of MAX_EVALS, or the whole grid of an exhaustive search.

        A trial that is inherited costs nothing and comes on top.
        """
        if self.slots is not None:
            return self.slots
        if not self.model.space:
            return 1
        if self.search.can(Can.GRID):
            return int(spaces.grid_size(self.space))
        return int(min(slots_of(self.search, self.chain, self.phase) + self.inherits, self.most_trials))

    @property
    def share(self) -> float | None:
        """Seconds or epochs that the study may use, where its budget is counted in these."""
        return share_of(self.search, self.chain, self.phase)

    @property
    def how(self) -> str:
        """How its trials come about, in words: `hyperopt/bayes`."""
        shared = "" if self.share is None else f", {share_text(self.share, self.search.budget)} in all"
        every = f", all {counted(self.budget, 'configuration')}" if self.tries_all else ""
        return f"{self.search.engine}/{self.search.algo}{shared}{every}"

    @property
    def resources(self) -> ResourcesConfig:
        """Resources of a job that trains the study: as the model's file says, else the sweep."""
        usual = ResourcesConfig(gpus=0 if self.training.device == "cpu" else 1)
        return self.model.resources.over(self.sweep.resources.over(usual))

    @property
    def definition(self) -> dict[str, Any]:
        """All that decides what the trials come to; not how many there are, nor where they run."""
        return defined(self)

    def record(self) -> StudyRecord:
        """How the study describes itself in the store: the one way from a plan to a record.

        It is not begun; `StudyRecord.opened` says when it was, and by whom. Where its definition differs from
        that of the record in the store, the config has changed.
        """
        folder = self.data_folder
        return record_of(
            self,
            Apart(
                path=self.dataset.path,
                folder="" if folder is None else str(folder),
                phases={name: list(names) for name, names in self.model.phases.items()},
                max_evals=self.search.max_evals,
                unit=self.search.budget,
                share=self.share,
                no_improvement_after=self.search.no_improvement_after,
                timeout_minutes=self.search.timeout_minutes,
                sweep_timeout_minutes=self.sweep.timeout_minutes,
                device=self.training.device,
                eval_batch_size=self.training.eval_batch_size,
                code=code_places(self.model, *self.variants.values()),
            ),
        )

    def split_seed(self, slot: int) -> int:
        """Seed of the split on which a slot is trained, where splits are drawn, or its fold."""
        return self.search_split

    def stretches(self, slot: int) -> tuple[Stretch, ...]:
        """How the parameters of a slot change while it trains, where that is known beforehand."""
        return ()

    def settings(self, params: Mapping[str, Any], seed: int, split_seed: int | None = None) -> dict[str, Any]:
        """The complete RecBole config of one trial.

        Args:
            seed: of its training.
            split_seed: of its split; None: the search's.
        """
        return study_settings(self, params, seed, split_seed)


def _maximize(objective: str) -> bool:
    return objective != SECONDS and catalog.directions()[objective.split("@")[0].lower()]


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
        check_grid(study)
    return studies


def check_data(
    sweep: Sweep,
    tell: Callable[[str], None] = lambda remark: None,
    read: Callable[[DatasetConfig, Document, DataFiles], Checked | None] | None = None,
) -> dict[str, int]:
    """Read every row of every data set, and see that its split can work; kept interactions by data set.

    Args:
        tell: is told what is no mistake, but may not be meant.
        read: reads one data set in place of `check_dataset`; what it gives nothing for is not looked at.

    Raises:
        InputError: bad data, or a split, a cut-off or a filter that cannot work with them.
    """
    from recsweep.datasets.check import check_dataset  # with NumPy, which nothing else of a plan needs
    from recsweep.datasets.feasible import Models, check_split

    kept: dict[str, int] = {}
    models = Models.of({model.model: catalog.family(model.model) for _, model in single_models(sweep)})
    for name, dataset in sweep.datasets.items():
        document = sweep.dataset_documents[name]
        checked = (read or check_dataset)(dataset, document, find_files(dataset, document))
        if checked is None:
            continue
        remarks = check_split(dataset, document, checked, models)
        _check_cutoffs(sweep, name, ranked_of(dataset, checked.counts.all_items))
        check_labels(sweep, name, checked)
        check_sizes(sweep, name, checked)
        for remark in (*checked.remarks, *remarks):
            tell(remark)
        kept[name] = checked.counts.interactions
    return kept


def _check_cutoffs(sweep: Sweep, dataset: str, items: int) -> None:
    """RecBole takes the best k of all items, and fails where there are fewer."""
    evaluation = sweep.config.evaluation
    if evaluation.predicts:  # nothing is ranked
        return
    asked = [("topk", max(evaluation.topk))]
    asked += [("metric", cutoff) for cutoff in evaluation.cutoffs]
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
    wanted = sweep.config.search.phases if model.space else (WHOLE,)
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
