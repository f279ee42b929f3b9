"""Checks that a store is ours, and whole: what is looked at when it is opened and when it is read.

What another program made is refused and never changed; what is damaged is said, with what to do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from recsweep.common.address import StoreAddress
from recsweep.common.errors import StoreDamaged, UserError
from recsweep.study.states import Reason

_SQLITE = b"SQLite format 3\0"
_DAMAGE = ("malformed", "file is not a database", "database corruption", "invalid page", "is corrupted")
"""How databases say that a file of theirs is not whole."""
_OPTUNAS = {"studies", "version_info", "trials"}
"""Tables of Optuna's; some may be missing, where the disk was full when they were made."""
_LOCK_SECONDS = 60.0
_whole: set[tuple[str, int]] = set()
"""SQLite files that were found whole by this process; each is looked at once."""


def is_damage(text: str) -> bool:
    """True where a database's message says that its file is not whole."""
    return any(words in text for words in _DAMAGE)


def damaged(store: StoreAddress, what: str) -> StoreDamaged:
    """A store that is not whole, and what to do."""
    way = "put back a copy of it"
    if store.kind == "sqlite":
        way += f", or save what can be read: sqlite3 {store.file} .recover | sqlite3 saved.db, then --storage"
        way += " sqlite:///saved.db"
    return StoreDamaged(f"the store {store} is damaged; {what}; {way}")


def check_sqlite(store: StoreAddress) -> set[str]:
    """See that a file is a SQLite database, whole, and one of Optuna's; what is not there will be made.

    Returns:
        The names of its tables, indexes and triggers; empty where they cannot be read now.

    Raises:
        UserError: it is none, or holds something else.
        StoreDamaged: it is not whole.
    """
    file = store.file
    if file is None or not file.is_file() or not file.stat().st_size:
        return set()
    seen = (str(file.resolve()), file.stat().st_ino)
    # By SQLite alone: whoever closes the file himself ends the locks of all connections of this process, and
    # the next process that leaves would remove the log that they read.
    try:
        with closing(sqlite3.connect(file, timeout=_LOCK_SECONDS)) as connection:
            found = ["ok"] if seen in _whole else _checked(connection)
            tables = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        if is_damage(str(error)) and seen not in _whole:
            _require_header(store, file)
            raise damaged(store, str(error)) from None
        return set()  # locked, or not to be read: it is opened next, and says so there
    if found != ["ok"]:
        raise damaged(store, f"PRAGMA quick_check: {'; '.join(' '.join(found).split(chr(10))[:3])}")
    if tables and not _OPTUNAS & tables:
        raise UserError(
            f"the store {store} is a database of another program (its first table: {min(tables)}); "
            "give the path of another one, or a new name"
        )
    _whole.add(seen)
    return tables


def _checked(connection: sqlite3.Connection) -> list[str]:
    return [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]


def _require_header(store: StoreAddress, file: Path) -> None:
    """Tell what never was a database from one that is damaged; no connection can read either."""
    with file.open("rb") as content:
        if content.read(len(_SQLITE)) != _SQLITE:
            raise UserError(f"the store {store} is no SQLite database; give the path of one, or a new name")


def other_schema(store: StoreAddress, message: str) -> UserError:
    """A store whose tables were made by a version of Optuna that wants other ones."""
    return UserError(
        f"the store {store} has the tables of another version of Optuna; {message.split('. ')[0].strip()}; "
        "bring a copy of it up to date with `optuna storage upgrade --storage URL`, or take another store"
    )


# -- what we write with a study and its trials ---------------------------------------------------


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has(**kinds: type | tuple[type, ...]) -> Callable[[Any], bool]:
    """True where a value is a mapping with these keys, of these kinds."""
    return lambda value: (
        isinstance(value, dict) and all(isinstance(value.get(key), kind) for key, kind in kinds.items())
    )


