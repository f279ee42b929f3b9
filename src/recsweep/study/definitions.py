"""The definition that a study was made from, as its store has it, and how it differs from today's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from recsweep.common.errors import StudyChanged, StudyForeign
from recsweep.common.files import canonical_json
from recsweep.study.study import Study

_SET_BACK = (
    "set it back, give the sweep a new name, or pass --restart (the old study is kept under another name)"
)


def stored_form(definition: Mapping[str, Any]) -> Any:
    """A definition as the store gives it back, without what no result depends on.

    Earlier versions wrote that too.
    """
    plain = json.loads(canonical_json(definition))
    if isinstance(plain.get("training"), dict):
        plain["training"].pop("eval_batch_size", None)
    return plain


def difference(study: Study, definition: Mapping[str, Any]) -> str | None:
    """How the definition that a study's trials were made from differs; None where it does not."""
    stored, wanted = study.attributes.get("definition"), stored_form(definition)
    if stored is None or stored_form(stored) == wanted or not study.trials():
        return None
    return _changed_message(study.name, stored_form(stored), wanted)


def refuse_if_touched(study: Study, change: str) -> None:
    """A study takes another definition as long as nothing was found there by the one that it has.

    Args:
        change: what `difference` gives.

    Raises:
        StudyChanged: something was found, or is being looked for.
    """
    if study.touched():
        raise StudyChanged(f"{change}; {_SET_BACK}")


def _changed_message(name: str, stored: Any, wanted: Any) -> str:
    changes = list(_differences(stored, wanted, ""))
    shown = ", ".join(changes[:6]) + (f" and {len(changes) - 6} more" if len(changes) > 6 else "")
    return f"study {name} has trials of another definition; {shown}"


def _differences(stored: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in sorted({*stored, *wanted}):
            yield from _differences(stored.get(key), wanted.get(key), f"{path}.{key}" if path else key)
    elif stored != wanted:
        yield f"{path}: {_brief(stored)} -> {_brief(wanted)}"


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:18]}…{text[-18:]}"


def foreign(study: Study, why: str) -> StudyForeign:
    """The refusal of a study that another program made."""
    return StudyForeign(
        f"the study {study.name} was not made by recsweep; {why}; it is left alone: give the sweep a new "
        "name, the study another one (--study-name), or take another store (--storage)"
    )
