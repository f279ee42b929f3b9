"""The typed parameters of a search space. Conversions to an engine's own types live with it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Scalar = bool | int | float | str | None
Value = Scalar | tuple[Scalar, ...]
Number = int | float

_GRID_TOLERANCE = 1e-9


class _Parameter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    when: dict[str, Scalar | tuple[Scalar, ...]] | None = None
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


class _Range(_Parameter):
    min: Number
    max: Number

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if not (math.isfinite(self.min) and math.isfinite(self.max)):
            raise ValueError(f"`min` and `max` must be finite, but got {self.min} and {self.max}")
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
    values: tuple[Value, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Choice:
        for left, right in itertools.combinations(self.values, 2):
            if _same(left, right):
                raise ValueError(f"`values` must be distinct, but {_text(left)} stands twice")
        return self

    def grid(self) -> Sequence[Any]:
        return tuple(_listed(value) for value in self.values)

    @property
    def size(self) -> float:
        return len(self.values)

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
        return _listed(self.values[self.index(value)])


class Uniform(_Range):
    """A real number, each equally likely."""

    type: Literal["uniform"]


class LogUniform(_Range):
    """A positive real number whose logarithm is uniform; `min` and `max` are the values themselves."""

    type: Literal["loguniform"]

    @model_validator(mode="after")
    def _positive(self) -> LogUniform:
        if self.min <= 0:
            raise ValueError(f"`min > 0` must hold for loguniform, but got min={self.min}")
        return self


class QUniform(_Range):
    """`min`, `min + q`, … `max`. Integers when all three are: RecBole models need 48, not 48.0."""

    type: Literal["quniform"]
    q: Number = Field(gt=0)

    @model_validator(mode="after")
    def _multiples(self) -> QUniform:
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

    def _at(self, step: int) -> Number:
        # 3 * 0.1 is 0.30000000000000004; the nearest short decimal is what was meant.
        return int(step * self.q) if self.integral else float(f"{step * self.q:.12g}")

    def contains(self, value: Any) -> bool:
        if not super().contains(value) or (self.integral and not float(value).is_integer()):
            return False
        return bool(abs(value / self.q - round(value / self.q)) <= 1e-6)

    def cast(self, value: Any) -> Any:
        clipped = min(max(value, self.min), self.max)
        return self._at(round(clipped / self.q))


class RandInt(_Range):
    """An integer from `min` to `max`, both included."""

    type: Literal["randint"]
    min: int
    max: int

    def grid(self) -> Sequence[Any]:
        return range(self.min, self.max + 1)

    @property
    def size(self) -> float:
        return len(range(self.min, self.max + 1))

    def contains(self, value: Any) -> bool:
        return super().contains(value) and float(value).is_integer()

    def cast(self, value: Any) -> Any:
        return min(max(round(value), self.min), self.max)


Parameter = Annotated[Choice | Uniform | LogUniform | QUniform | RandInt, Field(discriminator="type")]
Space = Mapping[str, Parameter]
Params = dict[str, Any]


def is_active(space: Space, name: str, params: Mapping[str, Any]) -> bool:
    """Whether a parameter exists, given the others: what it depends on exists and has the right value."""
    for parent, wanted in (space[name].when or {}).items():
        if parent not in params or not is_active(space, parent, params):
            return False
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        if not any(_same(value, params[parent]) for value in values):
            return False
    return True


def cast(space: Space, params: Mapping[str, Any]) -> Params:
    """The parameters that exist, each in its own type and in the space's order."""
    return {
        name: parameter.cast(params[name])
        for name, parameter in space.items()
        if name in params and is_active(space, name, params)
    }


def grid_size(space: Space) -> float:
    """Number of combinations; infinity when a parameter is continuous."""
    return math.prod(parameter.size for parameter in space.values())


def continuous(space: Space) -> list[str]:
    """Names of the parameters that no exhaustive search can enumerate."""
    return [name for name, parameter in space.items() if math.isinf(parameter.size)]


def combinations(space: Space) -> Iterator[Params]:
    """Every combination once, the last parameter varying fastest.

    Raises:
        ValueError: when a parameter is continuous.
    """
    if names := continuous(space):
        raise ValueError(f"a continuous parameter has no end: {', '.join(names)}")
    grids = [parameter.grid() or () for parameter in space.values()]
    for values in itertools.product(*grids):
        yield dict(zip(space, values, strict=True))


def combination_at(space: Space, index: int) -> Params:
    """The combination number `index` of `combinations`, without walking there.

    Raises:
        IndexError: outside the grid.
    """
    if not 0 <= index < grid_size(space):
        raise IndexError(f"0 <= index < {grid_size(space)} must hold, but got {index}")
    params: Params = {}
    for name, parameter in reversed(list(space.items())):
        values = parameter.grid() or ()
        index, position = divmod(index, len(values))
        params[name] = values[position]
    return {name: params[name] for name in space}


def combination_index(space: Space, params: Mapping[str, Any]) -> int:
    """The inverse of `combination_at`."""
    index = 0
    for name, parameter in space.items():
        values = parameter.grid() or ()
        wanted = parameter.cast(params[name])
        position = next(i for i, value in enumerate(values) if _same(value, wanted))
        index = index * len(values) + position
    return index


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """Equality that tells True from 1 (as YAML does) but not 1 from 1.0."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _text(value: Any) -> str:
    return str(_listed(value))
