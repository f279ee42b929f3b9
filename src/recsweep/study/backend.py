"""The steps that a study asks of the store: a handful of steps, each of which happens wholly or not at all.

There are two kinds of stores. A database (`sqlite.py`, `postgres.py`) is asked in its own language, one
transaction a step. Everything else that Optuna can write to (`generic.py`: its journal file, other databases)
is asked through Optuna. Both hold the same trials, and any Optuna tool opens both.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from recsweep.study.records import Records
from recsweep.study.slots import Slot
from recsweep.study.trial import Trial


@dataclass(frozen=True)
class Change:
    """The values that are written to one trial in one step.

    Attributes:
        params: distribution and value of each parameter, in Optuna's terms.
        scores: validation scores by epoch.
        state: the state that the trial is closed with; None leaves it open.
        values: of the objectives, where it has any.
        then: what is to wait once the trial is closed.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, tuple[BaseDistribution, Any]] = field(default_factory=dict)
    scores: Mapping[int, float] = field(default_factory=dict)
    state: TrialState | None = None
    values: Sequence[float] = ()
    then: Slot | None = None

    @property
    def ends(self) -> bool:
        """True where its place among the ended trials is written; one that is put back has none."""
        return self.state is not None and self.then is None

    def is_written(self, stored: Mapping[str, Any]) -> bool:
        """True where the attributes of a closed trial say that it was closed by this very change."""
        return all(
            stored.get(name) == json.loads(json.dumps(value)) for name, value in self.attributes.items()
        )


class Backend(ABC):
    """One store, as studies ask it.

    The contract: every method is one step. It may be called by any number of processes at once, and it
    may be called again where it is not known whether the first call was carried out: `again` says so,
    and then a step that was carried out is told as done.

    Attributes:
        storage: the same store for Optuna's own tools.
        records: what each study is.
    """

    storage: BaseStorage
    records: Records

    @abstractmethod
    def claim(
        self, study_id: int, budget: int, owner: Mapping[str, Any], *, shared: bool, again: bool
    ) -> Trial | None:
        """Make the lowest waiting slot of the budget the owner's; None when none waits.

        Args:
            owner: who runs it from now on; `owner["claim"]` is a word of this one claim.
            shared: leave slots that are to have a GPU to themselves.
        """

    @abstractmethod
    def apply(self, study_id: int, trial_id: int, change: Change, *, again: bool) -> bool:
        """Change a trial; False where it is closed or gone, and then nothing happens."""

    @abstractmethod
    def add(self, study_id: int, slots: Sequence[Slot]) -> None:
        """Let slots wait, in order. To be called under `exclusive`."""

    @abstractmethod
    @contextmanager
    def exclusive(self, study_id: int) -> Iterator[None]:
        """Keep other processes from adding slots to the study meanwhile."""

    @abstractmethod
    def waiting(self, study_id: int) -> list[Trial]:
        """The trials that wait: what a slot needs to know, without their results."""

    @abstractmethod
    def retried(self, study_id: int) -> list[Trial]:
        """The trials that wait or run and are not the first of their slot, as `waiting` gives them."""

    @abstractmethod
    def running(self, study_id: int) -> list[Trial]:
        """The trials that run now, whole."""

    @abstractmethod
    def at_work(self) -> list[int]:
        """The ids of the studies of which trials run."""

    @abstractmethod
    def finished(self, study_id: int, since: int, read: Container[int]) -> tuple[list[Trial], int]:
        """Closed trials that are not known yet, whole; and where to look next time.

        Args:
            since: 0, or what the last call gave.
            read: ids that need not be read again.
        """

    @abstractmethod
    def now(self) -> datetime | None:
        """The time by the store's clock, in UTC; None where it has none. It is asked once in each case."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections and files."""
