"""Moments as people write them, in UTC, and what they are in the times of a data set."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

Unit = Literal["s", "ms", "us", "ns"]
PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?")
_NUMBER = re.compile(r"[-+]?(?:inf|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def is_date(text: str) -> bool:
    """True for what is written as a date, with a time of day or without."""
    return _DATE.fullmatch(text.strip()) is not None


def in_unit(text: str, unit: str = "s") -> float:
    """A date in the unit of a data set's times since 1970; a number is in that unit already.

    Raises:
        ValueError: neither, or there is no such day.
    """
    if not is_date(text):
        if not _NUMBER.fullmatch(text.strip()):
            raise ValueError(f"a moment is a date such as 1998-02-01, or a number, but got {text!r}")
        return float(text)
    found = datetime.datetime.fromisoformat(text.strip().removesuffix("Z"))
    span = found.replace(tzinfo=datetime.UTC) - _EPOCH
    return float(span // datetime.timedelta(microseconds=1) * PER_SECOND[unit] // 10**6)


def _written(given: Any) -> Any:
    """As text what YAML reads as a date or a number."""
    if isinstance(given, datetime.datetime):
        return (
            given.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            if given.tzinfo
            else (given.isoformat(timespec="seconds"))
        )
    if isinstance(given, datetime.date):
        return given.isoformat()
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


def _sound(text: str) -> str:
    in_unit(text)
    return text.strip()


Moment = Annotated[str, BeforeValidator(_written, str), AfterValidator(_sound)]
"""`1998-02-01`, `1998-02-01T12:00Z`, or a number in the unit of the data's times."""
