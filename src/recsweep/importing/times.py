"""Times in seconds since 1970, whatever they are given in, which is found by the first ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

from recsweep.importing.cells import Reader, Texts, as_floats
from recsweep.sweeps.moments import PER_SECOND

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "iso": "ISO dates"}
_LEAST = 1e8
"""Below, a number may be a place in an order, or a time in any unit."""
_BOUNDS = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": np.inf}
"""A time of our days, in a unit, is below this."""
_FIRST = 1000
"""So many times are looked at for their unit."""
_FIGURES = re.compile(r"(\d{4}|\d\d?)([./-])(\d\d?)\2(?:\d{4}|\d\d?)(?:([ T])(\d\d?:\d\d)(:\d\d)?)?")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


class Times:
    """The times of a column, block by block, as texts of seconds."""

    def __init__(self, reader: Reader, unit: str) -> None:
        self.reader, self.unit, self.found = reader, unit, unit == "auto"
        self.first, self.last = np.inf, -np.inf
        self.zoned: bool | None = None

    @property
    def words(self) -> str:
        """How the times were read."""
        how = f" ({'found by the values' if self.found else 'as given'})"
        if self.unit not in _WORDS:
            return f"times by the pattern {self.unit}{how}, taken as UTC"
        zone = ", taken as UTC" if self.unit == "iso" and not self.zoned else ""
        order = self.unit == "s" and self.last < _LEAST
        return (
            ("times are an order, kept as they are" if order else f"times in {_WORDS[self.unit]}")
            + how
            + zone
        )

    @property
    def span(self) -> str:
        """First and last day."""
        if (
            not self.first <= self.last
            or abs(self.first) > 1e11
            or abs(self.last) > 1e11
            or self.last < _LEAST
        ):
            return f"{self.first:g} to {self.last:g}"
        days = (
            datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") for seconds in (self.first, self.last)
        )
        return " to ".join(days)

    def texts(self, values: Any, row: int) -> Texts:
        """The seconds of more cells, as exact as they are given.

        Raises:
            InputError: a cell that is no time, with its place.
        """
        from pyarrow import types

        if types.is_timestamp(values.type) or types.is_date(values.type):
            return self._stamps(values, row)
        if self.unit == "auto":
            self.unit = self._unit_of(values)
        if self.unit in PER_SECOND:
            return self._numbers(self.reader.texts(values, row), row)
        return self._dates(values, row)

    def _unit_of(self, values: Any) -> str:
        """The unit of the first times."""
        import pyarrow
        import pyarrow.compute as pc

        texts = pc.utf8_trim_whitespace(pc.cast(values.slice(0, _FIRST), pyarrow.string()))
        told = [text for text in texts.to_pylist() if text]
        numbers = [abs(float(text)) for text in told if _NUMBER.fullmatch(text)]
        if told and not _NUMBER.fullmatch(told[0]):
            return "iso"
        middle = float(np.median(numbers)) if numbers else 0.0
        return next(unit for unit, bound in _BOUNDS.items() if middle < bound or unit == "ns")

    def _numbers(self, texts: Texts, row: int) -> Texts:
        numbers = as_floats(texts)
        if self.found:
            self._check_unit(texts, numbers, row)
        self._span(numbers / PER_SECOND[self.unit])
        return texts if self.unit == "s" else _divided(texts, numbers, self.unit)

    def _check_unit(self, texts: Texts, numbers: np.ndarray[Any, Any], row: int) -> None:
        """Times of another unit stand among those that were found."""
        units = list(_BOUNDS)
        low = [_LEAST, *_BOUNDS.values()][units.index(self.unit)]
        size = np.abs(numbers)
        wrong = ((size >= _LEAST) & (size < low)) | (size >= _BOUNDS[self.unit])
        if wrong.any():
            at = int(np.argmax(wrong))
            problem = f"is {texts[at].as_py()}, where the first times are {_WORDS[self.unit]}"
            self.reader.refuse(row + at, problem, f"correct it, or give --time-unit {self.unit}")

    def _dates(self, values: Any, row: int) -> Texts:
        import pyarrow
        import pyarrow.compute as pc

        texts = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(values, pyarrow.string()), ""))
        try:
            stamps = self._parsed(texts)
        except pyarrow.ArrowException:
            at = next((n for n in range(len(texts)) if not self._is_date(texts.slice(n, 1))), 0)
            text = texts[at].as_py()
            wanted = "a time such as 2019-05-31 18:30:00" if self.unit == "iso" else f"a time by {self.unit}"
            problem = f"must be {wanted}, but is {text!r}" if text else "is empty"
            zone = " (the first ones have a zone)" if self.zoned and text else ""
            pattern = _pattern_of(text)
            likely = f"its pattern, perhaps '{pattern}'" if pattern else "a pattern such as %d.%m.%Y"
            self.reader.refuse(row + at, problem + zone, f"correct it, or give --time-unit with {likely}")
        return self._stamps(stamps, row)

    def _parsed(self, texts: Texts) -> Any:
        import pyarrow
        import pyarrow.compute as pc

        if self.unit != "iso":
            return pc.strptime(texts, format=self.unit, unit="us")
        if self.zoned is None and len(texts):
            self.zoned = bool(_ZONE.search(texts[0].as_py()) and len(texts[0].as_py()) > 10)
        return pc.cast(texts, pyarrow.timestamp("us", "UTC" if self.zoned else None))

    def _is_date(self, text: Texts) -> bool:
        import pyarrow

        try:
            self._parsed(text)
        except pyarrow.ArrowException:
            return False
        return True

    def _stamps(self, stamps: Any, row: int) -> Texts:
        """Of Arrow's own times."""
        import pyarrow
        import pyarrow.compute as pc

        if self.unit == "auto":
            self.unit, self.zoned = "iso", bool(getattr(stamps.type, "tz", None))
        if stamps.null_count:
            at = int(np.argmax(np.asarray(pc.is_null(stamps))))
            self.reader.refuse(row + at, "is empty", "fill it in, or leave the column out")
        whole = pc.cast(
            pc.cast(stamps, pyarrow.timestamp("us", getattr(stamps.type, "tz", None)), safe=False),
            pyarrow.int64(),
        )
        self._span(whole.to_numpy(zero_copy_only=False) / 1e6)
        return _of_whole(whole, "us")

    def _span(self, seconds: np.ndarray[Any, Any]) -> None:
        if len(seconds):
            self.first = min(self.first, float(np.nanmin(seconds)))
            self.last = max(self.last, float(np.nanmax(seconds)))


