"""Every model of RecBole as a row: kind, task, needs, the code that trains it, the shipped spaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from recsweep.recbole_api import catalog
from recsweep.recbole_api.model_facts import ModelFacts, facts
from recsweep.sweeps.documents import load_document

KINDS = ("general", "sequential", "context", "knowledge", "exlib")
COMPILED, TORCH, VALIDATION, NONE = "compiled", "torch", "validation", ""
"""Code that trains faster than RecBole's: kernels, torch on tensors, or none, and a faster validation."""


@dataclass(frozen=True)
class ModelRow:
    """One model in a list."""

    about: ModelFacts
    fast: str
    """`compiled`, `torch`, `validation`, or nothing where every step is RecBole's."""
    spaces: Mapping[str, tuple[str, ...]]
    """The parameters of each shipped file, by the file's name."""

    @property
    def needed(self) -> tuple[str, ...]:
        return self.about.needed

    def plain(self) -> dict[str, Any]:
        """The row for JSON and CSV."""
        about, refused = self.about, self.about.refusal
        return {
            "model": about.name,
            "kind": about.kind,
            "task": about.task,
            "gradients": about.learns,
            "needs": list(self.needed),
            "fast_path": self.fast,
            "spaces": {name: list(parameters) for name, parameters in self.spaces.items()},
            "parameters": list(about.parameters),
            "refused": f"{refused.problem}; {refused.fix}" if refused is not None else None,
        }

    def shown(self) -> dict[str, str]:
        """The row for people."""
        return {
            "model": self.about.name,
            "kind": self.about.kind,
            "task": self.about.task,
            "needs": ", ".join(self.needed),
            "fast path": self.fast,
            "shipped space": "; ".join(self._spaces()),
        }

    def _spaces(self) -> Iterator[str]:
        for name, parameters in self.spaces.items():
            own = "" if name == self.about.name else f"{name}: "
            yield own + (", ".join(parameters) or "no parameter")


def model_rows(folder: Path) -> list[ModelRow]:
    """Every model, by kind.

    Args:
        folder: where model files lie; it may be missing.
    """
    spaces = _shipped(folder)
    found = [ModelRow(facts(model), _fast(model), spaces.get(model, {})) for model in catalog.models()]
    return sorted(found, key=lambda row: (KINDS.index(row.about.kind), row.about.name.lower()))


def all_needs() -> tuple[str, ...]:
    """The needs that some model has, in words."""
    return tuple(sorted({need for model in catalog.models() for need in facts(model).needed}))


@cache
def _fast(model: str) -> str:
    from recsweep.training.fast import families  # with torch, which nothing else here takes

    family = families.served().get(model)
    if family is None:  # `validation.install` says when
        transforms = catalog.published_defaults(model).get("transform") is not None
        return NONE if transforms or not facts(model).ranks else VALIDATION
    return COMPILED if family.has_kernels else TORCH


def _shipped(folder: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Names of parameters, by model and file."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for path in sorted(folder.glob("*.yaml")):
        data = load_document(path).data
        model = str(data.get("model", path.stem))
        if model in catalog.models():
            found.setdefault(model, {})[path.stem] = tuple(map(str, data.get("space") or ()))
    return found
