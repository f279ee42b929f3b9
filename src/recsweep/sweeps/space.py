"""The typed parameters of a search space. Conversions to an engine's own types live with it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, Strict, model_validator

Whole = Annotated[int, Strict()]
Real = Annotated[float, Strict(), AllowInfNan(False)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]
"""Values in the type that they are written in: `true` is no number, `"2"` neither."""
Scalar = Flag | Whole | Annotated[float, Strict()] | Text | None
Value = Scalar | tuple[Scalar, ...]
Number = Whole | Annotated[float, Strict()]

_GRID_TOLERANCE = 1e-9
_MOST = 2**53
"""From here on a float no longer tells one whole number from the next."""
_MOST_VALUES = 1_000_000_000
_MOST_CHOICES = 10_000


class _Parameter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    when: dict[Text, Value] | None = None
    """Values of other parameters for which this one exists: `{loss_type: BPR}`; a list means any of them."""

    def grid(self) -> Sequence[Any] | None:
        """All values in order, or None where there are infinitely many."""
        return None

    def contains(self, value: Any) -> bool:
        raise NotImplementedError

    def cast(self, value: Any) -> Any:
        """A value as a search library gives it (48.0) in the type that a model needs (48)."""
        raise NotImplementedError

    @property
    def size(self) -> float:
        """How many values there are, without listing them; infinity for a continuous range."""
        return math.inf

    def at(self, index: int) -> Any:
        """Value number `index` of the grid, without listing it."""
        raise NotImplementedError

    def index(self, value: Any) -> int:
        """The inverse of `at`; of a range, number of the nearest value."""
        raise NotImplementedError

    def at_rank(self, rank: int) -> Any:
        """As `at`, but numbers ascend, in whatever order they are listed."""
        return self.at(rank)

    def rank(self, value: Any) -> int:
        """The inverse of `at_rank`."""
        return self.index(value)

    def from_unit(self, share: float) -> Any:
        """The value at a share of the way, 0 to 1; the values of a grid have equal parts of it."""
        return self.at_rank(min(int(share * self.size), int(self.size) - 1))

    def to_unit(self, value: Any) -> float:
        """A value's share of the way: the middle of its part."""
        return float((self.rank(value) + 0.5) / self.size)


class _Range(_Parameter):
    min: Number
    max: Number

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if not (_finite(self.min) and _finite(self.max)):
            raise ValueError(f"`min` and `max` must be finite, but got {self.min} and {self.max}")
        if max(abs(self.min), abs(self.max)) > _MOST:
            raise ValueError(f"`min` and `max` must lie within {_MOST:,}, but got {self.min} and {self.max}")
        if not self.min < self.max:
            raise ValueError(f"`min < max` must hold, but got min={self.min}, max={self.max}")
        return self

    def contains(self, value: Any) -> bool:
        return _is_number(value) and self.min <= value <= self.max

    def cast(self, value: Any) -> Any:
        return float(min(max(float(value), self.min), self.max))


class Choice(_Parameter):
    """One of the listed values; they may be numbers, strings, booleans, null or lists."""

    type: Literal["choice"]
    values: tuple[Value, ...] = Field(min_length=1, max_length=_MOST_CHOICES)

    @model_validator(mode="after")
    def _distinct(self) -> Choice:
        for value in self.values:
            if not _finite(value):
                raise ValueError(f"`values` must be finite, but got {_text(value)}")
        for left, right in itertools.combinations(self.values, 2):
            if _same(left, right):
                raise ValueError(f"`values` must be distinct, but {_text(left)} stands twice")
        return self

    def grid(self) -> Sequence[Any]:
        return tuple(_listed(value) for value in self.values)

    @property
    def size(self) -> float:
        return len(self.values)

    def at(self, index: int) -> Any:
        return _listed(self.values[index])

    def index(self, value: Any) -> int:
        """Position of a value.

        Raises:
            ValueError: when it is not among the values.
        """
        wanted = tuple(value) if isinstance(value, list) else value
        for position, own in enumerate(self.values):
            if _same(own, wanted):
                return position
        raise ValueError(f"{_text(value)} is not one of {_text(list(self.values))}")

    def contains(self, value: Any) -> bool:
        try:
            self.index(value)
        except ValueError:
            return False
        return True

    def cast(self, value: Any) -> Any:
        return self.at(self.index(value))

    @property
    def ordered(self) -> bool:
        """Whether its values are numbers, so that one can lie between two others."""
        return all(_is_number(value) for value in self.values)

    @property
    def _ascending(self) -> list[int]:
        numbers: Any = self.values
        indices = range(len(numbers))
        return sorted(indices, key=numbers.__getitem__) if self.ordered else list(indices)

    def at_rank(self, rank: int) -> Any:
        return self.at(self._ascending[rank])

    def rank(self, value: Any) -> int:
        return self._ascending.index(self.index(value))


class Uniform(_Range):
    """A real number, each equally likely."""

    type: Literal["uniform"]

    def from_unit(self, share: float) -> Any:
        return self.cast(self.min + share * (self.max - self.min))

    def to_unit(self, value: Any) -> float:
        return float((value - self.min) / (self.max - self.min))


class LogUniform(_Range):
    """A positive real number whose logarithm is uniform; `min` and `max` are the values themselves."""

    type: Literal["loguniform"]

    @model_validator(mode="after")
    def _positive(self) -> LogUniform:
        if self.min <= 0:
            raise ValueError(f"`min > 0` must hold for loguniform, but got min={self.min}")
        return self

    def from_unit(self, share: float) -> Any:
        low, high = math.log(self.min), math.log(self.max)
        return self.cast(math.exp(low + share * (high - low)))

    def to_unit(self, value: Any) -> float:
        low, high = math.log(self.min), math.log(self.max)
        return (math.log(value) - low) / (high - low)


