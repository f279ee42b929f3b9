"""Which column of a file is what: as it is given, or found by the names that people use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recsweep.common.errors import InputError
from recsweep.datasets.header import TYPES
from recsweep.importing.blocks import Table
from recsweep.sweeps.documents import nearest

USER, ITEM, TIME, RATING, TIME_MS = "user", "item", "time", "rating", "time_ms"
FIELDS = {USER: "user_id", ITEM: "item_id", RATING: "rating", TIME: "timestamp"}
"""The columns of the atomic file by role, in their order there."""
_USUAL = {
    USER: "user userid uid reviewerid visitorid customerid viewer viewerid member memberid sessionid session",
    ITEM: "item itemid iid movieid movie asin parentasin productid product businessid artistid venueid film",
    TIME: "timestamp time ts unixreviewtime datetime date unixtime eventtime createdat",
    RATING: "rating overall stars score rate ratings ratingvalue",
}
"""Names by which a role is found, without case and marks; the first that a file has."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


@dataclass(frozen=True)
class Column:
    """A column that is read, and what it becomes."""

    source: str
    """Its name in the file."""
    name: str
    """Its name in the atomic file."""
    kind: str
    """Its type there; empty: found by its first values."""
    role: str
    """`user`, `item`, `time`, `time_ms` or `rating`; empty for any other."""


def columns_of(table: Table, given: Mapping[str, str], needed: Sequence[str], *, rest: bool) -> list[Column]:
    """The columns to read.

    Args:
        given: the column of each role or new name; none: all are found.
        needed: roles that must be there.
        rest: take the columns too that no role has, where none is given.

    Raises:
        InputError: a column that is not there, or none for a role that is needed.
    """
    if not given:
        given = _found(table, [*FIELDS] if not rest else needed)
        others = [name for name in table.names if name not in given.values()] if rest else []
        given = {**given, **{_safe(name): name for name in others}}
    columns = [_column(table, name, source) for name, source in given.items()]
    for role in needed:
        if role not in {column.role for column in columns}:
            fix = f"say which it is: --columns {role}=NAME, one of {', '.join(table.names)}"
            raise InputError(table.form.path, f"no column is the {role}", fix, 1, 1)
    names = [column.name for column in columns if column.role != TIME_MS]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(table.form.path, f"two columns would be `{twice}`", "give one another name", 1, 1)
    order = [*FIELDS, TIME_MS]
    return sorted(columns, key=lambda column: order.index(column.role) if column.role else len(order))


def _found(table: Table, roles: Sequence[str]) -> dict[str, str]:
    plain = {re.sub(r"[\W_]", "", name).lower(): name for name in reversed(table.names)}
    found = {}
    for role in roles:
        usual = next((name for name in _USUAL[role].split() if name in plain), None)
        if usual:
            found[role] = plain[usual]
    return found


def _safe(name: str) -> str:
    """A column's name as a field of an atomic file."""
    safe = re.sub(r"[^\w.-]", "_", name)
    return safe if _NAME.fullmatch(safe) else f"_{safe}"


def _column(table: Table, name: str, source: str) -> Column:
    role = name if name in (*FIELDS, TIME_MS) else ""
    source, kind = _typed(table, source)
    if source not in table.names:
        problem = f"there is no column `{source}`"
        raise InputError(table.form.path, problem, nearest(source, table.names), 1, 1)
    if not role and not _NAME.fullmatch(name):
        problem = f"`{name}` is no name of a column"
        raise InputError(table.form.path, problem, "take letters, digits and `_`", 1, 1)
    wanted = {USER: "token", ITEM: "token", TIME: "float", RATING: "float", TIME_MS: "float"}.get(role, "")
    if kind and wanted and kind != wanted:
        raise InputError(
            table.form.path, f"the {role} is a {wanted}, not a {kind}", f"write {role}={source}", 1, 1
        )
    return Column(source, FIELDS.get(role, name), kind or wanted, role)


def _typed(table: Table, source: str) -> tuple[str, str]:
    """Name and type of `genres:token_seq`; a name may hold colons itself."""
    name, colon, kind = source.rpartition(":")
    if source in table.names or not colon:
        return source, ""
    if kind not in TYPES:
        raise InputError(table.form.path, f"unknown type `{kind}` of `{name}`", nearest(kind, TYPES), 1, 1)
    return name, kind
