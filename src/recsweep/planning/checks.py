"""A sweep against what RecBole knows: its metrics, its models and what they read."""

from __future__ import annotations

import math
from collections.abc import Iterator

from recsweep.common.errors import UserError
from recsweep.common.files import to_plain
from recsweep.planning.metric_checks import check_metrics, check_tasks
from recsweep.planning.setting_checks import check_settings
from recsweep.recbole_api import catalog, own_models, own_source
from recsweep.study.description import Description
from recsweep.sweeps import hints
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import ModelConfig, TrainingConfig
from recsweep.sweeps.documents import Document, nearest
from recsweep.sweeps.engine_table import Can
from recsweep.sweeps.loading import Sweep
from recsweep.sweeps.own_names import is_own, split
from recsweep.sweeps.parameters import Choice
from recsweep.sweeps.rules import Rule
from recsweep.sweeps.values import mixed

LARGE_GRID = 1000
"""Combinations; more are searched only where somebody says so."""


def check_sweep(sweep: Sweep) -> None:
    """Look at everything that can be wrong without its data.

    Raises:
        InputError: what RecBole does not know, a parameter that a model never reads, defaults outside
            their space, conditions that cannot hold.
    """
    own_source.look_again()
    check_metrics(sweep)
    check_tasks(sweep, single_models(sweep))
    for name, model in single_models(sweep):
        document = sweep.model_documents[name]
        _check_model(model, document)
        check_settings(model, document)
        _check_phases(model, document)
        _check_precision(model, document, sweep.config.training)
        _check_order(model, sweep)
        _check_pairs(model, document, sweep)


def single_models(sweep: Sweep) -> Iterator[tuple[str, ModelConfig]]:
    """Every model that a sweep trains, by the name of its file."""
    for name, model in sweep.models.items():
        yield from (sweep.variants.get(name) or {name: model}).items()


def _check_order(model: ModelConfig, sweep: Sweep) -> None:
    if catalog.family(model.model) != "sequential":
        return
    for name, dataset in sweep.datasets.items():
        document, split = sweep.dataset_documents[name], dataset.split
        if split.type == "k_fold":
            problem = f"{model.model} learns from sequences, which folds drawn at random take apart"
            raise document.error(("split", "type"), problem, "use a split by time, or leave the model out")
        if split.type == "cold_items":
            problem = (
                f"{model.model} learns from sequences, in which it would see the items that are held out"
            )
            raise document.error(("split", "type"), problem, "use another split, or leave the model out")
        if split.order != "time":
            raise document.error(
                ("split", "order"),
                f"{model.model} learns from sequences, which need `order: time`",
                "use `order: time`, or leave the model out",
            )
        if dataset.columns is not None and dataset.time_field not in dataset.columns.get("inter", ()):
            problem = f"{model.model} learns from sequences, but `{dataset.time_field}` is not loaded"
            raise document.error(("columns", "inter"), problem, "add it, or leave the model out")


def _check_pairs(model: ModelConfig, document: Document, sweep: Sweep) -> None:
    """Refuse a model of one's own that cannot score the pairs that it will be asked for."""
    sampled = any(dataset.candidates != "full" for dataset in sweep.datasets.values())
    asked = sampled or sweep.config.evaluation.predicts
    if asked and is_own(model.model) and not own_models.scores_pairs(model.model):
        problem = (
            f"{split(model.model)[1]} has no `predict`, which sampled candidates and predictions are asked of"
        )
        raise document.error(
            ("model",), problem, "write `predict(self, interaction)`, or use `candidates: full`"
        )


def _check_model(model: ModelConfig, document: Document) -> None:
    if is_own(model.model):
        if (wrong := own_models.mistake(model.model)) is not None:
            raise document.error(("model",), *wrong)
        if (wrong := own_models.untyped(model.model, [*model.fixed, *model.space])) is not None:
            raise document.error(("model",), *wrong)
    elif model.model not in catalog.models():
        raise document.error(
            ("model",), f"RecBole has no model `{model.model}`", nearest(model.model, catalog.models())
        )
    searchable = catalog.searchable(model.model)
    for name, parameter in model.space.items():
        if isinstance(parameter, Choice) and (problem := mixed(parameter.values)):
            raise document.error(("space", name, "values"), problem, "write all of them as one kind")
        _check_readable(model, document, ("space", name), searchable)
        _check_conditions(model, document, name)
        _check_default(model, document, name)
    _check_rules(model, document)
    for name in model.defaults:
        if name not in model.space:
            raise document.error(
                ("defaults", name),
                f"`{name}` is not searched",
                "move it to `fixed`, or add it to `space`",
                at_key=True,
            )
    for name in model.fixed:
        if name in model.space:
            raise document.error(("fixed", name), f"`{name}` is searched too", "drop one", at_key=True)
        _check_readable(model, document, ("fixed", name), catalog.fixable(model.model))


