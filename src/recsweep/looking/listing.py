"""Studies as rows of a list: what they are, how far they are, what is best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from recsweep.common.errors import InputError
from recsweep.study.record import SEARCH, StudyRecord
from recsweep.sweeps.documents import nearest

if TYPE_CHECKING:
    from recsweep.study import Store, Trial
    from recsweep.study.tally import Tally

FINISHED, RUNNING, NOT_FINISHED, NOT_BEGUN, ARCHIVED = (
    "finished",
    "running",
    "not finished",
    "not begun",
    "archived",
)
COLUMNS = (
    *("study", "state", "trials", "of", "metric", "best", "test", "engine", "algo", "pruner"),
    *("complete", "pruned", "failed", "running", "begun", "ended", "ended_by"),
)


@dataclass(frozen=True)
class Row:
    """One study in a list."""

    record: StudyRecord
    tally: Tally

    @property
    def inherited(self) -> int:
        """Slots that were filled by the phase before, at no cost."""
        return self.record.slots_inherited

    @property
    def trained(self) -> int:
        return max(0, self.tally.filled - self.inherited)

    @property
    def budget(self) -> int:
        """Trials that the study is to train."""
        return self.record.budget - self.inherited

    @property
    def state(self) -> str:
        """`finished`, `running`, `not finished`, `not begun` or `archived`."""
        if self.record.archived is not None:
            return ARCHIVED
        if self.record.ended is not None or (self.budget and self.trained >= self.budget):
            return FINISHED
        if self.tally.running:
            return RUNNING
        return NOT_FINISHED if self.trained or self.tally.given_back else NOT_BEGUN

    @property
    def _trials(self) -> str:
        """`3/20`; of a study that another limit ended, `5 of at most 50`: no more are to come."""
        ended = self.record.ended is not None and self.trained < self.budget
        return f"{self.trained} of at most {self.budget}" if ended else f"{self.trained}/{self.budget}"

    @property
    def best(self) -> float | None:
        """The best validation score until now."""
        return self.tally.best

    @property
    def test(self) -> float | None:
        """The winner's score on the test split, once the study is closed and it was tested."""
        if self.state != FINISHED:
            return None
        return self.record.test_score

    def plain(self) -> dict[str, Any]:
        """The row for JSON and CSV: every value in full."""
        record, tally = self.record, self.tally
        values = (
            *(record.study, self.state, self.trained, self.budget, record.metric, self.best, self.test),
            *(record.engine, record.algo, record.pruner),
            *(tally.complete, tally.pruned, tally.failed, tally.running),
            *(_iso(record.begun), _iso(record.ended), record.ended_by or None),
        )
        return {
            **dict(zip(COLUMNS, values, strict=True)),
            "sweep": record.sweep_name,
            "dataset": record.dataset_name,
            "model": record.model_name,
            "phase": record.phase,
        }

    def shown(self) -> dict[str, str]:
        """The row for people."""
        return {
            "study": self.record.study,
            "state": self.state,
            "trials": self._trials,
            "metric": self.record.metric,
            "best": score_text(self.best),
            "test": score_text(self.test),
            "begun": time_text(self.record.begun),
        }


def listed(found: Iterable[tuple[StudyRecord, Tally]]) -> list[Row]:
    """Rows of what `Store.tallied` gives."""
    return [Row(record, tally) for record, tally in found]


def ended_winners(store: Store, rows: Iterable[Row]) -> list[tuple[StudyRecord, Trial | None]]:
    """The studies that have ended, of phases the last ones, each with its best trial."""
    from recsweep.study import best

    ended = [row.record for row in rows if row.state == FINISHED and row.record.is_last]
    return [(one, best(store.study_of(one).results(), maximize=one.maximize)) for one in ended]


def named(records: Sequence[StudyRecord], name: str) -> StudyRecord:
    """The study that somebody names: by its name in the store, or by a part of it that is one search's alone.

    Raises:
        InputError: there is none, or there are several.
    """
    exact = [record for record in records if record.study == name]
    searches = (one for one in records if one.archived is None and one.kind == SEARCH)
    found = exact or [one for one in searches if is_part(name, one.study)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(record.study for record in found[:4])
        raise InputError("STUDY", f"{name} is a part of several studies' names: {several}", "give all of one")
    names = [record.study for record in records]
    fix = nearest(name, names) if names else "the store has no studies; see --storage"
    raise InputError("STUDY", f"the store has no study {name}", fix)


def is_part(name: str, study: str) -> bool:
    """True where a study's name has another one as a part, by whole words: `smoke/ml-100k`."""
    return f"/{name.strip('/')}/" in f"/{study}/"


def score_text(score: float | None) -> str:
    """A score for people; empty where there is none."""
    return "" if score is None else f"{score:.4f}"


def time_text(time: datetime | None) -> str:
    """A time for people, of this place."""
    return "" if time is None else time.astimezone().isoformat(" ", "minutes")[:16]


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def markdown(rows: Sequence[Mapping[str, str]], right: Iterable[str] = ()) -> str:
    """A Markdown table of rows that have the same keys.

    Args:
        right: columns that are set to the right.
    """
    from recsweep.common.escape import cells_for_markdown

    if not rows:
        return ""
    names, to_right = list(rows[0]), set(right)
    lines = [
        "| " + " | ".join(names) + " |",
        "|" + "|".join("---:" if name in to_right else "---" for name in names) + "|",
        *("| " + " | ".join(cells_for_markdown([row[name] for name in names])) + " |" for row in rows),
    ]
    return "\n".join(lines)
