"""YAML as recsweep reads it: nothing twice, nothing without end, no number but as it is written."""

from __future__ import annotations

import re
from typing import Any

import yaml

DEPTH = 50
"""Lists and mappings inside each other."""
NODES = 100_000
"""Values in a file, with every alias written out."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


# libyaml takes a tenth of the time. It is there in PyYAML's wheels, not in every PyYAML.
_Quick: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FloatLoader(_Quick):  # type: ignore[misc]
    """A safe loader that reads `1e-4` as the number it is, as YAML 1.2 does."""


class _Rules(yaml.constructor.SafeConstructor):
    """Refuses that YAML would read otherwise than a person does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; a key that stands twice, of which YAML keeps the last one silently, is refused."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen and key_node.value != "<<":
                    raise _refused(f"the key {key_node.value!r} stands twice", key_node)
                seen.add(key_node.value)
                if key_node.value == "on" and key_node.style is None:
                    key_node.tag = "tag:yaml.org,2002:str"  # a key of ours, which YAML 1.1 reads as true
        mapping = super().construct_mapping(node, deep=deep)
        for key in mapping:
            if not isinstance(key, str):
                at = next((k for k, _ in node.value if k.value == str(key)), node.value[0][0])
                raise _refused(f"the key {key!r} is no text; put it in quotes", at)
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A value; what Python cannot hold (a month 13, a number of 5,000 digits) is refused in its place."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            raise _refused(str(error), node) from None

    def construct_scalar(self, node: Any) -> Any:
        """Text; a character that is none is refused: no name, path or setting has one."""
        text = super().construct_scalar(node)
        found = _CONTROL.search(text) if isinstance(text, str) else None
        if found:
            raise _refused(f"the value {text!r} holds the control character {found[0]!r}", node)
        return text

    def plain_int(self, node: yaml.ScalarNode) -> int:
        """A whole number; not in base 60 or 8, as YAML 1.1 reads `1:30` and `017`."""
        number = int(self.construct_yaml_int(node))
        _as_written(node, number)
        return number

    def plain_float(self, node: yaml.ScalarNode) -> float:
        """A number; not in base 60, as YAML 1.1 reads `1:30.5`."""
        number = float(self.construct_yaml_float(node))
        _as_written(node, number)
        return number


class YamlLoader(_Rules, FloatLoader):
    """FloatLoader that refuses what YAML would read otherwise than a person does."""


class _TellingLoader(_Rules, yaml.SafeLoader):
    """The same in Python, whose words for what is wrong are better."""


_STRICT: tuple[Any, ...] = (YamlLoader, _TellingLoader)
for _loader in (FloatLoader, *_STRICT):
    _loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )
for _loader in _STRICT:
    _loader.add_constructor("tag:yaml.org,2002:int", _Rules.plain_int)
    _loader.add_constructor("tag:yaml.org,2002:float", _Rules.plain_float)


def _as_written(node: yaml.ScalarNode, number: float) -> None:
    written = node.value.lstrip("+-")
    if ":" in written or (re.fullmatch(r"0[0-7_]+", written) and set(written) != {"0"}):
        raise _refused(f"YAML reads {node.value} as {number:g}; write {number:g}, or '{node.value}'", node)


def _refused(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def parse(text: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a text, which know their places, and its values.

    Raises:
        yaml.YAMLError: not YAML, more than one document, nested too deeply, too large, without an end.
    """
    try:
        return _parse(text, YamlLoader)
    except yaml.YAMLError:
        return _parse(text, _TellingLoader)


def _parse(text: str, loader: Any) -> tuple[yaml.Node | None, Any]:
    _check_depth(text, loader)
    node = yaml.compose(text, Loader=loader)
    if node is not None:
        _Measure().check(node)
    return node, yaml.load(text, Loader=loader)  # noqa: S506 - a SafeLoader


def _check_depth(text: str, loader: Any) -> None:
    """Look at brackets and indents before anything follows them: whatever follows them is recursive."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                raise yaml.composer.ComposerError(None, None, _TOO_DEEP, event.start_mark)  # type: ignore[arg-type]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


_TOO_DEEP = f"lists and mappings may be nested {DEPTH} deep, not deeper"


class _Measure:
    """How much a node holds with its aliases written out, and how deep it goes."""

    def __init__(self) -> None:
        self._measured: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def check(self, node: yaml.Node, depth: int = 1) -> tuple[int, int]:
        """Values in a node, and how deep they go.

        Raises:
            yaml.MarkedYAMLError: more, or deeper, than is read; or it holds itself.
        """
        if id(node) in self._open:
            raise _refused("the value holds itself", node)
        if id(node) not in self._measured:
            self._open.add(id(node))
            self._measured[id(node)] = self._look_inside(node, depth)
            self._open.remove(id(node))
        size, height = self._measured[id(node)]
        if depth + height > DEPTH + 2:
            raise _refused(_TOO_DEEP, node)
        return size, height

    def _look_inside(self, node: yaml.Node, depth: int) -> tuple[int, int]:
        size, height = 1, 1
        for child in _children(node):
            below, deep = self.check(child, depth + 1)
            size, height = size + below, max(height, deep + 1)
            if size > NODES:
                raise _refused(f"a file may hold {NODES:,} values with its aliases written out", child)
        return size, height


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