def _check_rules(model: ModelConfig, document: Document) -> None:
    """Refuse a constraint that is none, that names what has no value, or that trial number one breaks."""
    lone = isinstance(document.data.get("require"), str)
    for position, text in enumerate(model.require):
        path: tuple[str | int, ...] = ("require",) if lone else ("require", position)
        rule = Rule(text, model.fixed)
        try:
            names = rule.names
        except ValueError as error:
            raise document.error(path, str(error), "write one such as `hidden_size % n_heads == 0`") from None
        names_there = [*model.space, *model.fixed]
        for name in names:
            if name not in names_there:
                raise document.error(
                    path, f"`{name}` is neither searched nor in `fixed`", nearest(name, names_there)
                )
        if not set(names) & set(model.space):
            raise document.error(path, f"`{text}` has no parameter of the space", "name one, or drop it")
        if not rule.holds(spaces.cast(model.space, model.defaults)):
            raise document.error(
                path,
                f"`{text}` does not hold at the defaults",
                "change them: trial number one has to keep it",
            )


def _check_default(model: ModelConfig, document: Document, name: str) -> None:
    """Refuse a parameter without a default, or with one outside its space."""
    if name not in model.defaults:
        published = catalog.published_defaults(model.model).get(name)
        hint = f" (RecBole ships {published})" if published is not None else ""
        raise document.error(
            ("space", name), f"`{name}` has no default", f"add `{name}:` to `defaults`{hint}", at_key=True
        )
    if not model.space[name].contains(model.defaults[name]):
        raise document.error(
            ("defaults", name),
            f"the default {to_plain(model.defaults[name])!r} of `{name}` lies outside its space",
            "widen the space, so that trial number one is a point of it",
        )


def _check_conditions(model: ModelConfig, document: Document, name: str) -> None:
    """Refuse a dependence on what is not searched, has no end, or depends on the parameter in turn."""
    for parent, wanted in (model.space[name].when or {}).items():
        path = ("space", name, "when", parent)
        others = [other for other in model.space if other != name]
        if parent not in others:
            raise document.error(
                path, f"`{parent}` is no other parameter of the space", nearest(parent, others), at_key=True
            )
        if math.isinf(model.space[parent].size):
            raise document.error(
                path, f"`{parent}` is continuous", "depend on a choice, quniform or randint", at_key=True
            )
        for value in wanted if isinstance(wanted, tuple) else (wanted,):
            if not model.space[parent].contains(value):
                raise document.error(path, f"`{parent}` is never {value!r}", "use one of its values")
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


def _check_readable(
    model: ModelConfig, document: Document, path: tuple[str, str], readable: frozenset[str]
) -> None:
    """Refuse a setting of a model file that the model does not read, or that is not the model's own."""
    part, name = path
    if name in readable:
        return
    shared = name in catalog.data_keys() or name in catalog.RESERVED_KEYS
    if shared:
        whose = "every trial of a study" if part == "space" else "every model of a sweep"
        ours = hints.ours(name)
        fix = f"set {ours}" if ours else "drop it; no key of the sweep or data set file changes it"
        if ours and part == "space":
            fix += ", and make one sweep for each value"
        problem = f"`{name}` is the same for {whose}"
    elif name in catalog.TRAINING_KEYS and not catalog.learns(model.model):
        problem = f"{model.model} is trained by no gradient, and never reads `{name}`"
        fix = (
            f"drop it; {model.model} reads {', '.join(sorted(catalog.parameters(model.model))) or 'nothing'}"
        )
    else:
        problem, fix = f"{model.model} never reads `{name}`", nearest(name, readable)
    raise document.error(path, problem, fix, at_key=True)


def check_grid(study: Description) -> None:
    """Refuse a grid that has no end, and one too large to be meant."""
    search = study.search
    if not search.can(Can.GRID):
        return
    if names := spaces.continuous(study.space):
        raise UserError(
            f"{study.label}: an exhaustive search needs a finite grid; {', '.join(names)} "
            f"{'is' if len(names) == 1 else 'are'} continuous; write choice, quniform or randint, "
            "or use another algo"
        )
    size = spaces.grid_size(study.space)
    if study.rules and size > spaces.MOST_COUNTED:
        raise UserError(
            f"{study.label}: of the {math.floor(size):,} combinations of the grid those that keep "
            f"`{study.rules[0].text}` are too many to be counted; narrow the space, or use another algo"
        )
    if size > LARGE_GRID and not search.allow_large_grid:
        raise UserError(
            f"{study.label}: the grid has {math.floor(size):,} combinations; more than {LARGE_GRID:,} are "
            "searched only on purpose; narrow the space, or pass --allow-large-grid"
        )
