"""The page of the Python names, from signatures and docstrings; `make docs` writes docs/reference/api.md."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import recsweep

_HEAD = """\
# The Python API

What `import recsweep` offers. A name is imported when it is first used. How to choose the values of a sweep,
a data set or a model is said in [the settings](../../config/README.md), whose keys have the same names.
Examples are [the notebook](../notebook.ipynb) and
[a sweep in Python](../../config/README.md#a-sweep-in-python).

This page is made from docstrings: `make docs`.
"""
_SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Attributes):\n((?:[ ]+.*\n?|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^([*\w]+|[\w. ]+?)(?: \([^)]*\))?: (.+)$", re.DOTALL)


def api_page() -> str:
    """The page as Markdown, in the order of `recsweep.PUBLIC`."""
    parts = [_HEAD]
    for heading, names in recsweep.PUBLIC.items():
        parts.append(f"## {heading}\n")
        parts += (_entry(name, getattr(recsweep, name)) for name in names)
    return "\n".join(parts)


def _entry(name: str, thing: Any) -> str:
    lines = [f"### {name}", ""]
    if not inspect.isclass(thing):
        return "\n".join([*lines, *_callable(name, thing)])
    lines += prose(thing.__doc__)
    if table := _fields(thing):
        lines += ["| field | type | default | meaning |", "|---|---|---|---|", *table, ""]
    if not _is_model(thing) and not issubclass(thing, Exception):
        for own, member in _members(thing):
            lines += _property(own, member) if isinstance(member, property) else _callable(f".{own}", member)
    return "\n".join(lines)


def _callable(name: str, function: Any) -> list[str]:
    """A signature, one argument a line where it is long, and the docstring below it."""
    signature = inspect.signature(function)
    kept = [_quoted(parameter) for parameter in signature.parameters.values() if parameter.name != "self"]
    written = str(signature.replace(parameters=kept)).replace("'", "")
    if len(name) + len(written) > 100:
        arguments = "".join(f"    {str(parameter).replace(chr(39), '')},\n" for parameter in kept)
        written = f"(\n{arguments})" + written[written.rindex(")") + 1 :]
    return ["```python", name + written, "```", "", *prose(function.__doc__)]


class _Quoted(str):
    """A text that keeps its quotes where those of types are dropped."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f'"{self}"'


def _quoted(parameter: inspect.Parameter) -> inspect.Parameter:
    default = parameter.default
    return parameter.replace(default=_Quoted(default)) if isinstance(default, str) else parameter


def _property(name: str, member: property) -> list[str]:
    returned = str(inspect.signature(member.fget).return_annotation) if member.fget else ""
    return ["```python", f".{name}: {returned}", "```", "", *prose(member.__doc__)]


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """The documented public methods and properties that a class defines, in the order of its source."""
    for name, member in vars(cls).items():
        if not name.startswith("_") and inspect.getdoc(member) and not inspect.isclass(member):
            plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            if isinstance(plain, property) or inspect.isfunction(plain):
                yield name, plain


def prose(docstring: str | None) -> list[str]:
    """A Google docstring as lines of Markdown; its sections become lists."""
    text = inspect.cleandoc(docstring or "").replace("``", "`")
    lines: list[str] = []
    sections = _SECTION.findall(text + "\n")
    if body := _SECTION.sub("", text + "\n").strip():
        lines += [*body.splitlines(), ""]
    for heading, content in sections:
        told = [" ".join(content.split())] if heading in ("Returns", "Yields") else _entries(content)
        lines += [f"{heading}:", "", *(f"- {entry}" for entry in told), ""]
    return lines


def _entries(content: str) -> Iterator[str]:
    """Each entry of a section in one line; a name before a colon is code."""
    for block in re.split(r"\n(?=\S)", textwrap.dedent(content).strip("\n")):
        line = " ".join(block.split())
        named = _ENTRY.match(line)
        yield f"`{named[1]}`: {named[2]}" if named else line


def _is_model(cls: type) -> bool:
    return hasattr(cls, "model_fields")


def _fields(cls: type) -> list[str]:
    """The rows of a model's or a data class's fields: name, type, default, what the source says below it."""
    told = _field_docs(cls)
    if _is_model(cls):
        found = {
            name: (field.annotation, "required" if field.is_required() else _default(field.default))
            for name, field in cls.model_fields.items()  # type: ignore[attr-defined]
        }
    elif dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        found = {field.name: (hints[field.name], _data_default(field)) for field in dataclasses.fields(cls)}
    else:
        return []
    rows = (
        (name, f"`{type_name(kind)}`", default, told.get(name, "")) for name, (kind, default) in found.items()
    )
    return [
        "| " + " | ".join((f"`{name}`", *(cell.replace("|", "\\|") for cell in rest))) + " |"
        for name, *rest in rows
    ]


def _data_default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _default(field.default)
    return _default(field.default_factory()) if callable(field.default_factory) else "required"


def _default(value: Any) -> str:
    if _is_model(type(value)):
        return "all defaults"
    return f"`{str(value)!r}`" if isinstance(value, Path) else f"`{value!r}`"


def _field_docs(cls: type) -> dict[str, str]:
    """The strings that stand below the fields of a class and of the classes that it is made from."""
    told: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("recsweep"):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = node.body if isinstance(node, ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                value = below.value.value if isinstance(below.value, ast.Constant) else ""
                told[ast.unparse(field.target)] = " ".join(str(value).split())
    return told


def type_name(kind: Any) -> str:
    """A type as one writes it: no modules, and nothing of what checks its values."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is typing.Literal:
        return " | ".join(repr(value).replace("'", '"') for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(argument) for argument in arguments)
    if origin is not None:
        return f"{origin.__name__}[{', '.join(type_name(argument) for argument in arguments)}]"
    if kind is ...:
        return "..."
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))