def _is_result(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        return False
    metrics, seconds = value.get("metrics", {}), value.get("seconds", 0.0)
    ours = not value or "metrics" in value or "seconds" in value
    whole = _are_metrics(metrics) and _is_number(seconds)
    parts = {"lineage": _is_lineage, "energy": _is_energy, "test": _are_metrics, "pretraining": _is_count}
    return ours and whole and all(fits(value[name]) for name, fits in parts.items() if name in value)


def _are_metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_energy(value: Any) -> bool:
    if not _has(read=str, estimated=bool)(value):
        return False
    return all(_is_number(value.get(name)) for name in ("kwh", "co2_g")) and _is_number(value.get("cost", 0))


def _is_lineage(value: Any) -> bool:
    if not _has(seed=int, stretches=list)(value) or not value["stretches"]:
        return False
    return all(map(_has(slot=int, from_epoch=int, params=dict), value["stretches"]))


def _is_failure(value: Any) -> bool:
    return _has(kind=str, message=str)(value) and value["kind"] in {*Reason}


def _is_owner(value: Any) -> bool:
    optional = {
        "ticks": int,
        "started": int | float,
        "worker": int,
        "beat": int,
        "ran": int | float,
        "claim": str,
    }
    return _has(place=str, pid=int)(value) and all(
        value.get(key) is None or isinstance(value[key], kind) for key, kind in optional.items()
    )


_OF_TRIALS: dict[str, Callable[[Any], bool]] = {
    "slot": _is_count,
    "attempt": _is_count,
    "crashes": _is_count,
    "alone": lambda value: isinstance(value, bool),
    "setup": _has(params=dict, environment=dict, seed=(int, type(None))),
    "result": _is_result,
    "failure": _is_failure,
    "inherited": _has(phase=str, slot=int),
    "owner": _is_owner,
    "ended": _is_count,
}
_IS_POINT = _has(trial=int, params=dict, training_seed=int, split_seed=int)
_OF_STUDIES: dict[str, Callable[[Any], bool]] = {
    "definition": lambda value: isinstance(value, dict),
    "starts": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "test": _has(trial_id=int, metrics=dict),
    "points": lambda value: isinstance(value, list) and all(map(_IS_POINT, value)),
    "stop": _has(token=str, now=bool),
    "go_on": lambda value: isinstance(value, str),
    "trials_ended": _is_count,
    "population": lambda value: (
        _has(epoch=int, members=dict)(value)
        and all(slot.isdigit() and _is_lineage(one) for slot, one in value["members"].items())
    ),
}


def check_trial(number: int, attributes: Mapping[str, Any], bid: str) -> None:
    """See that what stands with a trial is what recsweep writes.

    Args:
        bid: how the names of bids begin.

    Raises:
        StoreDamaged: something else stands there.
    """
    for name, value in attributes.items():
        fits = _is_owner if name.startswith(bid) else _OF_TRIALS.get(name)
        if fits is not None and not fits(value):
            raise _no_attribute(f"trial {number}", name, value)


def check_study(study: str, attributes: Mapping[str, Any]) -> None:
    """Likewise, of a study."""
    for name, value in attributes.items():
        if (fits := _OF_STUDIES.get(name)) is not None and not fits(value):
            raise _no_attribute(f"study {study}", name, value)


def read_json(text: str, trial_id: int, name: str) -> Any:
    """An attribute as it stands in the database."""
    try:
        return json.loads(text)
    except ValueError:
        raise _no_attribute(f"the trial with the id {trial_id}", name, text) from None


def read_study_json(text: str, study: str, name: str) -> Any:
    """Likewise, of a study."""
    try:
        value = json.loads(text)
    except ValueError:
        raise _no_attribute(f"study {study}", name, text) from None
    check_study(study, {name: value})
    return value


def _no_attribute(of: str, name: str, value: Any) -> StoreDamaged:
    text = json.dumps(value, default=str)
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    return StoreDamaged(
        f"the store is damaged; the attribute `{name}` of {of} is {shown}, which recsweep did not write; "
        "put back a copy of the store, or give the sweep a new name"
    )
