"""The JSON of a request: one object of plain values, within limits, or what is wrong with it.

Stricter than Python's reader, which takes NaN, the same key twice, and numbers that no machine can hold.
"""

from __future__ import annotations

import json
from typing import Any

from recsweep.service.refusals import Refused, refused
from recsweep.sweeps.documents import short_value

MOST_DEPTH = 12
MOST_VALUES = 1_000
"""Values in all lists of a request together."""
MOST_KEYS = 1_000
"""Keys in all objects of a request together."""
MOST_LETTERS = 1_000
"""Of one text."""
MOST_WHOLE = 2**53
"""From here on not every reader of JSON tells one whole number from the next."""
BODY = "body"
"""The field that a mistake in no field of its own stands at."""
_OBJECT = 'send one JSON object, such as {"name": "SASRec LR sweep", "dataset": "ml-100k", "model": "SASRec"}'


def read_object(raw: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
        Refused: it holds something else.
    """
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_each_once)
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8"
        raise refused(BODY, problem, "send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        problem = f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise refused(BODY, problem, _OBJECT) from None
    except RecursionError:
        raise _too_deep(BODY) from None
    except ValueError:  # Python refuses numbers of more than some thousand digits
        raise refused(BODY, "holds a number of too many digits", "write a shorter one") from None
    if not isinstance(data, dict):
        raise refused(BODY, f"must be a JSON object, but is {_kind(data)}", _OBJECT, data)
    _Walk().look(data, "", 0)
    return data


def _no_number(word: str) -> Any:
    raise refused(BODY, f"holds {word}, which is no number of JSON", "write a finite number")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise refused(
                short_value(key, quoted=False), "stands twice in the body", "keep one of them", value
            )
        data[key] = value
    return data


def _kind(data: Any) -> str:
    if isinstance(data, list):
        return "a list"
    return "null" if data is None else f"the value {short_value(data)}"


def _too_deep(field: str) -> Refused:
    return refused(field, f"is nested more than {MOST_DEPTH} deep", "send fewer levels")


class _Walk:
    """A look at every value of a body; counts lists and objects as it goes."""

    def __init__(self) -> None:
        self.keys = self.values = 0

    def look(self, value: Any, field: str, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise _too_deep(field)
        if isinstance(value, dict):
            self._object(value, field, depth)
        elif isinstance(value, list):
            self._list(value, field, depth)
        elif isinstance(value, str):
            _text(value, field)
        elif isinstance(value, int) and abs(value) > MOST_WHOLE:
            raise refused(field, f"must lie within {MOST_WHOLE:,}", "write a smaller number", value)
        elif isinstance(value, float) and value - value != 0:  # 1e999 is infinite, and no constant
            raise refused(field, "must be a finite number", "write a smaller one")

    def _object(self, value: dict[str, Any], field: str, depth: int) -> None:
        self.keys += len(value)
        if self.keys > MOST_KEYS:
            raise refused(field or BODY, f"the request has more than {MOST_KEYS:,} keys", "send fewer")
        for key, inner in value.items():
            _text(key, f"{field}.…" if field else BODY)
            self.look(inner, f"{field}.{key}" if field else key, depth + 1)

    def _list(self, value: list[Any], field: str, depth: int) -> None:
        self.values += len(value)
        if self.values > MOST_VALUES:
            raise refused(field, f"the request lists more than {MOST_VALUES:,} values", "list fewer")
        for position, inner in enumerate(value):
            self.look(inner, f"{field}.{position}", depth + 1)


def _text(text: str, field: str) -> None:
    if len(text) > MOST_LETTERS:
        raise refused(
            field, f"must have at most {MOST_LETTERS:,} characters, but has {len(text):,}", "shorten it"
        )
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise refused(
            field, "holds a character that no text has (NUL or half of a pair)", "take it out", text
        )
