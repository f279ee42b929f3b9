"""The making of a study's trials: its definition, and the RecBole config of each trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recsweep.common.files import to_plain
from recsweep.recbole_api.own_models import CODE
from recsweep.recbole_api.own_source import code_hash
from recsweep.recbole_api.settings import trial_settings
from recsweep.study.description import Description
from recsweep.sweeps import own_names, protocol, split
from recsweep.sweeps.config import WHOLE, DatasetConfig, ModelConfig, TrainingConfig
from recsweep.sweeps.own_names import in_short, is_own
from recsweep.sweeps.scheduler_table import NO_SCHEDULER, OF_POPULATION, POPULATION
from recsweep.sweeps.sections import Frozen


def defined(study: Description) -> dict[str, Any]:
    """All that decides what the trials come to; not how many there are, nor where they run.

    What is as it was before there was a choice is left out, so that old studies go on.
    """
    search, evaluation, pruning = study.search, study.evaluation, study.pruning
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
        "dataset": _defining_dataset(study.dataset),
        "data": dict(study.hashes),
        "model": _defining_model(study.model),
        "training": _defining(study.training),
        "evaluation": evaluation.model_dump(exclude=None if evaluation.objectives else {"objectives"}),
        "search": how,
        "seed": study.seed,
    }
    if study.variants:
        parts["variants"] = {name: _defining_model(model) for name, model in study.variants.items()}
    if study.phase != WHOLE or study.start is not None:
        start = dict(study.model.defaults) if study.start is None else dict(study.start)
        parts["phase"] = {"name": study.phase, "searched": list(study.space), "start": start}
    if pruning.pruner != "none":
        parts["pruning"] = pruning.model_dump()
    if search.scheduler != NO_SCHEDULER:
        parts["scheduler"] = _scheduler(study)
    plain: dict[str, Any] = to_plain(parts)
    return plain


def _scheduler(study: Description) -> dict[str, Any]:
    """The part of a scheduler of Ray Tune's, with what it reads."""
    search = study.search
    if search.scheduler == POPULATION:
        return {"name": POPULATION, **{key: getattr(search, key) for key in OF_POPULATION}}
    return {"name": search.scheduler, "warmup_epochs": study.pruning.warmup_epochs}


def study_settings(
    study: Description, params: Mapping[str, Any], seed: int, split_seed: int | None = None
) -> dict[str, Any]:
    """The complete RecBole config of one trial.

    Args:
        seed: of its training.
        split_seed: of its split, where splits are drawn, or its fold; None: the search's.
    """
    params, model, name = study.complete(params), study.model, ""
    if study.variants:
        name = study.model_of(params)
        model, prefix = study.variants[name], f"{name}."
        params = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
    settings = trial_settings(
        study.dataset,
        study.data_folder,
        model,
        study.training,
        study.evaluation,
        params,
        seed,
        study.search_split if split_seed is None else split_seed,
        study.seed,
    )
    if is_own(model.model):  # of a record, as it was when the study began
        part = study.definition["variants"][name] if study.variants else study.definition["model"]
        settings[CODE] = part["code"]
    return settings


def _defining_model(model: ModelConfig) -> dict[str, Any]:
    """A model file's part of a definition; `phases` only names what a study's own part says."""
    plain = model.model_dump(exclude={"phases", "resources"})
    if not plain["require"]:
        del plain["require"]
    if is_own(model.model):
        plain |= {"model": in_short(model.model), "code": code_hash(model.model)}
    for parameter in plain["space"].values():
        if parameter["when"] is None:
            del parameter["when"]
    return plain


def _defining_dataset(dataset: DatasetConfig) -> dict[str, Any]:
    """A data set file's part; what is as it was before there was a choice is left out."""
    choices = (
        *("remove_duplicates", "label_threshold", "numerical_features", "normalize"),
        *("max_user_interactions", "without_features", "sequence_separator"),
        *protocol.LATER,
        *("label_scale", "discretization"),
    )
    return {
        **dataset.model_dump(exclude={"path", *_usual(dataset, choices)}),
        "split": _defining_split(dataset),
    }


def _defining_split(dataset: DatasetConfig) -> dict[str, Any]:
    return dataset.split.model_dump(exclude=_usual(dataset.split, split.LATER))


def _usual(section: Frozen, choices: Iterable[str]) -> set[str]:
    """The choices that are as they were before there was one."""
    fields = type(section).model_fields
    return {
        name
        for name in choices
        if getattr(section, name) == fields[name].get_default(call_default_factory=True)
    }


def _defining(training: TrainingConfig) -> dict[str, Any]:
    """All that decides a result, but for what is as it was before there was a choice: old studies go on."""
    left_out = {"device", "eval_batch_size"}
    if training.precision == "float32":
        left_out.add("precision")
    if not training.fast:
        left_out.add("fast")
    if not training.fast_negatives:
        left_out.add("fast_negatives")
    return training.model_dump(exclude=left_out)


def code_places(*models: ModelConfig) -> dict[str, str]:
    """The files of models of one's own, by the hashes of their code."""
    places = [
        one.model for one in models if is_own(one.model) and own_names.split(one.model)[0].endswith(".py")
    ]
    return {code_hash(model): own_names.split(model)[0] for model in places}
