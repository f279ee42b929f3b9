"""The parts of a record, typed; and a sweep's own types, made again of a definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recsweep.common import provenance
from recsweep.study.description import Objective
from recsweep.sweeps import own_names
from recsweep.sweeps.config import (
    BUILTIN,
    DatasetConfig,
    EvaluationConfig,
    ModelConfig,
    PruningConfig,
    SearchConfig,
    TrainingConfig,
)
from recsweep.sweeps.remade import remade
from recsweep.sweeps.sections import TRIALS


@dataclass(frozen=True)
class Apart:
    """The parts of a study that no result depends on.

    Attributes:
        path: of the data set, as its file names it.
        folder: where the data were, or its mere name where nobody has said; empty for ml-100k from RecBole's
            wheel.
        phases: names of the parameters that each phase of the model searches.
        max_evals: the budget of the whole model; None where nobody has said.
        code: files of models of one's own, by the hashes of their code.
        unit, share: where that is counted in seconds or epochs, which, and how many the study may use.
        no_improvement_after, timeout_minutes, sweep_timeout_minutes: limits.
    """

    path: str = ""
    folder: str = ""
    phases: Mapping[str, Any] = field(default_factory=dict)
    max_evals: int | None = None
    no_improvement_after: int | None = None
    timeout_minutes: float | None = None
    sweep_timeout_minutes: float | None = None
    device: str = "auto"
    eval_batch_size: int | None = None
    unit: str = TRIALS
    share: float | None = None
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def limits(self) -> tuple[float | None, ...]:
        """The limits that end the study beside its budget in trials."""
        return self.no_improvement_after, self.timeout_minutes, self.sweep_timeout_minutes, self.share


@dataclass(frozen=True)
class Change:
    """The budget was set."""

    at: str
    """When, as ISO 8601 writes it."""
    by: str
    """The source that set it: `config`, which is the sweep with its options, or `--more`."""
    to: int


@dataclass(frozen=True)
class Maker:
    """Who began a study.

    Attributes:
        recsweep: its version.
        commit: recsweep's own.
        versions: of Python and the libraries that results depend on.
        repository: the user's own around the folder where the study was begun, if there was one: its name,
            commit, and whether files differ from it.
    """

    recsweep: str = ""
    commit: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    repository: Mapping[str, Any] | None = None

    @classmethod
    def here(cls) -> Maker:
        """Who makes studies in this process."""
        found = provenance.versions()
        libraries = {name: version for name, version in found.items() if name != "recsweep"}
        return cls(found["recsweep"], provenance.commit(), libraries, provenance.repository())


@dataclass(frozen=True)
class Winner:
    """The best trial of a study."""

    trial_id: int
    slot: int
    score: float | None
    params: Mapping[str, Any]
    """Those that its phase searched."""


@dataclass(frozen=True)
class Details:
    """The parts of a record beside its columns.

    Attributes:
        chain: the phases of the model in the sweep, in order.
        definition: all that decides what the trials come to, in the order of the files that it is from.
        objectives: what is searched for, the one that decides first.
        start: where the search starts, where that is not the model's defaults.
        inherits: slot 0 is the best trial of the phase before.
        apart: what no result depends on: where the data are, limits, device.
        history: what the budget was set to, when, and by what.
        counts: users, items and interactions of the data that the trials train on; empty until known.
        maker: who began the study: recsweep's version and commit, the libraries, the user's repository.
        winner: the best trial, once the study has ended.
        test: what a winner came to on the test split, with its `trial_id`; empty until one was evaluated.
    """

    chain: tuple[str, ...]
    definition: Mapping[str, Any]
    objectives: tuple[Objective, ...]
    inherits: bool = False
    apart: Apart = field(default_factory=Apart)
    history: tuple[Change, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    maker: Maker = field(default_factory=Maker)
    winner: Winner | None = None
    test: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Details:
        """From what `to_plain` makes of it."""
        winner = plain.get("winner")
        return cls(
            tuple(plain["chain"]),
            plain["definition"],
            tuple(Objective(one["name"], one["maximize"]) for one in plain["objectives"]),
            plain["inherits"],
            Apart(**plain["apart"]),
            tuple(Change(**one) for one in plain["history"]),
            plain["counts"],
            Maker(**plain["maker"]),
            None if winner is None else Winner(**winner),
            plain["test"],
        )


def dataset_config(definition: Mapping[str, Any], apart: Apart) -> DatasetConfig:
    """The data set of a study."""
    return remade(DatasetConfig, {**definition["dataset"], "path": apart.path or BUILTIN})


def model_config(part: Mapping[str, Any], apart: Apart) -> ModelConfig:
    """A model of a study.

    Args:
        part: of the definition.
        apart: it has the phases, and the file of a model of one's own.
    """
    file, name = apart.code.get(part.get("code", "")), own_names.split(part["model"])[1]
    model = f"{file}:{name}" if file else part["model"]
    return remade(ModelConfig, {**part, "model": model, "phases": apart.phases})


def training_config(definition: Mapping[str, Any], apart: Apart) -> TrainingConfig:
    """How the trials of a study train."""
    given = definition["training"]
    size = apart.eval_batch_size or given.get("eval_batch_size")
    sizes = {"eval_batch_size": size} if size else {}
    return remade(TrainingConfig, {"fast": False, **given, **sizes, "device": apart.device})


def evaluation_config(definition: Mapping[str, Any]) -> EvaluationConfig:
    """The measures of a study."""
    return remade(EvaluationConfig, definition["evaluation"])


_CALLED = {"name": "scheduler"}


def search_config(definition: Mapping[str, Any], apart: Apart) -> SearchConfig:
    """How a study searches, with its limits."""
    limits = {"timeout_minutes": apart.timeout_minutes, "no_improvement_after": apart.no_improvement_after}
    budget: dict[str, Any] = {"max_evals": apart.max_evals} if apart.max_evals else {}
    if apart.share is not None:
        budget |= {"budget": apart.unit, "share": apart.share}
    scheduler = {_CALLED.get(key, key): part for key, part in definition.get("scheduler", {}).items()}
    scheduler.pop("warmup_epochs", None)  # of `pruning`
    return remade(SearchConfig, {**definition["search"], **scheduler, **limits, **budget})


def pruning_config(definition: Mapping[str, Any]) -> PruningConfig:
    """The rule that stops trials of a study early."""
    scheduled = definition.get("scheduler", {})
    grace = {key: part for key, part in scheduled.items() if key == "warmup_epochs"}
    return remade(PruningConfig, definition.get("pruning", grace))
