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

from recsweep.common.errors import InputError
from recsweep.common.yaml_loader import parse
from recsweep.sweeps import hints

Location = Sequence[str | int]
ModelT = TypeVar("ModelT", bound=BaseModel)
SECTION = "protocol"
"""A section of a data set's file; its keys may stand at the top instead."""


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
        line, column = self._line_and_column(location, at_key)
        return InputError(self.path, problem, fix, line, column)

    def _line_and_column(self, location: Location, at_key: bool) -> tuple[int, int]:
        node, mark = self.node, None
        for depth, part in enumerate(location):
            last = depth == len(location) - 1
            if isinstance(node, yaml.MappingNode):
                found = _child(node, str(part)) or (None if depth else _in_section(node, str(part)))
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


def _child(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _in_section(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """A key of a data set's protocol, which may stand below `protocol` or at the top."""
    section = _child(node, SECTION)
    return _child(section[1], name) if section and isinstance(section[1], yaml.MappingNode) else None


def load_document(path: Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: missing, unreadable, not YAML, or not a mapping.
    """
    text = _read(path)
    try:
        node, data = parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = " ".join(str(error.problem).split())
        raise InputError(path, f"not valid YAML: {problem}", "correct the line", line, column) from None
    except yaml.reader.ReaderError as error:
        line, column = _place_of(text, error.position)
        problem = f"not valid YAML: the character {chr(error.character)!r} may not stand in it"
        raise InputError(path, problem, "take it out", line, column) from None
    except yaml.YAMLError as error:
        raise InputError(path, f"not valid YAML: {error}", "correct the file", 1, 1) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InputError(
            path, f"must hold keys and values, but holds a {type(data).__name__}", "write `key: value`", 1, 1
        )
    return Document(path, data, node)


def _read(path: Path) -> str:
    """The text of a file.

    Raises:
        InputError: it is not there, no file, or not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(path, "is no file", _similar_files(path), 1, 1)
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(path, "there is no such file", _similar_files(path), line=1, column=1) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise InputError(path, f"cannot be read ({error})", "make it a readable UTF-8 file", 1, 1) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place_of(raw[: error.start].decode("utf-8"), error.start)
        problem = f"cannot be read: the byte 0x{raw[error.start]:02x} is not UTF-8"
        raise InputError(path, problem, "save it as UTF-8", line, column) from None


def _place_of(text: str, position: int) -> tuple[int, int]:
    """Line and column of a character, from 1."""
    before = text[:position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _similar_files(path: Path) -> str:
    siblings = sorted(p.name for p in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
    if not siblings:
        return "create it, or give another path"
    near = difflib.get_close_matches(path.name, siblings, 5, 0.0) if len(siblings) > 5 else siblings
    return f"use one of {', '.join(near)}, or create it"


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
        location = (*first["loc"], *getattr(first.get("ctx", {}).get("error"), "location", ()))
        problem, fix = explain(first, model, document.data)
        at_key = first["type"] in ("extra_forbidden", "invalid_key")
        raise document.error(location, problem, fix, at_key=at_key) from None


def explain(error: Any, model: type[BaseModel], data: Any) -> tuple[str, str]:
    """Problem and fix of one pydantic error, in the words of the config file that holds `data`."""
    location, kind = error["loc"], error["type"]
    key = ".".join(written(location, data, missing=kind == "missing")) or "the file"
    if kind == "extra_forbidden":
        keys = _keys_of(model, location[:-1])
        ours = hints.ours(str(location[-1]))
        return f"unknown key `{key}`", f"it is {ours}" if ours else nearest(str(location[-1]), keys)
    if kind == "invalid_key":
        return f"the key `{location[-1]}` must be text", "put it in quotes"
    if kind == "missing":
        if isinstance(location[-1], int):
            return f"`{key.rpartition('.')[0]}` must have more than {location[-1]} values", "add another"
        return f"`{key}` is missing", f"add `{location[-1]}:`"
    if kind == "union_tag_not_found":
        return (
            f"`{key}` has no `type`",
            "add `type: choice`, uniform, loguniform, quniform, randint or lograndint",
        )
    if kind == "value_error":  # our own validators name the value themselves
        message, fix = rule(error)
        return f"`{key}`: {message}" if location else message, fix
    if kind == "union_tag_invalid":
        key += ".type"
    broken, fix = rule(error, data)
    if broken == _EMPTY:
        return f"`{key}` {broken}", fix
    return f"`{key}` {broken}, but got {short_value(_offered(error))}", fix


def rule(error: Any, data: Any = None) -> tuple[str, str]:
    """The rule that a value broke, as the end of a sentence, and a fix; pydantic's words reach nobody."""
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "value_error":
        own = context.get("error")
        return str(own), getattr(own, "fix", "correct the value")
    if kind == "union_tag_invalid":
        return "must be a known type", nearest(str(_offered(error)), _TYPES)
    if kind == "literal_error":
        expected = re.findall(r"'([^']*)'", context["expected"])
        return f"must be one of {', '.join(expected)}", nearest(str(value), expected)
    if kind == "tuple_type":
        return "must be a list", f"write `[{short_value(value, quoted=False)}]`"
    if kind in _COUNTS:
        return _count(kind, context)
    member = error["loc"][-1] if error["loc"] else None
    if member in _UNIONS and not _stands(error["loc"], data):
        return f"must be {_UNIONS[str(member)]}", "correct the value"
    words = _RULES.get(kind, "is of the wrong kind")
    fix = "write `key: value` below it" if words == _MAPPING else "correct the value"
    bounds = {name: f"{bound:.15g}" for name, bound in context.items() if isinstance(bound, int | float)}
    return words.format(**bounds), fix


def _offered(error: Any) -> Any:
    value = error.get("input")
    return value.get("type") if error["type"] == "union_tag_invalid" and isinstance(value, dict) else value


def _count(kind: str, context: Any) -> tuple[str, str]:
    if kind == "too_long":
        return f"must name at most {context['max_length']}", "take some out"
    least = context["min_length"]
    return (f"must name {least} or more", "name another") if least > 1 else (_EMPTY, "name at least one")


def _stands(location: Location, data: Any) -> bool:
    """True where the last part of a location is a key of the file, no member of a union."""
    parts = written(location, data, missing=False)
    return bool(parts) and parts[-1] == str(location[-1])


_TYPES = ("choice", "uniform", "loguniform", "quniform", "randint", "lograndint")
_COUNTS = ("too_short", "too_long")
_EMPTY = "must not be empty"
_MAPPING = "must hold keys and values"
_NUMBER, _WHOLE, _FLAG, _TEXT = "a number", "a whole number", "true or false", "text"
_RULES = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _MAPPING),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), f"must be {_WHOLE}"),
    **dict.fromkeys(("float_type", "float_parsing"), f"must be {_NUMBER}"),
    **dict.fromkeys(("bool_type", "bool_parsing"), f"must be {_FLAG}"),
    **dict.fromkeys(("string_type", "string_unicode"), f"must be {_TEXT}"),
    "path_type": "must be a path",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "none_required": "must be null",
}
# What a value must be, by the first member of its union (pydantic reports on that one).
_UNIONS = {"int": _NUMBER, "bool": "a number, a string, true, false, null, or a list of these"}


def written(location: Location, data: Any, *, missing: bool) -> list[str]:
    """The parts of a pydantic location that stand in the file: no tags and members of unions."""
    parts: list[str] = []
    section = data.get(SECTION) if isinstance(data, dict) else None
    if location and isinstance(section, dict) and location[0] in section and location[0] not in data:
        location = (SECTION, *location)
    for part in location:
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if in_list or (isinstance(data, dict) and part in data):
            data = data[part]
        elif not (missing and part == location[-1]):
            continue
        parts.append(str(part))
    return parts


def short_value(value: Any, *, quoted: bool = True) -> str:
    """A value as an error shows it."""
    text = repr(value) if quoted else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _keys_of(model: type[BaseModel], location: Location) -> list[str]:
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


def nearest(name: str, words: Iterable[str]) -> str:
    """A fix that names the nearest known word, or all of them."""
    names = sorted(words)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{by_lower[close[0]]}`?"
    if len(names) > 30:
        return f"use one of the {len(names)} known names ({', '.join(names[:5])}, …)"
    return f"use one of {', '.join(names)}" if names else "remove it"
