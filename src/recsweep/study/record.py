"""A study as it describes itself in the store: whoever looks at it needs nothing else.

A record has two parts. Its columns are what studies are found and listed by: names, times, budget, score.
Its `details` hold the rest as one JSON text, which is read when something of it is asked for: ten thousand
studies are listed without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

from recsweep.common.errors import StoreDamaged
from recsweep.common.files import to_plain
from recsweep.study.description import Description, Objective
from recsweep.study.parts import (
    Apart,
    Change,
    Details,
    Maker,
    Winner,
    dataset_config,
    evaluation_config,
    model_config,
    pruning_config,
    search_config,
    training_config,
)
from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import (
    DatasetConfig,
    EvaluationConfig,
    ModelConfig,
    PruningConfig,
    SearchConfig,
    TrainingConfig,
)

VERSION = 1
"""Of the form of a record; a reader of a later one says that it is too old."""
SEARCH, EVIDENCE, ENSEMBLE, BASELINE = "search", "evidence", "ensemble", "baseline"
"""Kinds of studies: those that search, that train what a search found on other seeds and splits, that are a
choice of what searches found, and that train what all others are to be better than."""


@dataclass(frozen=True)
class StudyRecord(Description):
    """One study as the store describes it.

    Get them by `Store.records` and `Store.find_record`; a plan's is made by `StudyPlan.record`.

    Attributes:
        study: its name in the store.
        sweep_name: the sweep that it belongs to; empty where an earlier version has not said so.
        kind: `search`; or another one, listed and counted only where somebody asks for it.
        engine, algo, pruner, metric: as the sweep's file names them; `metric` is the first objective.
        budget: slots, an inherited one among them.
        begun: when the study was opened.
        ended: when the last slot was filled, or a limit met; None while there is something to run.
        ended_by: the limit, in words.
        score: the winner's, once the study has ended.
        archived: when the study made room for one of another definition; None: it did not.
        test_score: what the winner came to on the test split, in the metric.
        slots_inherited: slots that the phase before has filled, at no cost.
        text: the details as JSON; empty in a list that was asked for without them.
    """

    study: str
    sweep_name: str
    dataset_name: str
    model_name: str
    phase: str
    kind: str = SEARCH
    engine: str = ""
    algo: str = ""
    pruner: str = "none"
    metric: str = ""
    budget: int = 0
    begun: datetime | None = None
    ended: datetime | None = None
    ended_by: str = ""
    score: float | None = None
    archived: datetime | None = None
    test_score: float | None = None
    slots_inherited: int = 0
    text: str = field(default="", repr=False)

    # -- to and from what a store keeps ----------------------------------------------------------

    def to_row(self) -> dict[str, Any]:
        """The columns of a table, and the details as text in `details`."""
        row = {name: getattr(self, name) for name in COLUMNS}
        times = {name: row[name].isoformat() for name in _TIMES if row[name] is not None}
        return {**row, **times, "version": VERSION, "details": self.text}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> StudyRecord:
        """From what `to_row` gives.

        Raises:
            StoreDamaged: it is none, or of a later version.
        """
        _require_version(row)
        values = dict(zip(COLUMNS, _COLUMNS_OF(row), strict=True))
        for name in _TIMES:
            if (text := values[name]) is not None:
                values[name] = datetime.fromisoformat(text) if text else None
        record = cls.__new__(cls)  # thousands are listed: frozen, each attribute would be set on its own
        vars(record).update(values, text=row.get("details", ""))
        return record

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON, for files, commands and journals."""
        return {**self.to_row(), "details": json.loads(self.text)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> StudyRecord:
        """From what `to_json` gives.

        Raises:
            StoreDamaged: it is none, or of a later version.
        """
        return cls.from_row({**plain, "details": _text(plain["details"])})

    @cached_property
    def details(self) -> Details:
        """The parts beside the columns, read when they are first asked for.

        Raises:
            StoreDamaged: it is nothing that recsweep writes.
        """
        try:
            return Details.from_plain(json.loads(self.text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreDamaged(
                f"the store is damaged; the record of study {self.study} is none of recsweep's ({error!r}); "
                "put back a copy of the store, or give the sweep a new name"
            ) from None

    def with_details(self, **changes: Any) -> StudyRecord:
        """The record with other details, and what its columns say of them."""
        record = replace(self, text=_text(to_plain(replace(self.details, **changes))))
        return replace(record, test_score=record.test.get(self.metric.lower()))

    # -- what a description wants ----------------------------------------------------------------

    @property
    def study_name(self) -> str | None:
        return None if self.study == self.own_name else self.study

    @property
    def chain(self) -> tuple[str, ...]:
        return self.details.chain

    @property
    def definition(self) -> Mapping[str, Any]:
        return self.details.definition

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return self.details.objectives

    @property
    def inherits(self) -> bool:
        return self.details.inherits

    @property
    def start(self) -> spaces.Params | None:
        phase = self.definition.get("phase")
        return dict(phase["start"]) if phase else None

    @property
    def seed(self) -> int:
        return int(self.definition["seed"])

    @property
    def hashes(self) -> Mapping[str, str]:
        return dict(self.definition["data"])

    @property
    def data_folder(self) -> Path | None:
        """The folder of the data, or its mere name; None for ml-100k from RecBole's wheel."""
        return Path(self.details.apart.folder) if self.details.apart.folder else None

    @property
    def knows_its_data(self) -> bool:
        """True where it says where the data are, and not only what their files are called."""
        return self.data_folder is None or self.data_folder.is_absolute()

    @property
    def is_made_again(self) -> bool:
        """True where it was made of what an earlier version of recsweep left in the store."""
        return self.details.apart.max_evals is None

    @property
    def sweep_timeout_minutes(self) -> float | None:
        return self.details.apart.sweep_timeout_minutes

    @cached_property
    def dataset(self) -> DatasetConfig:
        return dataset_config(self.definition, self.details.apart)

    @cached_property
    def model(self) -> ModelConfig:
        return model_config(self.definition["model"], self.details.apart)

    @cached_property
    def variants(self) -> Mapping[str, ModelConfig]:
        apart = replace(self.details.apart, phases={})
        return {name: model_config(one, apart) for name, one in self.definition.get("variants", {}).items()}

    @cached_property
    def training(self) -> TrainingConfig:
        return training_config(self.definition, self.details.apart)

    @cached_property
    def evaluation(self) -> EvaluationConfig:
        return evaluation_config(self.definition)

    @cached_property
    def search(self) -> SearchConfig:
        return search_config(self.definition, self.details.apart)

    @cached_property
    def pruning(self) -> PruningConfig:
        return pruning_config(self.definition)

    @cached_property
    def space(self) -> spaces.Space:
        return super().space

    @property
    def winner(self) -> Winner | None:
        """The best trial, once the study has ended."""
        return self.details.winner

    @property
    def test(self) -> Mapping[str, float]:
        """The metrics of the winner on the test split; empty until it was evaluated."""
        test = self.details.test
        others = self.winner is not None and test.get("trial_id") != self.winner.trial_id
        return {} if others else dict(test.get("metrics", {}))

    @property
    def models(self) -> tuple[str, ...]:
        """RecBole's names of the models that are searched."""
        return tuple(one.model for one in self.variants.values()) or (self.model.model,)

    # -- how a record changes --------------------------------------------------------------------

    def opened(self, before: StudyRecord | None, *, by: str = "config") -> StudyRecord:
        """The record of a study that is opened now: begun, or gone on with.

        Args:
            before: what the store has of it.
            by: what set the budget.
        """
        now = now_utc()
        if before is None or before.begun is None:  # nothing has run there
            begun = replace(self, begun=self.begun or now)
            return begun.with_details(history=(Change(now.isoformat(), by, self.budget),), maker=Maker.here())
        old = before.details
        kept = {"history": old.history, "counts": old.counts, "maker": old.maker}
        going_on = replace(self, begun=before.begun, score=before.score)
        if self.budget == before.budget and self.details.apart.limits == old.apart.limits:
            going_on = replace(going_on, ended=before.ended, ended_by=before.ended_by)
        if self.budget != before.budget:
            kept["history"] = (*old.history, Change(now.isoformat(), by, self.budget))
        return going_on.with_details(**kept, winner=old.winner, test=old.test)

    def raised(self, budget: int, by: str) -> StudyRecord:
        """With another budget; the study goes on."""
        if budget == self.budget:
            return self
        history = (*self.details.history, Change(now_utc().isoformat(), by, budget))
        return replace(self, budget=budget, ended=None, ended_by="").with_details(history=history)

    def counted(self, counts: Mapping[str, Any]) -> StudyRecord:
        """With what is in the data."""
        return self.with_details(counts=dict(counts))

    def closed(self, by: str, winner: Winner | None) -> StudyRecord:
        """Ended, and won.

        Args:
            by: the limit that was met, in words.
        """
        score = winner.score if winner is not None else None
        ended = replace(self, ended=self.ended or now_utc(), ended_by=by, score=score)
        return ended.with_details(winner=winner)

    def tested(self, test: Mapping[str, Any]) -> StudyRecord:
        """With what a winner came to on the test split: `trial_id`, `metrics`, and when that was."""
        return self.with_details(test=dict(test))

    def put_away(self, name: str) -> StudyRecord:
        """Archived under another name."""
        return replace(self, study=name, archived=now_utc())


COLUMNS = tuple(one.name for one in fields(StudyRecord) if one.name != "text")
"""The names of what a record is listed and found by."""
_COLUMNS_OF = itemgetter(*COLUMNS)
_TIMES = ("begun", "ended", "archived")


def record_of(description: Description, apart: Apart) -> StudyRecord:
    """The record of a study as its plan describes it; not begun, and of nobody's making yet."""
    details = Details(
        description.chain, description.definition, description.objectives, description.inherits, apart
    )
    return StudyRecord(
        description.name,
        description.sweep_name,
        description.dataset_name,
        description.model_name,
        description.phase,
        description.kind,
        engine=description.search.engine,
        algo=description.search.algo,
        pruner=description.pruning.pruner,
        metric=description.objectives[0].name,
        budget=description.budget,
        slots_inherited=int(description.inherits),
        text=_text(to_plain(details)),
    )


def now_utc() -> datetime:
    """This moment, to the second: for people."""
    return datetime.now(UTC).replace(microsecond=0)


def _text(details: Any) -> str:
    return json.dumps(details, separators=(",", ":"))


def _require_version(row: Mapping[str, Any]) -> None:
    version = row.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise StoreDamaged(
            f"the record of the study {row.get('study')} has the version {version}, and this recsweep reads "
            f"{VERSION} and earlier ones; use the version of recsweep that wrote it"
        )
