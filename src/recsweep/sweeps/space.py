"""Search spaces: which of its parameters exist, and the grid of their combinations."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from recsweep.sweeps.parameters import Choice, LogRandInt, LogUniform, Parameter, QUniform, RandInt, Uniform
from recsweep.sweeps.rules import Rule
from recsweep.sweeps.values import Scalar, is_among

Space = Mapping[str, Parameter]
Params = dict[str, Any]
MOST_COUNTED = 1_000_000
"""Combinations of which those that constraints allow are counted; of a larger grid all are taken to be."""


class Ruled(dict[str, Parameter]):
    """A search space with constraints between its parameters.

    Args:
        space: the parameters.
        rules: the constraints; a point of the space keeps all of them.
    """

    def __init__(self, space: Space, rules: tuple[Rule, ...]) -> None:
        super().__init__(space)
        self.rules = rules

    @cached_property
    def allowed(self) -> list[int] | None:
        """Numbers of the combinations that keep the constraints; None where the grid is too large."""
        if continuous(self) or (size := _whole_size(self)) > MOST_COUNTED:
            return None
        return [number for number in range(int(size)) if is_allowed(self, _at(self, number))]


def is_allowed(space: Space, params: Mapping[str, Any]) -> bool:
    """True where a point keeps the constraints of its space."""
    return not isinstance(space, Ruled) or all(rule.holds(params) for rule in space.rules)


def mended(space: Space, params: Params, start: Params) -> Params:
    """The point that is reached from an allowed one by as many values of another as constraints allow.

    Args:
        params: the other point; itself where it is allowed.
        start: the allowed point.
    """
    if is_allowed(space, params):
        return params
    point, new = dict(start), {name: parameter.from_unit(0.0) for name, parameter in space.items()}
    for name in parents_first(space):
        if name in params:
            tried = cast(space, {**new, **point, name: params[name]})
            point = tried if is_allowed(space, tried) else point
    return point


def is_active(space: Space, name: str, params: Mapping[str, Any]) -> bool:
    """True where a parameter exists, given the others: what it depends on exists and has the right value."""
    for parent, wanted in (space[name].when or {}).items():
        if parent not in params or not is_active(space, parent, params):
            return False
        if not is_among(params[parent], _any_of(wanted)):
            return False
    return True


def parents_first(space: Space) -> list[str]:
    """Names of the parameters, each after those that it depends on; else in the space's order."""
    names: dict[str, None] = {}

    def add(name: str) -> None:
        for parent in space[name].when or {}:
            if parent in space and parent not in names:
                add(parent)
        names[name] = None

    for name in space:
        if name not in names:
            add(name)
    return list(names)


def cast(space: Space, params: Mapping[str, Any]) -> Params:
    """The parameters that exist, each in its own type and in the space's order."""
    typed: Params = {}
    for name in parents_first(space):
        if name in params and is_active(space, name, typed):
            typed[name] = space[name].cast(params[name])
    return {name: typed[name] for name in space if name in typed}


def from_unit(space: Space, shares: Mapping[str, float]) -> Params:
    """The point of a space at a point of the unit cube, without the parameters that do not exist."""
    return cast(space, {name: space[name].from_unit(share) for name, share in shares.items()})


def grid_size(space: Space) -> float:
    """Number of distinct combinations; infinity when a parameter is continuous.

    Of a grid of more than `MOST_COUNTED` constraints leave out none here.
    """
    if isinstance(space, Ruled) and space.allowed is not None:
        return len(space.allowed)
    return _whole_size(space)


def _whole_size(space: Space) -> float:
    return math.inf if continuous(space) else sum(_size(block) for block in _blocks(space))


def continuous(space: Space) -> list[str]:
    """Names of the parameters that no exhaustive search can enumerate."""
    return [name for name, parameter in space.items() if math.isinf(parameter.size)]


