"""A knowledge graph row by row: mistakes, and what may not be meant, each with where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recsweep.datasets.table import Table
from recsweep.datasets.tables import Tables

PADDING = "[PAD]"
_OWN = "[UI-Relation]"
_Array = np.ndarray[Any, Any]


def check_graph(table: Table, relation: str) -> None:
    """Refuse the names that RecBole has for things of its own.

    Args:
        table: `.kg` or `.link`.
        relation: the column of relations.

    Raises:
        InputError: an item, an entity or a relation of such a name.
    """
    for name, texts in table.texts.items():
        if PADDING in texts.values:
            raise table.error_at(
                name,
                texts.values.index(PADDING),
                f"`{name}` is {PADDING!r}, which RecBole takes for no entity",
                "rename it",
            )
    if relation in table.texts and _OWN in table.texts[relation].values:
        raise table.error_at(
            relation,
            table.texts[relation].values.index(_OWN),
            f"`{relation}` is {_OWN!r}, RecBole's name of what stands between a user and an item",
            "rename it",
        )


def about_graph(tables: Tables) -> Iterator[str]:
    """Remarks on the facts of a graph, and on what links items to it."""
    graph, link = tables.get("kg"), tables.get("link")
    if graph is not None:
        yield from _about_facts(graph, tables.reading.entities[:3])
    if link is not None:
        yield from _about_links(link, graph, tables)


def _about_facts(graph: Table, names: tuple[str, ...]) -> Iterator[str]:
    """Facts that stand twice, which RecBole counts twice, and entities that are related to themselves."""
    if not graph.texts.keys() >= set(names):
        return
    codes = np.stack([graph.texts[name].codes for name in names], axis=1)
    _, first, whose = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[whose.reshape(-1)] != np.arange(len(codes)))
    if len(again):
        row = int(again[0])
        yield (
            f"{_rows(len(again), graph)} of a fact that stands before, such as line {graph.line(row)}, which "
            f"repeats line {graph.line(int(first[whose.reshape(-1)[row]]))}; RecBole counts each"
        )
    head, tail = (_names(graph, name) for name in names[:2])
    if len(loops := np.flatnonzero(head == tail)):
        yield (
            f"{_rows(len(loops), graph)} of an entity that is related to itself, such as "
            f"{head[loops[0]]!r} in line {graph.line(int(loops[0]))}"
        )


def _about_links(link: Table, graph: Table | None, tables: Tables) -> Iterator[str]:
    """Links of items that nobody has used, and to entities of which the graph says nothing."""
    head, tail, _, entity = tables.reading.entities
    item = tables.reading.item
    used = set(tables.interactions.texts[item].values) if item in tables.interactions.texts else set()
    wanted = [(item, used, "items without interactions")]
    if graph is not None and {head, tail} <= graph.texts.keys():
        there = {*graph.texts[head].values, *graph.texts[tail].values}
        wanted.append((entity, there, f"entities that no row of {graph.path.name} names"))
    for name, ids, what in wanted:
        if name not in link.texts or not ids:
            continue
        strange = np.array([text not in ids for text in link.texts[name].values], dtype=bool)
        rows = np.flatnonzero(strange[link.texts[name].codes])
        if len(rows):
            yield (
                f"{_rows(len(rows), link)} of {what}, such as {_names(link, name)[rows[0]]!r} in line "
                f"{link.line(int(rows[0]))}"
            )


def _names(table: Table, name: str) -> _Array:
    values = np.empty(len(table.texts[name].values), dtype=object)
    values[:] = table.texts[name].values
    found: _Array = values[table.texts[name].codes]
    return found


def _rows(number: int, table: Table) -> str:
    return f"{number} of {table.rows} rows in {table.path.name} {'is' if number == 1 else 'are'}"
