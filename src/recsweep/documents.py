"""YAML files whose every key knows its line and column, so that an error can point at it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from recsweep import hints
from recsweep.errors import InputError

Location = Sequence[str | int]
ModelT = TypeVar("ModelT", bound=BaseModel)


class FloatLoader(yaml.SafeLoader):
    """SafeLoader that reads `1e-4` as the number it is, as YAML 1.2 does."""


FloatLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


class YamlLoader(FloatLoader):
    """FloatLoader that refuses a key that stands twice: YAML would keep the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen and key_node.value != "<<":
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key_node.value!r} stands twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True)
class Document:
    """A parsed YAML mapping and where each of its parts stands."""

    path: Path
    data: dict[str, Any]
    node: yaml.Node | None

    def error(self, location: Location, problem: str, fix: str, *, at_key: bool = False) -> InputError:
        """An error that points at a value, or with `at_key` at the key itself.

        A location that is not in the file points at its nearest parent that is.
        """
        line, column = self._place(location, at_key)
        return InputError(self.path, problem, fix, line, column)

    def _place(self, location: Location, at_key: bool) -> tuple[int, int]:
        node, mark = self.node, None
        for depth, part in enumerate(location):
            last = depth == len(location) - 1
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if found is None:
                    # Discriminated unions put the tag (`choice`) into pydantic's location.
                    continue
                mark = found[0].start_mark if (last and at_key) else found[1].start_mark
                node = found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part < len(node.value):
                    node = node.value[part]
                    mark = node.start_mark
        if mark is None:
            mark = node.start_mark if node is not None else None
        return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def load_document(path: Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: missing, unreadable, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(path, "there is no such file", _similar_files(path), line=1, column=1) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "make it a readable UTF-8 file") from None
    try:
        node = yaml.compose(text, Loader=YamlLoader)
        data = yaml.load(text, Loader=YamlLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise InputError(
            path,
            f"not valid YAML: {error.problem}",
            "correct the line",
            mark.line + 1 if mark else 1,
            mark.column + 1 if mark else 1,
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-01
        problem = " ".join(str(error).split())
        raise InputError(path, f"not valid YAML: {problem}", "correct the file", 1, 1) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InputError(
            path, f"must hold keys and values, but holds a {type(data).__name__}", "write `key: value`", 1, 1
        )
    return Document(path, data, node)


def _similar_files(path: Path) -> str:
    siblings = sorted(p.name for p in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
    if not siblings:
        return "create it, or give another path"
    return f"use one of {', '.join(siblings)}, or create it"


def validate(document: Document, model: type[ModelT]) -> ModelT:
    """The document as a typed object.

    Raises:
        InputError: the first mistake, with its place, the value and the nearest known name.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        # A misspelt key is unknown, and the right one missing: the former says more.
        first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
        location = first["loc"]
        problem, fix = explain(first, model, document.data)
        raise document.error(location, problem, fix, at_key=first["type"] == "extra_forbidden") from None


def explain(error: Any, model: type[BaseModel], data: Any) -> tuple[str, str]:
    """Problem and fix of one pydantic error, in the words of the config file that holds `data`."""
    location, kind, value = error["loc"], error["type"], error.get("input")
    key = ".".join(_written(location, data, missing=kind == "missing")) or "the file"
    if kind == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        ours = hints.ours(str(location[-1]))
        return f"unknown key `{key}`", f"it is {ours}" if ours else nearest(str(location[-1]), known)
    if kind == "missing":
        return f"`{key}` is missing", f"add `{location[-1]}:`"
    if kind == "union_tag_not_found":
        return f"`{key}` has no `type`", "add `type: choice`, uniform, loguniform, quniform or randint"
    if kind == "union_tag_invalid":
        tags = ["choice", "uniform", "loguniform", "quniform", "randint"]
        tag = value.get("type") if isinstance(value, dict) else value
        return f"`{key}.type` must be a known type, but got {tag!r}", nearest(str(tag), tags)
    if kind == "literal_error":
        expected = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f"`{key}` must be one of {', '.join(expected)}, but got {value!r}", nearest(
            str(value), expected
        )
    if kind == "tuple_type":
        return f"`{key}` must be a list, but got {_short(value)}", f"write `[{value}]`"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"`{key}` must hold keys and values, but got {_short(value)}", "write `key: value` below it"
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        if least > 1:
            return f"`{key}` must name {least} or more, but got {_short(value)}", "name another"
        return f"`{key}` must not be empty", "name at least one"
    if location and location[-1] in _UNIONS and str(location[-1]) != key.split(".")[-1]:
        return f"`{key}` must be {_UNIONS[location[-1]]}, but got {_short(value)}", "correct the value"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if kind == "value_error":  # our own validators name the value themselves
        return f"`{key}`: {message}" if location else message, "correct the value"
    return f"`{key}`: {message}, but got {_short(value)}", "correct the value"


# What a value must be, by the first member of its union (pydantic reports on that one).
_UNIONS = {"int": "a number", "bool": "a number, a string, true, false, null, or a list of these"}


def _written(location: Location, data: Any, *, missing: bool) -> list[str]:
    """The parts of a pydantic location that stand in the file: no tags and members of unions."""
    parts: list[str] = []
    for part in location:
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if in_list or (isinstance(data, dict) and part in data):
            data = data[part]
        elif not (missing and part == location[-1]):
            continue
        parts.append(str(part))
    return parts


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Keys of the (sub)model at a location; union members are found by their tag."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", None)
        if fields and part in fields:
            current = _inner_model(fields[part].annotation, None)
        else:
            current = _inner_model(current, part) or current
    fields = getattr(current, "model_fields", {})
    return list(fields)


def _inner_model(annotation: Any, tag: Any) -> Any:
    """The model inside `Mapping[str, Annotated[A | B, …]]`, by tag where there are several."""
    import typing

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    arguments = annotation if isinstance(annotation, list) else typing.get_args(annotation)
    members = [_inner_model(argument, tag) for argument in arguments]
    models = [m for m in members if m is not None]
    flat = [m for group in models for m in (group if isinstance(group, list) else [group])]
    if tag is not None:
        for member in flat:
            field = member.model_fields.get("type")
            if field is not None and tag in typing.get_args(field.annotation):
                return member
    return flat[0] if len(flat) == 1 else (flat or None)


def nearest(name: str, known: Iterable[str]) -> str:
    """A fix that names the nearest known word, or all of them."""
    names = sorted(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{by_lower[close[0]]}`?"
    if len(names) > 30:
        return f"use one of the {len(names)} known names ({', '.join(names[:5])}, …)"
    return f"use one of {', '.join(names)}" if names else "remove it"
