"""The models of a config, asked of a key: its type in words, choices, range, default, its purpose."""

from __future__ import annotations

import ast
import functools
import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

FROM_FILE_NAME = {("DatasetConfig", "name"), ("ModelConfig", "model")}
"""Keys that the loader fills in from the name of the file."""
_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path"}


@dataclass(frozen=True)
class Facts:
    """One setting: all that is known of it."""

    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    span: tuple[float | None, float | None] | None = None
    """Least and most."""
    above: bool = False
    """The least is itself too little."""
    kind: str = ""
    """Its type in words; empty where the choices are all."""

    @property
    def range(self) -> str:
        """`1 to 256`, `from 1`, `above 0`; empty where there is none."""
        low, high = self.span or (None, None)
        if low is not None and self.above:
            return f"above {_number(low)}" + (f", at most {_number(high)}" if high is not None else "")
        if low is None:
            return f"at most {_number(high)}" if high is not None else ""
        return f"{_number(low)} to {_number(high)}" if high is not None else f"from {_number(low)}"

    @property
    def values(self) -> str:
        """Its values, in a few words."""
        parts = [self.kind, self.range] if self.kind else [", ".join(f"`{name}`" for name in self.choices)]
        return ", ".join(part for part in parts if part)

    @property
    def default_text(self) -> str:
        """The default as a sweep file has it; `required` where there is none."""
        if self.required:
            return "required"
        if isinstance(self.default, BaseModel):
            return "all defaults"
        return _flow(self.default)


def _flow(value: Any) -> str:
    """A plain value as YAML has it in a line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"'{value}'" if value in ("on", "off") else str(value)  # else YAML reads a flag


def _number(value: float) -> str:
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def field_at(model: type[BaseModel], path: typing.Sequence[str]) -> tuple[FieldInfo, type[BaseModel]]:
    """The field of a key, and the model that it stands in."""
    *parents, name = path
    for parent in parents:
        inner = section(model.model_fields[parent].annotation)
        if inner is None:
            raise KeyError(".".join(path))
        model = inner
    return model.model_fields[name], model


def section(annotation: Any) -> type[BaseModel] | None:
    """The model of a section, which may be one that can be left out; None where a type is something else."""
    parts = [part for part in (typing.get_args(annotation) or (annotation,)) if part is not type(None)]
    if len(parts) != 1 or not isinstance(parts[0], type):
        return None
    return parts[0] if issubclass(parts[0], BaseModel) else None


@functools.cache
def facts(model: type[BaseModel], path: tuple[str, ...]) -> Facts:
    """The field of a key, as the models have it."""
    field, owner = field_at(model, path)
    choices = tuple(_choices(field.annotation))
    bounds = dict(_bounds([*field.metadata, field.annotation]))
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    named = (owner.__name__, path[-1]) in FROM_FILE_NAME
    return Facts(
        choices=choices,
        default="the file's name" if named else field.get_default(),
        required=field.is_required() and not named,
        span=(low, high) if bounds else None,
        above="gt" in bounds,
        kind=_kind(field.annotation),
    )


def _choices(annotation: Any) -> Iterator[str]:
    """Words that a value can be, those inside unions and lists too."""
    if typing.get_origin(annotation) is typing.Literal:
        yield from map(str, typing.get_args(annotation))
        return
    for part in typing.get_args(annotation):
        yield from _choices(part)


def _bounds(parts: typing.Iterable[Any]) -> Iterator[tuple[str, float]]:
    for part in parts:
        for name in ("ge", "gt", "le", "lt"):
            if isinstance(value := getattr(part, name, None), int | float):
                yield name, value
        if isinstance(part, FieldInfo):
            yield from _bounds(part.metadata)
        elif typing.get_origin(part) in (typing.Annotated, typing.Union, types.UnionType):
            yield from _bounds([*typing.get_args(part), *getattr(part, "__metadata__", ())])


def _kind(annotation: Any) -> str:
    """A type in words; empty where it is nothing but a choice of words."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(parts[0])
    if origin in (typing.Union, types.UnionType):
        named = [_kind(part) or " or ".join(f"`{word}`" for word in _choices(part)) for part in parts]
        return " or ".join("`null`" if word == "null" else word for word in named)
    if origin is typing.Literal:
        return ""
    if origin in (tuple, list):
        words = list(_choices(annotation))
        return f"list of {', '.join(f'`{word}`' for word in words)}" if words else "list"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "keys and values"
    if annotation is type(None):
        return "null"
    return _WORDS.get(annotation, "text")


@functools.cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a model in its source, or in that of the model that it has it of."""
    told: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            told |= _told(base)
    return told


def _told(model: type[BaseModel]) -> dict[str, str]:
    (body,) = (node for node in ast.parse(inspect.getsource(model)).body if isinstance(node, ast.ClassDef))
    told: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            told[field.target.id] = " ".join(str(text.value.value).split())
    return told
