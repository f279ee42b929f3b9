"""A model file's values against what RecBole heeds: each in `fixed`, in `space` and among the defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recsweep.planning.heads import check_heads
from recsweep.recbole_api import catalog, heeds, negatives, words
from recsweep.sweeps.config import ModelConfig
from recsweep.sweeps.documents import Document
from recsweep.sweeps.space import Choice, QUniform, RandInt

_Place = tuple[str | int, ...]


def check_settings(model: ModelConfig, document: Document) -> None:
    """Look at every value that a trial of the model may get.

    Raises:
        InputError: the first value that RecBole would ignore, take for another, or fail at.
    """
    for path, name, value in _values(model):
        wrong = heeds.mistake(model.model, name, value)
        if wrong is not None:
            raise document.error(path, wrong[0], _as_range(model, name, wrong[1], value))
    _check_negatives(model, document)
    check_heads(model, document)


def _values(model: ModelConfig) -> Iterator[tuple[_Place, str, Any]]:
    """Every value with its place: the fixed ones, those of choices, both ends of ranges, the defaults."""
    for name, value in model.fixed.items():
        yield ("fixed", name), name, value
    for name, parameter in model.space.items():
        if isinstance(parameter, Choice):
            for position, value in enumerate(parameter.values):
                yield ("space", name, "values", position), name, value
            continue
        whole = isinstance(parameter, RandInt) or (isinstance(parameter, QUniform) and parameter.integral)
        for end in ("min", "max"):
            bound = getattr(parameter, end)
            yield ("space", name, end), name, int(bound) if whole else float(bound)
    for name, value in model.defaults.items():
        yield ("defaults", name), name, model.space[name].cast(value)


def _as_range(model: ModelConfig, name: str, fix: str, value: Any) -> str:
    """The fix, where a range of real numbers stands for whole ones."""
    real = isinstance(value, float) and name in model.space and not isinstance(model.space[name], Choice)
    return "use `randint`, or `quniform` with whole numbers" if real and fix.startswith("write ") else fix


def check_flat(model: str, document: Document) -> None:
    """The same for one complete RecBole config, such as `best_config.yaml`.

    Raises:
        InputError: as `check_settings`.
    """
    for name in document.data.keys() & catalog.fixable(model):
        wrong = heeds.mistake(model, name, document.data[name])
        if wrong is not None:
            raise document.error((name,), *wrong)


def possible(model: ModelConfig, name: str) -> list[Any]:
    """The values of a setting that trials may get, where they can be listed; RecBole's default otherwise."""
    if name in model.fixed:
        return [model.fixed[name]]
    parameter = model.space.get(name)
    if isinstance(parameter, Choice):
        return list(parameter.grid())
    return [model.defaults.get(name, words.shipped(model.model, name))]


def _check_negatives(model: ModelConfig, document: Document) -> None:
    """`train_neg_sample_args` where the model would ignore or misread them."""
    if negatives.KEY not in model.fixed:
        return
    path, given = ("fixed", negatives.KEY), model.fixed[negatives.KEY]
    name, use = model.model, negatives.use(model.model)
    if given is None:
        searched = use == "unless CE" and "BPR" in possible(model, "loss_type")
        if use == "pairs" or searched or catalog.family(name) == "knowledge":
            raise document.error(path, f"{name} learns from pairs, which need negatives", "drop it")
        return
    if use == "never":
        raise document.error(path, f"{name} draws no negatives, and would ignore it", "drop it", at_key=True)
    if use == "not at all" or (use == "unless CE" and "CE" in possible(model, "loss_type")):
        raise document.error(
            path,
            f"{name} ranks all items in its loss{' `CE`' if use == 'unless CE' else ''}, without negatives",
            f"drop it{', or use `loss_type: BPR`' if use == 'unless CE' else ''}",
            at_key=True,
        )
