"""The notes below the summary: whether it is fair, what its marks mean, what the data are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from recsweep.common.errors import InputError
from recsweep.common.files import counted
from recsweep.planning.shares import share_text
from recsweep.report.energy import together
from recsweep.report.results import NOT_BEGUN, NOT_FINISHED, StudyResult
from recsweep.search.stopping import MAX_EVALS, SHARE
from recsweep.study import StudyRecord
from recsweep.sweeps.config import DatasetConfig
from recsweep.sweeps.documents import load_document
from recsweep.sweeps.protocol import Protocol

NO_FILTERS = frozenset(
    {"name", "path", "user_field", "item_field", "time_field", "rating_field", "columns", "split"}
    | {"candidates", "time_unit"}
)
"""Keys of a data set that name things; the others say what is kept of it."""
_LONGEST = 200
"""Characters of a reason."""


def footnotes(results: Sequence[StudyResult]) -> list[str]:
    """Lines on fairness: equal budgets, and what is still to run. Unequal ones are an alarm."""
    if not any(result.trials or result.runs or result.given_back for result in results):
        return ["No study of the sweep is in the store yet."]
    notes = list(budgets(results))
    failed = {name_of(result): result.all_failed for result in results}
    pruned = {name_of(result): result.all_pruned for result in results}
    for title, numbers in (("Failed trials", failed), ("Pruned trials", pruned)):
        found = ", ".join(f"{name} {number}" for name, number in numbers.items() if number)
        notes += [f"{title}: {found}."] if found else []
    return [*notes, *pauses(results), *endings(results), *energies(results)]


def pauses(results: Sequence[StudyResult]) -> Iterator[str]:
    """The studies whose first trials all failed alike; and other trials that failed, but are no results."""
    for result in (one for last in results for one in (*last.before, last)):
        if result.given_back:
            trials, why = counted(result.given_back, "trial"), " ".join(result.failure.split())[:_LONGEST]
            what = f"{trials} failed" if result.trained else f"paused, as its first {trials} failed"
            reason = f"; the last one: {why}" if why else ""
            yield f"{result.record.label}: {what}, to be run again{reason}."


def energies(results: Sequence[StudyResult]) -> Iterator[str]:
    """The energy of the sweep, those of its trials included that were put back; nothing where it is not
    known.
    """
    if (every := together(result.all_energy for result in results)) is not None:
        yield f"Energy: {every.text()}."


def endings(results: Sequence[StudyResult]) -> Iterator[str]:
    """The studies that something else than their budget ended."""
    for result in (one for last in results for one in (*last.before, last)):
        if result.ended is None:
            continue
        if result.ended.limit not in (MAX_EVALS, SHARE):
            yield f"{result.record.label} was ended by {result.ended.reason}."
        elif result.record.share is not None and result.ended.limit == MAX_EVALS:
            unit = result.record.search.budget
            yield f"{result.record.label} was ended by {result.ended.reason}, before its {unit} were used."


def budgets(results: Sequence[StudyResult]) -> Iterator[str]:
    """Lines on budgets that are equal, on studies not finished, and on those not begun."""
    finished = all(result.finished for result in results)
    tuned = [result for result in results if result.record.model.space or result.record.variants]
    shares = {result.all_shares for result in tuned}
    whole = [result for result in tuned if result.record.tries_all]
    limited = [result for result in tuned if not result.record.tries_all]
    counts = _counts(tuned, finished)
    if uneven := len(counts) > 1:  # some had nothing more to be tried
        counts = _counts(limited, finished)
    searched = {result.record.model_name for result in tuned}
    fixed = dict.fromkeys(one.record.model_name for one in results if one.record.model_name not in searched)
    who = f"Every model {'with parameters ' if fixed else ''}{'had' if finished else 'has'}"
    alone = f" ({', '.join(fixed)}: nothing to search, one trial)" if fixed else ""
    if (share := next(iter(shares), None)) is not None and len(shares) == 1:
        budget = share_text(share, results[0].record.search.budget)
        yield f"{who} the same budget: {budget}{alone}."
    elif len(counts) == 1:
        alone += f" ({', '.join(map(name_of, whole))}: all configurations)" if whole and uneven else ""
        yield f"{who} the same budget: {counted(counts.pop(), 'trial')}{alone}."
    elif whole and not limited:
        yield f"All configurations of each model {'were' if finished else 'are'} tried{alone}."
    begun = [result for result in results if result.all_state == NOT_FINISHED]
    waiting = [result for result in results if result.all_state == NOT_BEGUN]
    if begun:
        spent = (f"{name_of(one)} {one.all_trained} of {counted(one.all_budget, 'trial')}" for one in begun)
        yield f"Not finished: {', '.join(spent)}."
    if waiting:
        yield f"Not begun: {', '.join(map(name_of, waiting))}."


def _counts(results: Sequence[StudyResult], finished: bool) -> set[int]:
    """The different budgets: what was trained where all are over, else what is to be trained."""
    return {result.all_trained if finished else result.all_budget for result in results}


def uses(results: Sequence[StudyResult]) -> Iterator[str]:
    """A line on the trials, epochs and seconds of each model, whichever of them was shared out equally."""
    begun = [result for result in results if result.all_trained]
    if len(begun) > 1:
        each = (
            f"{name_of(one)} {counted(one.all_trained, 'trial')}, {counted(one.all_epochs, 'epoch')}, "
            f"{one.all_seconds:.4g} s"
            for one in begun
        )
        yield f"Used in training: {'; '.join(each)}."


def popular(baselines: Sequence[StudyResult]) -> Iterator[str]:
    """A line for each data set on which `Pop` was trained."""
    for result in baselines:
        if result.winner is None or result.winner.score is None:
            continue
        metric = result.record.metric
        test = (result.test or {}).get(metric.lower())
        more = "" if test is None else f", {test:.4f} on test"
        name = result.record.dataset_name
        yield (
            f"{name}: the most popular items ({result.record.model_name}) come to {metric} "
            f"{result.winner.score:.4f} on validation{more}."
        )


def legend(best_on_test: str) -> str:
    """The meaning of a table's marks.

    Args:
        best_on_test: the mark, in the words of the table.
    """
    return (
        "Bold: best on validation, by which configurations are chosen. "
        f"{best_on_test}: best on test, by which nothing was chosen."
    )


def data_lines(results: Sequence[StudyResult]) -> list[str]:
    """Each data set in a line: users, items, protocol, and what else is not as usual."""
    by_dataset: dict[str, list[StudyResult]] = {}
    for result in results:
        by_dataset.setdefault(result.record.dataset_name, []).append(result)
    return [_data_line(name, own) for name, own in by_dataset.items()]


def _data_line(name: str, results: list[StudyResult]) -> str:
    record = results[0].record
    found = {
        key: [
            value
            for value in dict.fromkeys(data_of(one).get(key) for one in results)
            if isinstance(value, int)
        ]
        for key in ("users", "items")
    }
    counts = [f"{' or '.join(f'{number:,}' for number in own) or '-'} {key}" for key, own in found.items()]
    items = found["items"][0] if len(found["items"]) == 1 else None
    protocol = record.protocol_text(items)
    others = filters_of(record, but=frozenset(Protocol.model_fields))
    more = "" if others == "none" else f"; {others}"
    return f"{name}: {', '.join(counts)}; protocol: {protocol}{more}."


def protocol_of(result: StudyResult) -> str:
    """The protocol of a study in words, with the number of its items where that is known."""
    return result.record.protocol_text(data_of(result).get("items"))


def data_of(result: StudyResult) -> Mapping[str, Any]:
    """Users and items of a study's data, as its workers saw them.

    Of a study that no worker has opened yet the store has none. Then the file will do that `recsweep prepare`
    made of the very same data, told by their hashes.
    """
    if result.record.details.counts:
        return result.record.details.counts
    record = result.record
    try:
        found = load_document(result.outputs.prepared(record.dataset_name)).data
        splits = found["splits"].values() if found.get("files") == dict(record.hashes) else ()
        return next((dict(split) for split in splits if record.model_name in split["models"]), {})
    except (InputError, KeyError, AttributeError, TypeError):
        return {}


def filters_of(record: StudyRecord, but: Collection[str] = ()) -> str:
    """The filters of a data set, by the keys of its file; `none` where all is kept.

    Args:
        but: keys that are left out.
    """
    usual, found = DatasetConfig.model_fields, []
    for name, value in record.dataset.model_dump().items():
        if name in NO_FILTERS or name in but or value == usual[name].get_default(call_default_factory=True):
            continue
        found.append(f"{name} {_flat(value)}")
    return "; ".join(found) or "none"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(own)}" for key, own in value.items())
    return "|".join(map(str, value)) if isinstance(value, tuple) else str(value)


def name_of(result: StudyResult) -> str:
    """A model on a data set, all its phases together."""
    return f"{result.record.dataset_name}/{result.record.model_name}"