def _divided(texts: Texts, numbers: np.ndarray[Any, Any], unit: str) -> Texts:
    """Texts of numbers in a unit as texts of seconds."""
    import pyarrow
    import pyarrow.compute as pc

    try:
        return _of_whole(pc.cast(texts, pyarrow.int64()), unit)
    except pyarrow.ArrowException:
        return pyarrow.array([repr(number) for number in (numbers / PER_SECOND[unit]).tolist()])


def _of_whole(whole: Any, unit: str) -> Texts:
    """Seconds, with as many decimals as are not 0 in all of them."""
    import pyarrow
    import pyarrow.compute as pc

    numbers = whole.to_numpy(zero_copy_only=False)
    seconds, rest = np.divmod(numbers, PER_SECOND[unit])
    texts = pyarrow.array(seconds).cast(pyarrow.string())
    if not rest.any():
        return texts
    if (numbers < 0).any():  # -1.5 s is -1 and -0.5, which no joining of digits says
        return pyarrow.array([repr(number) for number in (numbers / PER_SECOND[unit]).tolist()])
    decimals = pc.utf8_lpad(pyarrow.array(rest).cast(pyarrow.string()), _DIGITS[unit], "0")
    return pc.binary_join_element_wise(texts, decimals, ".")


def later(texts: Texts, milliseconds: np.ndarray[Any, Any]) -> Texts:
    """Times with milliseconds added to each."""
    import pyarrow

    whole = np.rint(as_floats(texts) * 1000).astype(np.int64) + np.rint(milliseconds).astype(np.int64)
    return _of_whole(pyarrow.array(whole), "ms")


def _pattern_of(text: str) -> str:
    """The pattern that a date in figures seems to have, days before months; empty: it has another."""
    found = _FIGURES.fullmatch(text)
    if found is None:
        return ""
    first, part, second, between, hours, seconds = found.groups()
    day_first = ("%m", "%d", "%Y") if int(second) > 12 else ("%d", "%m", "%Y")
    day = part.join(("%Y", "%m", "%d") if len(first) == 4 else day_first)
    return day + (f"{between}%H:%M" if hours else "") + (":%S" if seconds else "")