def combinations(space: Space) -> Iterator[Params]:
    """Every combination of the parameters that exist once, the last parameter varying fastest.

    What others depend on varies slowest, wherever it stands in the space.

    Raises:
        ValueError: when a parameter is continuous.
    """
    if names := continuous(space):
        raise ValueError(f"a continuous parameter has no end: {', '.join(names)}")
    for block in _blocks(space):
        for indices in itertools.product(*block.values()):
            point = {name: space[name].at(index) for name, index in zip(block, indices, strict=True)}
            if is_allowed(space, point):
                yield point


def combination_at(space: Space, index: int) -> Params:
    """The combination number `index` of `combinations`, without walking there.

    Raises:
        IndexError: outside the grid.
    """
    if isinstance(space, Ruled) and space.allowed is not None:
        if not 0 <= index < len(space.allowed):
            raise IndexError(f"0 <= index < {len(space.allowed)} must hold, but got {index}")
        index = space.allowed[index]
    return _at(space, index)


def _at(space: Space, index: int) -> Params:
    rest = index
    for block in _blocks(space) if index >= 0 else ():
        if rest < _size(block):
            params: Params = {}
            for name, indices in reversed(block.items()):
                rest, position = divmod(rest, len(indices))
                params[name] = space[name].at(indices[position])
            return dict(reversed(params.items()))
        rest -= _size(block)
    raise IndexError(f"0 <= index < {grid_size(space)} must hold, but got {index}")


def combination_index(space: Space, params: Mapping[str, Any]) -> int:
    """The inverse of `combination_at`.

    Raises:
        ValueError: a parameter that exists has no value, or a constraint is not kept.
    """
    wanted = {name: space[name].index(value) for name, value in cast(space, params).items()}
    before = 0
    for block in _blocks(space):
        if block.keys() == wanted.keys() and all(wanted[name] in block[name] for name in block):
            within = 0
            for name, indices in block.items():
                within = within * len(indices) + indices.index(wanted[name])
            return _among_allowed(space, before + within)
        before += _size(block)
    raise ValueError(f"every parameter that exists must have a value, but got only {', '.join(params)}")


def _among_allowed(space: Space, number: int) -> int:
    """The number of a combination among those that keep the constraints."""
    if not isinstance(space, Ruled) or space.allowed is None:
        return number
    position = bisect.bisect_left(space.allowed, number)
    if position == len(space.allowed) or space.allowed[position] != number:
        raise ValueError("this combination does not keep the constraints of its space")
    return position


_Block = dict[str, range]
"""A part of a grid: for each parameter that exists there, in the space's order, numbers of its values."""


def _blocks(space: Space) -> Iterator[_Block]:
    """The grid in parts, in each of which the same parameters exist; one where none depends on another."""
    order = parents_first(space)

    def extend(depth: int, block: _Block, params: Params) -> Iterator[_Block]:
        if depth == len(order):
            yield {name: block[name] for name in space if name in block}
            return
        name = order[depth]
        if not is_active(space, name, params):
            yield from extend(depth + 1, block, params)
            return
        for indices in _told_apart(space, name):
            first = {name: space[name].at(indices.start)}
            yield from extend(depth + 1, {**block, name: indices}, {**params, **first})

    yield from extend(0, {}, {})


def _told_apart(space: Space, name: str) -> Iterator[range]:
    """Numbers of a parameter's values: each that a condition names alone, those between them together."""
    parameter, start = space[name], 0
    conditions = [child.when[name] for child in space.values() if child.when and name in child.when]
    named = [value for wanted in conditions for value in _any_of(wanted)]
    for index in sorted({parameter.index(value) for value in named if parameter.contains(value)}):
        if start < index:
            yield range(start, index)
        yield range(index, index + 1)
        start = index + 1
    if start < parameter.size:
        yield range(start, int(parameter.size))


def _any_of(wanted: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _size(block: _Block) -> int:
    return math.prod(len(indices) for indices in block.values())


__all__ = [
    "Choice",
    "LogRandInt",
    "LogUniform",
    "Parameter",
    "Params",
    "QUniform",
    "RandInt",
    "Ruled",
    "Space",
    "Uniform",
    "cast",
    "combination_at",
    "combination_index",
    "combinations",
    "continuous",
    "from_unit",
    "grid_size",
    "is_active",
    "is_allowed",
    "is_among",
    "mended",
    "parents_first",
]
