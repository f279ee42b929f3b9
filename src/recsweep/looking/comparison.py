"""Studies beside each other: what they found, what it cost, and in what they are not alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recsweep.looking.listing import Row, markdown, score_text
from recsweep.sweeps.protocol_words import protocol_text

_LONGEST = 60


def shown(rows: Sequence[Row]) -> str:
    """Studies in a table, the best on validation first where all search for the same; then what differs."""
    table = markdown([_shown(row) for row in _ordered(rows)], ("best", "test", "trials", "failed", "pruned"))
    table += "".join(f"\n\n{line}" for line in _protocols(rows))
    differing = differences(rows)
    if not differing:
        return f"{table}\n\nTheir definitions are alike in everything.\n"
    names = [row.record.study for row in rows]
    lines = [
        {"in": path, **dict(zip(names, map(_brief, values), strict=True))}
        for path, values in differing.items()
    ]
    return f"{table}\n\nWhere they are not alike:\n\n{markdown(lines)}\n{_fairness(rows)}"


def plain(rows: Sequence[Row]) -> dict[str, Any]:
    """The same as plain JSON."""
    names = [row.record.study for row in rows]
    return {
        "studies": [{**row.plain(), "protocol": _protocol(row)} for row in rows],
        "differences": {
            path: dict(zip(names, values, strict=True)) for path, values in differences(rows).items()
        },
    }


def differences(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The keys of the definitions and budgets in which studies are not alike, with each study's value."""
    each = [
        {**dict(_leaves(row.record.definition, "")), "budget": row.budget, "trained": row.trained}
        for row in rows
    ]
    paths = sorted({path for one in each for path in one})
    found = {path: [one.get(path) for one in each] for path in paths}
    return {path: values for path, values in found.items() if any(value != values[0] for value in values)}


def _ordered(rows: Sequence[Row]) -> list[Row]:
    alike = {(row.record.metric, row.record.dataset_name) for row in rows}
    if len(alike) > 1:
        return list(rows)
    sign = -1 if rows[0].record.maximize else 1
    return sorted(rows, key=lambda row: (row.best is None, sign * (row.best or 0.0)))


def _shown(row: Row) -> dict[str, str]:
    return {
        "study": row.record.study,
        "state": row.state,
        "metric": row.record.metric,
        "best": score_text(row.best),
        "test": score_text(row.test),
        "trials": f"{row.trained}/{row.budget}",
        "pruned": str(row.tally.pruned),
        "failed": str(row.tally.failed),
    }


def _protocol(row: Row) -> str:
    return row.record.protocol_text(row.record.details.counts.get("items"))


def _protocols(rows: Sequence[Row]) -> Iterator[str]:
    """How the studies were measured: one line where all were alike."""
    by_text: dict[str, list[str]] = {}
    for row in rows:
        by_text.setdefault(_protocol(row), []).append(row.record.study)
    if len(by_text) == 1:
        yield f"Protocol: {next(iter(by_text))}."
        return
    for text, names in by_text.items():
        yield f"Protocol of {', '.join(names)}: {text}."


def _fairness(rows: Sequence[Row]) -> str:
    """Notes for a reader of the table: budgets or data that are not the same."""
    remarks = []
    if len({row.trained for row in rows}) > 1:
        remarks.append("They had not the same number of trials.")
    if len({json.dumps(dict(row.record.hashes), sort_keys=True) for row in rows}) > 1:
        remarks.append("They were not trained on the same data: their scores are not comparable.")
    if len({protocol_text(row.record.dataset) for row in rows}) > 1:
        remarks.append("They were not measured by the same protocol: their scores are not comparable.")
    if len({row.record.metric for row in rows}) > 1:
        remarks.append("They search for different metrics.")
    return "".join(f"\n{remark}\n" for remark in remarks)


def _leaves(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping) and part:
        for key, value in part.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, part


def _brief(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
