"""The models of a sweep side by side: what each has found on a data set, in what order, for how much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recsweep.report.chart import Line, Table
from recsweep.report.results import FINISHED, NOT_BEGUN, StudyResult
from recsweep.report.tables import four_digits, ranked
from recsweep.report.trial_marks import has_score
from recsweep.study import State, Trial

# Each pair that the colour-blind may take for one is of the two groups, whose lines differ; each colour
# has a contrast of 3 to 1 on white and on black.
_COLOURS = (
    ("#1f77b4", "#d55e00", "#009e73", "#c4679d"),
    ("#c08400", "#3a97cd", "#8b5fbf", "#7f858f"),
)
_LINES: tuple[Line, ...] = ("solid", "dash", "dot")
LOOKS = 24
"""So many models can be told apart."""
MOST_MODELS = 12
"""More lines than this in one picture hide each other; the best are drawn."""


@dataclass(frozen=True)
class Look:
    """How a model is drawn, in every picture of a sweep."""

    colour: str
    line: Line


@dataclass(frozen=True)
class Step:
    """A trial that was better than all before it."""

    trials: int
    """Of the budget that were spent with it."""
    seconds: float
    """Of training that were spent with it."""
    score: float
    trial: Trial


@dataclass(frozen=True)
class Entry:
    """A model on a data set: its last phase, with the trials of those before it."""

    result: StudyResult
    look: Look

    @property
    def model(self) -> str:
        return self.result.record.model_name

    @property
    def dataset(self) -> str:
        return self.result.record.dataset_name

    @property
    def metric(self) -> str:
        """The metric that the search went by."""
        return self.result.record.objectives[0].name

    @property
    def maximize(self) -> bool:
        return self.result.record.maximize

    @property
    def score(self) -> float | None:
        """The best on validation; None where there is none yet."""
        winner = self.result.winner
        return winner.score if winner is not None and has_score(winner) else None

    @property
    def begun(self) -> bool:
        return self.result.all_state != NOT_BEGUN

    @property
    def closed(self) -> bool:
        """True where the search is over: only then is there a score on test."""
        return self.result.state == FINISHED

    @property
    def trials(self) -> list[Trial]:
        """All that were trained, phase by phase, by slot."""
        return [
            trial
            for result in (*self.result.before, self.result)
            for trial in sorted(result.trials, key=lambda trial: trial.slot)
            if not trial.inherited
        ]

    @property
    def scores(self) -> list[tuple[Trial, float]]:
        """The complete trials with their scores."""
        return [
            (trial, trial.score)
            for trial in self.trials
            if trial.state == State.COMPLETE and trial.score is not None and has_score(trial)
        ]


def steps(entry: Entry) -> list[Step]:
    """The best so far, trial by trial in the order of their numbers: each better one."""
    found: list[Step] = []
    seconds, complete = 0.0, {id(trial): score for trial, score in entry.scores}
    for number, trial in enumerate(entry.trials, start=1):
        seconds += float(trial.result.seconds or 0.0)
        score = complete.get(id(trial))
        if score is not None and (not found or _better(entry, score, found[-1].score)):
            found.append(Step(number, seconds, score, trial))
    return found


def _better(entry: Entry, score: float, than: float) -> bool:
    return score > than if entry.maximize else score < than


def compared(results: Sequence[StudyResult]) -> dict[str, list[Entry]]:
    """The models of each data set, the best on validation first.

    Args:
        results: of all studies of the sweep, the last phases with those before (`tables.summed`).
    """
    looks = _looks(results)
    by_dataset: dict[str, list[Entry]] = {}
    for result in ranked(list(results)):
        entry = Entry(result, looks[result.record.model_name])
        by_dataset.setdefault(entry.dataset, []).append(entry)
    return by_dataset


def _looks(results: Iterable[StudyResult]) -> Mapping[str, Look]:
    """A look for each model, in the order of the sweep, so that a better trial changes none."""
    found = {}
    for number, model in enumerate(dict.fromkeys(result.record.model_name for result in results)):
        four, colour = divmod(number % LOOKS, 4)
        found[model] = Look(_COLOURS[four % 2][colour], _LINES[four % 3])
    return found


def drawn(entries: Sequence[Entry]) -> tuple[list[Entry], str]:
    """The models to draw, and what a caption says of the others."""
    scored = [entry for entry in entries if entry.scores]
    if len(scored) <= MOST_MODELS:
        return scored, ""
    return scored[:MOST_MODELS], f"The best {MOST_MODELS} of {len(scored)} models are drawn."


def ranks(entries: Sequence[Entry]) -> dict[str, int]:
    """The place of each model that has a score, as the tables show it: equal digits, equal places."""
    shown = {entry.model: four_digits(entry.score) for entry in entries if entry.score is not None}
    best_first = list(shown.values())
    return {model: best_first.index(score) + 1 for model, score in shown.items()}


def matrix(by_dataset: Mapping[str, Sequence[Entry]]) -> tuple[Table, list[tuple[int, int]]]:
    """The best score of each model on each data set with its place, the best on average first.

    Returns:
        The table, and the cells of the best models.
    """
    ranks_by_dataset = {name: ranks(entries) for name, entries in by_dataset.items()}
    entries = {(name, entry.model): entry for name, own in by_dataset.items() for entry in own}
    means: dict[str, float] = {}
    for model in dict.fromkeys(model for _, model in entries):
        ranks_held = [own[model] for own in ranks_by_dataset.values() if model in own]
        means[model] = sum(ranks_held) / len(ranks_held) if ranks_held else math.inf
    # Who has a place on few data sets is not to lead those who have one on all.
    held = {model: sum(model in own for own in ranks_by_dataset.values()) for model in means}
    order = sorted(means, key=lambda model: (-held[model], means[model]))
    rows, leads = [], []
    for number, model in enumerate(order):
        cells = [_cell(entries.get((name, model)), own.get(model)) for name, own in ranks_by_dataset.items()]
        leads += [
            (number, i) for i, own in enumerate(ranks_by_dataset.values(), start=1) if own.get(model) == 1
        ]
        partly = f" on {held[model]}" if 0 < held[model] < len(ranks_by_dataset) else ""
        rows.append((model, *cells, f"{means[model]:.2f}{partly}" if held[model] else "-"))
    return Table(("model", *by_dataset, "mean place"), tuple(rows)), leads


def _cell(entry: Entry | None, rank: int | None) -> str:
    if entry is None or rank is None:
        return "-"
    return f"{four_digits(entry.score)} ({rank}){'' if entry.result.all_state == FINISHED else '*'}"
