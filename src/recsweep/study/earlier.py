"""Studies that were made before a study described itself: their records, of what else the store has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from recsweep.common.files import to_plain
from recsweep.study.description import Objective
from recsweep.study.parts import Apart, Details
from recsweep.study.record import StudyRecord
from recsweep.sweeps.config import WHOLE, WITH_MODEL

ATTRIBUTES = ("definition", "test", "data")
"""Attributes of a study that its record is made of."""
_ARCHIVED = re.compile(r"(?P<name>.+)@(?P<time>\d{8}-\d{6})(-\d{6})?")
_TIME = "%Y%m%d-%H%M%S"
_UNKNOWN = "?"
BUILTIN_FILES = "ml-100k"
"""Name of the files that RecBole's wheel ships."""


@dataclass(frozen=True)
class Earlier:
    """The facts that a store has of a study without a record.

    Attributes:
        attributes: those of `ATTRIBUTES` that it has.
        directions: for each objective, whether more is better.
        slots: how many there are.
        inherits: a trial of it was inherited.
        begun: when its first trial began.
    """

    name: str
    attributes: Mapping[str, Any]
    directions: Sequence[bool] = (True,)
    slots: int = 0
    inherits: bool = False
    begun: datetime | None = None
    chain: Sequence[str] = field(default=())
    """The phases of its model that the store has, in the order in which they were begun."""

    @property
    def is_ours(self) -> bool:
        return isinstance(self.attributes.get("definition"), dict)

    def record(self) -> StudyRecord:
        """The record of a study of ours, as far as it can be told."""
        definition = self.attributes["definition"]
        name, archived = split_archived(self.name)
        sweep, dataset, model, phase = parts_of(name, definition)
        search, names = definition.get("search", {}), _objectives(definition)
        details = self._details(definition, phase, names)
        return StudyRecord(
            self.name,
            sweep,
            dataset,
            model,
            phase,
            engine=str(search.get("engine", "")),
            algo=str(search.get("algo", "")),
            pruner=str(definition.get("pruning", {}).get("pruner", "none")),
            metric=names[0],
            budget=self.slots,
            begun=self.begun,
            archived=archived,
            test_score=details.test.get("metrics", {}).get(names[0].lower()),
            slots_inherited=int(self.inherits),
            text=json.dumps(to_plain(details), separators=(",", ":")),
        )

    def _details(self, definition: Mapping[str, Any], phase: str, names: Sequence[str]) -> Details:
        more = [*self.directions, *[True] * len(names)]
        return Details(
            tuple(self.chain) or (phase,),
            definition,
            tuple(Objective(one, more[i]) for i, one in enumerate(names)),
            self.inherits,
            _apart(definition),
            counts=self.attributes.get("data", {}),
            test=self.attributes.get("test", {}),
        )


_WHOLE = (None, WHOLE, WITH_MODEL)


def _apart(definition: Mapping[str, Any]) -> Apart:
    """The settings that are known besides: the name of the data's folder is that of their files."""
    own = definition.get("phase", {})
    phases = {own["name"]: own["searched"]} if own.get("name") not in _WHOLE else {}
    files = definition.get("data", {})
    name = next((name.removesuffix(".inter") for name in files if name.endswith(".inter")), "")
    if name in ("", BUILTIN_FILES):
        return Apart(phases=phases, folder="")
    return Apart(path=name, folder=name, phases=phases)


def in_order_of(record: StudyRecord, params: Mapping[str, Any]) -> StudyRecord:
    """A record whose parameters stand in the order of a trial's; the store keeps them by the alphabet."""
    details = record.details
    space = details.definition["model"]["space"]
    ordered = {name: space[name] for name in (*params, *space) if name in space}
    model = {**details.definition["model"], "space": ordered}
    return record.with_details(definition={**details.definition, "model": model})


def split_archived(name: str) -> tuple[str, datetime | None]:
    """The name that a study had before it was archived, and when it was."""
    found = _ARCHIVED.fullmatch(name)
    if found is None:
        return name, None
    try:
        return found["name"], datetime.strptime(found["time"], _TIME).astimezone(UTC)
    except ValueError:  # no such day
        return name, None


def parts_of(name: str, definition: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Sweep, data set, model and phase of a study; the sweep is empty where a user named the study."""
    parts = name.split("/")
    if len(parts) == 4:  # no name has a slash
        return parts[0], parts[1], parts[2], parts[3]
    whole = WITH_MODEL if definition.get("variants") else WHOLE
    phase = definition.get("phase", {}).get("name", whole)
    dataset, model = (definition.get(part) for part in ("dataset", "model"))
    return "", _named(dataset, "name"), _named(model, "model"), str(phase)


def _named(part: Any, key: str) -> str:
    return str(part.get(key, _UNKNOWN)) if isinstance(part, dict) else _UNKNOWN


def _objectives(definition: Mapping[str, Any]) -> list[str]:
    evaluation = definition.get("evaluation", {})
    return list(evaluation.get("objectives") or [evaluation.get("metric", _UNKNOWN)])
