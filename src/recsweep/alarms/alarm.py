"""One alarm, and what it looks at: a search as its store has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from recsweep.study import StudyRecord, Trial
from recsweep.sweeps.space import Params


@dataclass(frozen=True)
class Alarm:
    """A doubt about a result.

    Attributes:
        name: of its kind: `popularity`, `edge`, …
        about: the data set and the model (`ml-100k/SASRec`), or the data set, that it is about.
        number: by which it was raised.
        text: what was found, with the number in words.
        source: whose finding it is that this matters.
        answer: what to do about it.
    """

    name: str
    about: str
    number: float
    text: str
    source: str
    answer: str

    @property
    def line(self) -> str:
        """All of it in a line."""
        return f"{self.about}: {self.text}; {self.answer} ({self.source})."


class Searched(Protocol):
    """A model on a data set: the last of its phases, and those before it."""

    @property
    def record(self) -> StudyRecord: ...
    @property
    def trials(self) -> Sequence[Trial]:
        """Counted trials, by slot."""

    @property
    def winner(self) -> Trial | None: ...
    @property
    def parameters(self) -> Params:
        """The winner's, with those that its phase did not search."""

    @property
    def test(self) -> dict[str, float] | None:
        """Test metrics of the winner, where it was tested."""

    @property
    def over_seeds(self) -> Mapping[str, float]:
        """`validation` and `test` of the metric, as means of the winner's configuration over several seeds;
        empty where it was not trained again.
        """

    @property
    def before(self) -> Sequence[Searched]:
        """The earlier phases."""

    @property
    def finished(self) -> bool:
        """True where all of its phases are closed."""

    @property
    def all_trained(self) -> int:
        """Trials of all phases."""

    @property
    def all_budget(self) -> int:
        """Trials that all phases are to train."""

    @property
    def all_shares(self) -> float | None:
        """Seconds or epochs that all phases may use; None where trials are counted."""

    @property
    def used_share(self) -> bool:
        """True where each phase was ended by having used its seconds or epochs."""


def about(search: Searched) -> str:
    """A model on a data set."""
    return f"{search.record.dataset_name}/{search.record.model_name}"


def validation(search: Searched) -> float | None:
    """The score that a search has found; more is better where `maximize`."""
    return search.winner.score if search.winner is not None else None


def trained_again(searches: Sequence[Searched]) -> bool:
    """True where there are means over seeds of all of them, which say more than one training of each."""
    return all(search.over_seeds for search in searches)


def tested(search: Searched) -> float | None:
    """The winner's test value of the metric that was searched for, where the search is over."""
    if not search.finished:
        return None
    return (search.test or {}).get(search.record.metric.lower())
