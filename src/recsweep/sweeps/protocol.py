"""The protocol of a data set: which interactions count, how they are divided, how test items are ranked.

One object in a data set's file. Its keys may stand at the top too, as they did before it had a name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from recsweep.sweeps.documents import SECTION
from recsweep.sweeps.moments import Unit, in_unit, is_date
from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.split import ByName, SplitConfig
from recsweep.sweeps.values import MOST_ROWS, Text, Whole

LATER = frozenset({"drop", "max_item_interactions", "candidates", "time_unit"})
"""Keys that are no part of a study's definition while they are what they were before there was a choice."""
FULL = "full"
_CANDIDATES = re.compile(r"full|(?:uni|pop)[1-9]\d{0,5}")
_INTERVAL = re.compile(r"\s*([\[(])\s*([^,\[\]()]+?)\s*,\s*([^,\[\]()]+?)\s*([\])])\s*")
Values = tuple[Text, ...]


def _as_values(given: Any) -> Any:
    """A list of values as texts, which they are in a file; one value is a list of one."""
    given = [given] if isinstance(given, str | int | float) else given
    if not isinstance(given, list | tuple):
        return given
    return [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in given]


def _interval_or_values(given: Any) -> Any:
    return _as_values(given) if isinstance(given, list | tuple) else given


class Protocol(Frozen):
    """Which interactions count, how they are divided, what a test item is ranked among."""

    keep: dict[Text, Annotated[Text | Values, BeforeValidator(_interval_or_values)]] = Field({})
    """Which rows stay, by column: an interval such as `rating: "[4,inf)"` or
    `timestamp: "[1997-10-01,1998-01-01)"`, or a list of values."""
    drop: dict[Text, Annotated[Values, BeforeValidator(_as_values)]] = Field({})
    """Which rows go, by column: a list of values."""
    core: Whole | None = Field(None, ge=1, le=MOST_ROWS, exclude=True)
    """`core: 5` is `min_user_interactions: 5` and `min_item_interactions: 5`."""
    min_user_interactions: Whole = Field(0, ge=0, le=MOST_ROWS)
    """Users with fewer interactions are dropped."""
    min_item_interactions: Whole = Field(0, ge=0, le=MOST_ROWS)
    """Users and items with fewer interactions are dropped, again and again until none is left."""
    max_user_interactions: Whole | None = Field(None, ge=1, le=MOST_ROWS)
    """Users with more are dropped, such as those who have seen every item."""
    max_item_interactions: Whole | None = Field(None, ge=1, le=MOST_ROWS)
    """Items with more are dropped."""
    remove_duplicates: Annotated[
        Literal["first", "last", "counted"] | None,
        BeforeValidator(lambda given: None if given == "all" else given),
    ] = None
    """Which of a user's interactions with the same item stays; `counted`: the last one, with their number as
    its rating; None, or `all`: all of them."""
    split: Annotated[SplitConfig, ByName] = SplitConfig()
    """How interactions become training, validation and test data."""
    candidates: Text = FULL
    """The items that a test item is ranked among: `full`, all items; `uni100`, a hundred drawn at random;
    `pop100`, drawn by popularity. Sampled metrics order models otherwise (Krichene and Rendle 2020)."""
    time_unit: Unit = "s"
    """The unit of the data's times since 1970, for dates."""

    @field_validator("keep")
    @classmethod
    def _intervals(cls, keep: dict[str, str | Values]) -> dict[str, str | Values]:
        for field, wanted in keep.items():
            if isinstance(wanted, str):
                _check_interval(field, wanted)
            elif not wanted:
                raise ValueError(f"`{field}` must name one value or more")
        return keep

    @field_validator("candidates")
    @classmethod
    def _checked(cls, candidates: str) -> str:
        if not _CANDIDATES.fullmatch(candidates):
            raise ValueError(
                f"candidates are `full`, `uni` or `pop` with a number such as uni100, but got {candidates!r}"
            )
        return candidates


def _check_interval(field: str, interval: str) -> None:
    for part in interval.split(";"):
        found = _INTERVAL.fullmatch(part)
        try:
            low, high = (in_unit(bound) for bound in found.group(2, 3)) if found else (1.0, 0.0)
        except ValueError:
            found = None
        if found is None:
            raise ValueError(
                f"`{field}` must be an interval such as '[4,inf)' or '(0,10]', but got {interval!r}"
            )
        if low > high or (low == high and found.group(1, 4) != ("[", "]")):
            raise ValueError(f"`{field}` must be an interval that holds a number, but got {interval!r}")


def in_numbers(interval: str, unit: str) -> str:
    """An interval whose dates are numbers, in a unit; one without dates as it is written."""
    if not any(is_date(bound) for part in interval.split(";") for bound in part.strip(" [](){}").split(",")):
        return interval
    made = []
    for part in interval.split(";"):
        found = _INTERVAL.fullmatch(part)
        if found is None:
            raise ValueError(f"no interval: {part!r}")
        first, low, high, last = found.groups()
        bounds = (f"{in_unit(bound, unit):.0f}" if is_date(bound) else bound for bound in (low, high))
        made.append(f"{first}{','.join(bounds)}{last}")
    return ";".join(made)


def ranked_of(protocol: Protocol, items: int) -> int:
    """Items that a test item is ranked among, itself included."""
    drawn = protocol.candidates.lstrip("unipo")
    return items if protocol.candidates == FULL else min(items, int(drawn) + 1)


class Twice(ValueError):
    """A key that says what another one says.

    Attributes:
        location: of the key, in the file.
        fix: what to do about it.
    """

    fix = "keep one of them"

    def __init__(self, location: tuple[str, ...], problem: str) -> None:
        super().__init__(problem)
        self.location = location


def as_one(given: Any) -> Any:
    """A data set's keys, those below `protocol` and what `core` stands for among them.

    Raises:
        Twice: two keys say the same.
    """
    if not isinstance(given, dict):
        return given
    made = dict(given)
    if isinstance(below := given.get(SECTION), dict):
        for name in below:
            if name in given:
                raise Twice((SECTION, name), f"`{name}` stands at the top of the file too")
        made = {**{name: value for name, value in given.items() if name != SECTION}, **below}
    core = made.get("core")
    if isinstance(core, int) and not isinstance(core, bool) and core > 0:
        del made["core"]
        for name in ("min_user_interactions", "min_item_interactions"):
            if name in made:
                where = (SECTION,) if isinstance(below, dict) and name in below else ()
                raise Twice((*where, name), f"`core: {core}` stands for `{name}: {core}`")
            made[name] = core
    return made
