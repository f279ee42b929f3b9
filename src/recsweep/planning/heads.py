"""Attention heads share a width: it must be a multiple of their number, or RecBole makes no model."""

from __future__ import annotations

from collections.abc import Iterator

from recsweep.common.files import counted
from recsweep.recbole_api import catalog, words
from recsweep.sweeps.config import ModelConfig
from recsweep.sweeps.documents import Document
from recsweep.sweeps.rules import Rule

_WIDTHS = {"n_heads": ("hidden_size", "embedding_size"), "num_heads": ("attention_size",)}
"""The settings of heads, and of the width that they share: the first that a model reads."""


def check_heads(model: ModelConfig, document: Document) -> None:
    """See that the heads of trial number one fit its width.

    Raises:
        InputError: they do not; so no study begins in which no combination fits.
    """
    for heads, width in _pairs(model):
        number, size = _at_start(model, heads), _at_start(model, width)
        if size % number:
            part = next((p for p in ("defaults", "fixed") if width in getattr(model, p)), "defaults")
            raise document.error(
                (part, width),
                f"`{width}` {size} is not a multiple of `{heads}` {number}",
                "change one of them",
            )


def misfits(model: ModelConfig) -> Iterator[str]:
    """How many of the searched combinations of heads and width cannot work, where some cannot."""
    for heads, width in _pairs(model):
        numbers, sizes = _values(model, heads), _values(model, width)
        rules = [Rule(text, model.fixed) for text in model.require]
        pairs = [(number, size) for number in numbers for size in sizes]
        pairs = [pair for pair in pairs if _allowed(rules, dict(zip((heads, width), pair, strict=True)))]
        wrong = [(number, size) for number, size in pairs if size % number]
        if wrong:
            number, size = wrong[0]
            yield (
                f"{model.model}: of {counted(len(pairs), 'combination')} of `{heads}` and `{width}` "
                f"{len(wrong)} cannot work, such as {number} and {size}: a width must be a multiple of its "
                "heads; their trials will fail"
            )


def _allowed(rules: list[Rule], values: dict[str, int]) -> bool:
    return all(rule.holds(values) for rule in rules)


def _pairs(model: ModelConfig) -> Iterator[tuple[str, str]]:
    reads = catalog.parameters(model.model)
    for heads, widths in _WIDTHS.items():
        width = next((name for name in widths if name in reads), None)
        if heads in reads and width is not None:
            yield heads, width


def _at_start(model: ModelConfig, name: str) -> int:
    return int({**model.defaults, **model.fixed}.get(name, words.shipped(model.model, name)))


def _values(model: ModelConfig, name: str) -> list[int]:
    """All values that trials may get; those of a range without an end are too many to name."""
    parameter = model.space.get(name)
    if parameter is None:
        return [_at_start(model, name)]
    return [int(value) for value in parameter.grid() or ()]