class QUniform(_Range):
    """`min`, `min + q`, … `max`. Integers when all three are: RecBole models need 48, not 48.0."""

    type: Literal["quniform"]
    q: Annotated[Number, Field(gt=0)]

    @model_validator(mode="after")
    def _multiples(self) -> QUniform:
        if not self.integral and (self.max - self.min) / self.q > _MOST_VALUES:
            raise ValueError(
                f"`q` must leave at most {_MOST_VALUES:,} values, but q={self.q} is too small for "
                f"{self.min} to {self.max}; use uniform, or a larger q"
            )
        for name, bound in (("min", self.min), ("max", self.max)):
            ratio = bound / self.q
            if abs(ratio - round(ratio)) > _GRID_TOLERANCE * max(1.0, abs(ratio)):
                raise ValueError(f"`{name}` must be a multiple of q={self.q}, but got {bound}")
        return self

    @property
    def integral(self) -> bool:
        return all(isinstance(bound, int) for bound in (self.min, self.max, self.q))

    def grid(self) -> Sequence[Any]:
        return tuple(self._at(step) for step in self._steps)

    @property
    def size(self) -> float:
        return len(self._steps)

    @property
    def _steps(self) -> range:
        return range(round(self.min / self.q), round(self.max / self.q) + 1)

    def at(self, index: int) -> Any:
        return self._at(self._steps[index])

    def index(self, value: Any) -> int:
        clipped = min(max(value, self.min), self.max)
        return int(round(clipped / self.q) - self._steps.start)

    def _at(self, step: int) -> Number:
        # 3 * 0.1 is 0.30000000000000004; the nearest short decimal is what was meant.
        return int(step * self.q) if self.integral else float(f"{step * self.q:.12g}")

    def contains(self, value: Any) -> bool:
        if not super().contains(value) or (self.integral and not float(value).is_integer()):
            return False
        return bool(abs(value / self.q - round(value / self.q)) <= 1e-6)

    def cast(self, value: Any) -> Any:
        return self.at(self.index(value))


class RandInt(_Range):
    """An integer from `min` to `max`, both included."""

    type: Literal["randint"]
    min: Whole
    max: Whole

    def grid(self) -> Sequence[Any]:
        return range(self.min, self.max + 1)

    @property
    def size(self) -> float:
        return len(range(self.min, self.max + 1))

    def at(self, index: int) -> Any:
        return range(self.min, self.max + 1)[index]

    def index(self, value: Any) -> int:
        return int(min(max(round(value), self.min), self.max) - self.min)

    def contains(self, value: Any) -> bool:
        return super().contains(value) and float(value).is_integer()

    def cast(self, value: Any) -> Any:
        return self.at(self.index(value))


Parameter = Annotated[Choice | Uniform | LogUniform | QUniform | RandInt, Field(discriminator="type")]
Space = Mapping[str, Parameter]
Params = dict[str, Any]


def is_active(space: Space, name: str, params: Mapping[str, Any]) -> bool:
    """Whether a parameter exists, given the others: what it depends on exists and has the right value."""
    for parent, wanted in (space[name].when or {}).items():
        if parent not in params or not is_active(space, parent, params):
            return False
        if not is_among(params[parent], _any_of(wanted)):
            return False
    return True


def is_among(value: Any, values: Iterable[Any]) -> bool:
    """Whether a value is one of several, as YAML tells values apart."""
    return any(_same(value, other) for other in values)


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
    """Number of distinct combinations; infinity when a parameter is continuous."""
    if continuous(space):
        return math.inf
    return sum(_size(block) for block in _blocks(space))


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
            yield {name: space[name].at(index) for name, index in zip(block, indices, strict=True)}


def combination_at(space: Space, index: int) -> Params:
    """The combination number `index` of `combinations`, without walking there.

    Raises:
        IndexError: outside the grid.
    """
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
        ValueError: a parameter that exists has no value.
    """
    wanted = {name: space[name].index(value) for name, value in cast(space, params).items()}
    before = 0
    for block in _blocks(space):
        if block.keys() == wanted.keys() and all(wanted[name] in block[name] for name in block):
            within = 0
            for name, indices in block.items():
                within = within * len(indices) + indices.index(wanted[name])
            return before + within
        before += _size(block)
    raise ValueError(f"every parameter that exists must have a value, but got only {', '.join(params)}")


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


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """Equality that tells True from 1 (as YAML does) but not 1 from 1.0."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _text(value: Any) -> str:
    return str(_listed(value))


def _finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list"


def mixed(values: Sequence[Any]) -> str:
    """What is wrong with a list of values that a model takes one for another; empty where nothing is.

    They are of one kind: `[true, 32]` and `[1, "2"]` are slips. Null may stand beside any.
    """
    first: dict[str, Any] = {}
    for value in values:
        if value is not None:
            first.setdefault(_kind(value), value)
            inside = mixed(value) if isinstance(value, tuple) else ""
            if inside:
                return inside
    if len(first) < 2:
        return ""
    (kind, one), (other, another) = list(first.items())[:2]
    return (
        f"the values must be of one kind, but {_listed(one)!r} is {kind} and {_listed(another)!r} is {other}"
    )


def checked_plain(data: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are: numbers, text, true, false, null, lists and mappings of these.

    Raises:
        ValueError: something else, such as a date, bytes, or a number that is not finite.
    """
    for name, value in data.items():
        _check_plain(name, value)
    return data


def _check_plain(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"the keys of `{name}` must be text, but got {key!r}")
            _check_plain(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(name, item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite, but got {value}")
    elif not (value is None or isinstance(value, bool | int | float | str)):
        kind = type(value).__name__
        raise ValueError(f"`{name}` must be a number, text, true, false, null or a list, but is a {kind}")
