"""JSON schemas of the files of a sweep, for editors. What depends on several keys at once they do not say."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from recsweep.sweeps.config import DatasetConfig, ModelConfig, SweepConfig, VariantsConfig
from recsweep.sweeps.engine_table import ENGINES, algo_names
from recsweep.sweeps.fields import FROM_FILE_NAME, descriptions
from recsweep.sweeps.split import NAMES

KINDS: dict[str, tuple[type[BaseModel], ...]] = {
    "sweep": (SweepConfig,),
    "dataset": (DatasetConfig,),
    "model": (ModelConfig, VariantsConfig),
}
"""Kinds of files; one is of any of its models."""
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_WORDS_TOO = {
    ("SearchConfig", "algo"): sorted(
        {other for row in ENGINES.values() for algo in row.algos for other in algo.also} - {*algo_names()}
    ),
    ("SplitConfig", "type"): sorted(NAMES),
}
"""Other words for a value, which the loader takes."""


def schema(kind: str) -> dict[str, Any]:
    """The schema of a kind of file."""
    parts = [_of(model) for model in KINDS[kind]]
    shared: dict[str, Any] = {}
    for part in parts:
        shared.update(part.pop("$defs", {}))
    body = parts[0] if len(parts) == 1 else {"anyOf": parts}
    return {
        "$schema": _DRAFT,
        "title": f"recsweep: a {'data set' if kind == 'dataset' else kind} file",
        **body,
        **({"$defs": shared} if shared else {}),
    }


def as_text(kind: str) -> str:
    """The schema as a file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def _of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model, with what stands below each field in its source."""
    made = model.model_json_schema()
    models = {one.__name__: one for one in _within(model)}
    for name, part in [(model.__name__, made), *made.get("$defs", {}).items()]:
        _describe(models[name], part)
    return made


def _describe(model: type[BaseModel], part: dict[str, Any]) -> None:
    part.pop("title", None)
    told = descriptions(model)
    required = [name for name in part.get("required", []) if (model.__name__, name) not in FROM_FILE_NAME]
    part.pop("required", None)
    if required:
        part["required"] = required
    for name, field in part["properties"].items():
        field.pop("title", None)
        field.get("enum", []).extend(_WORDS_TOO.get((model.__name__, name), []))
        if name in told:
            field["description"] = told[name]


def _within(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside a type, itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _within(field.annotation)
        return
    for part in typing.get_args(annotation):
        yield from _within(part)
