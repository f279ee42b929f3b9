"""The typed parameters of a search space. Conversions to an engine's own types live with it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recsweep.sweeps.values import Number, Text, Value, Whole, as_text, finite, is_number, listed, same

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

    @property
    def by_rank(self) -> bool:
        """True where engines take values by their number in ascending order; else as they are."""
        return math.isfinite(self.size)


class _Range(_Parameter):
    min: Number
    max: Number
    is_log: ClassVar[bool] = False
    """True where equal ratios are equally likely."""

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if not (finite(self.min) and finite(self.max)):
            raise ValueError(f"`min` and `max` must be finite, but got {self.min} and {self.max}")
        if max(abs(self.min), abs(self.max)) > _MOST:
            raise ValueError(f"`min` and `max` must lie within {_MOST:,}, but got {self.min} and {self.max}")
        if not self.min < self.max:
            raise ValueError(f"`min < max` must hold, but got min={self.min}, max={self.max}")
        return self

    def contains(self, value: Any) -> bool:
        return is_number(value) and self.min <= value <= self.max

    def cast(self, value: Any) -> Any:
        return float(min(max(float(value), self.min), self.max))


class Choice(_Parameter):
    """One of the listed values; they may be numbers, strings, booleans, null or lists."""

    type: Literal["choice"]
    values: tuple[Value, ...] = Field(min_length=1, max_length=_MOST_CHOICES)

    @model_validator(mode="after")
    def _distinct(self) -> Choice:
        for value in self.values:
            if not finite(value):
                raise ValueError(f"`values` must be finite, but got {as_text(value)}")
        for left, right in itertools.combinations(self.values, 2):
            if same(left, right):
                raise ValueError(f"`values` must be distinct, but {as_text(left)} stands twice")
        return self

    def grid(self) -> Sequence[Any]:
        return tuple(listed(value) for value in self.values)

    @property
    def size(self) -> float:
        return len(self.values)

    def at(self, index: int) -> Any:
        return listed(self.values[index])

    def index(self, value: Any) -> int:
        """Position of a value.

        Raises:
            ValueError: when it is not among the values.
        """
        wanted = tuple(value) if isinstance(value, list) else value
        for position, own in enumerate(self.values):
            if same(own, wanted):
                return position
        raise ValueError(f"{as_text(value)} is not one of {as_text(list(self.values))}")

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
        """True where its values are numbers, so that one can lie between two others."""
        return all(is_number(value) for value in self.values)

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
    is_log: ClassVar[bool] = True

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


class LogRandInt(RandInt):
    """An integer from `min` to `max`, both included, on a log scale: 10 to 20 is as likely as 100 to 200.

    Every integer has the part from half below to half above it, as with Optuna's `suggest_int(log=True)`.
    """

    type: Literal["lograndint"]  # type: ignore[assignment]
    is_log: ClassVar[bool] = True

    @model_validator(mode="after")
    def _positive(self) -> LogRandInt:
        if self.min < 1:
            raise ValueError(f"`min >= 1` must hold for lograndint, but got min={self.min}")
        return self

    @property
    def by_rank(self) -> bool:
        return False

    @property
    def logs(self) -> tuple[float, float]:
        """The logarithms between which it is drawn, before it is rounded."""
        return math.log(self.min - 0.5), math.log(self.max + 0.5)

    def from_unit(self, share: float) -> Any:
        low, high = self.logs
        return self.cast(math.exp(low + share * (high - low)))

    def to_unit(self, value: Any) -> float:
        low, high = self.logs
        return (math.log(value) - low) / (high - low)


Parameter = Annotated[
    Choice | Uniform | LogUniform | QUniform | RandInt | LogRandInt, Field(discriminator="type")
]
