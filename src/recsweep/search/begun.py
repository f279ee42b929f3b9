"""The studies of a sweep that are in the store, as its files are today; and how a study came to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from recsweep.planning.plan import StudyPlan
from recsweep.search.starts import as_begun
from recsweep.search.stopping import Ended
from recsweep.study import Store, Study, StudyRecord, best
from recsweep.study.definitions import stored_form
from recsweep.study.description import Description
from recsweep.study.parts import Winner

_BY_OPTIONS = ("search", "training", "pruning", "seed")
CHANGED, GONE, OTHERWISE = "has changed", "is not there", "is searched otherwise now"


@dataclass(frozen=True)
class Begun:
    """A study that is in the store.

    Attributes:
        record: as the sweep's files describe it, where they are still those that it was begun with.
        moved: how they are not: `has changed`, `is not there` (the data), `is searched otherwise now` (the
            study); empty: they are.
    """

    record: StudyRecord
    moved: str = ""


def begun_studies(plans: Iterable[StudyPlan], store: Store) -> list[Begun]:
    """Those of these studies that are in the store; those that would be made anew are not."""
    found = (_begun(plan, store) for plan in plans)
    return [one for one in found if one is not None]


def _begun(plan: StudyPlan, store: Store) -> Begun | None:
    study = store.find_study(plan.name)
    record = study.record() if study is not None else None
    if study is None or record is None:
        return None
    plan, moved = _on_its_data(plan, record)
    begun = as_begun(plan, store)
    if record.content_hash == begun.content_hash:
        if not record.is_made_again:
            return Begun(record, moved)
        described = begun.record()
        held = record.details
        details = {"history": held.history, "maker": held.maker, "winner": held.winner, "test": held.test}
        times = {
            "begun": record.begun,
            "ended": record.ended,
            "ended_by": record.ended_by,
            "score": record.score,
        }
        told = described.with_details(counts=held.counts, **details)
        return Begun(replace(told, **times), moved)  # type: ignore[arg-type]
    otherwise = _of_files(record) != _of_files(begun)
    return Begun(record, OTHERWISE if otherwise else moved) if study.touched() else None


def _of_files(study: Description) -> dict[str, Any]:
    """The parts of a definition that files alone decide.

    The others are set by options of `tune` too, which nobody who looks has to give again: they moved nothing.
    """
    return {key: part for key, part in stored_form(study.definition).items() if key not in _BY_OPTIONS}


def _on_its_data(plan: StudyPlan, record: StudyRecord) -> tuple[StudyPlan, str]:
    """A study with the data that it was opened on, and how the files of today differ from them.

    To look at what was found needs no data; only training does, and it compares them.
    """
    hashes, there = record.definition.get("data"), dict(plan.files.hashes)
    if hashes is None or hashes == there:
        return plan, ""
    files = replace(plan.files, hashes=dict(hashes))
    return replace(plan, files=files), CHANGED if there else GONE


def tell_the_end(study: Study, ended: Ended, *, maximize: bool) -> None:
    """Let a study's record say that it has ended, by what, and what won."""
    trial = best(study.results(), maximize=maximize)
    winner = Winner(trial.id, trial.slot, trial.score, dict(trial.params)) if trial is not None else None
    study.update_record(lambda record: record.closed(ended.reason, winner))
