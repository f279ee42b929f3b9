"""The results of the models on test: means over seeds where there are several, and marks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from recsweep.recbole_api import catalog
from recsweep.report.comparison import Entry
from recsweep.report.tables import four_digits, metrics_of

BEATS, TIES = "*", "≈"


@dataclass(frozen=True)
class Value:
    """A metric of a model on test data.

    Attributes:
        low, high: the ends of its interval; None where one training tells of none.
        of: how many trainings it is the mean of.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    of: int = 1

    @property
    def half(self) -> float | None:
        """Half the length of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Cell:
    """A value as a table shows it.

    Attributes:
        best, second: the place of its mean in its column, as it is shown: equal digits are equal.
        mark: `*` at the best where it is better than the second, beyond luck; `≈` where the data cannot tell
            it from the best.
    """

    value: Value | None
    best: bool = False
    second: bool = False
    mark: str = ""

    @property
    def text(self) -> str:
        """`0.1234`, or `-`."""
        return four_digits(self.value.mean if self.value else None)


@dataclass(frozen=True)
class Line:
    """A model in the table of a data set."""

    model: str
    validation: str
    """The score that its configuration was chosen by."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Block:
    """The models of a data set, the best on validation first.

    Attributes:
        seeds: of how many trainings each value is the mean: `5`, `3 to 5`; empty where nothing is tested.
    """

    dataset: str
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    seeds: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The heads of its table. Beside means over seeds on test, the validation score is still the one
        that the search chose by.
        """
        chosen = f"validation {self.metrics[0]}{' (search)' if self.repeated else ''}"
        return ("model", chosen, *(f"test {name}" for name in self.metrics))

    @property
    def tested(self) -> bool:
        """True where there is a value."""
        return any(cell.value for line in self.lines for cell in line.cells)

    @property
    def repeated(self) -> bool:
        """True where there are values of several trainings."""
        return any(cell.value and cell.value.of > 1 for line in self.lines for cell in line.cells)

    @property
    def compared(self) -> bool:
        """True where models were compared with each other."""
        return any(cell.mark for line in self.lines for cell in line.cells)


@dataclass(frozen=True)
class Measured:
    """All that is known beside the search: trainings on several seeds, and comparisons.

    Attributes:
        values: by data set and model, by RecBole's lower-case name of a metric.
        apart: True where the data can tell two models apart, by data set, metric and the two, in any order.
    """

    values: Mapping[tuple[str, str], Mapping[str, Value]] = field(default_factory=dict)
    apart: Mapping[tuple[str, str, frozenset[str]], bool] = field(default_factory=dict)


def block_of(entries: Sequence[Entry], measured: Measured) -> Block:
    """The table of a data set. A study that is not closed shows nothing of its test."""
    first = entries[0]
    names = tuple(metrics_of(first.result.record))
    found = {entry.model: values_of(entry, measured) for entry in entries}
    columns = {name: _column(first.dataset, name, found, measured) for name in names}
    lines = [
        Line(entry.model, four_digits(entry.score), tuple(columns[name][entry.model] for name in names))
        for entry in entries
    ]
    counts = sorted({value.of for values in found.values() for value in values.values()})
    seeds = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))
    return Block(first.dataset, names, tuple(lines), seeds)


def values_of(entry: Entry, measured: Measured) -> Mapping[str, Value]:
    """A model's test values: over seeds where there are several, else of the one test of its winner."""
    held = measured.values.get((entry.dataset, entry.model))
    if held:
        return held
    test = (entry.result.test or {}) if entry.closed else {}
    return {name.lower(): Value(value) for name, value in test.items()}


def _column(
    dataset: str, name: str, found: Mapping[str, Mapping[str, Value]], measured: Measured
) -> dict[str, Cell]:
    """The cells of a metric by model, with their marks."""
    key = name.lower()
    cells = {model: Cell(values.get(key)) for model, values in found.items()}
    there = {model: cell.text for model, cell in cells.items() if cell.value is not None}
    if len(there) < 2:  # one alone is no best
        return cells
    places = sorted({float(text) for text in there.values()}, reverse=is_more_better(name))
    for model, text in there.items():
        rank = places.index(float(text))
        cells[model] = replace(cells[model], best=rank == 0, second=rank == 1)
    leads = [model for model in there if cells[model].best]
    if len(leads) == 1:
        pairs = {model: (dataset, key, frozenset((leads[0], model))) for model in there}
        _mark(cells, leads[0], {model: measured.apart.get(pair) for model, pair in pairs.items()})
    return cells


def _mark(cells: dict[str, Cell], leader: str, apart: Mapping[str, bool | None]) -> None:
    """Set the marks of a column, as far as its models were compared with the best one."""
    for model, told in apart.items():
        if model != leader and told is False:
            cells[model] = replace(cells[model], mark=TIES)
    seconds = [apart[model] for model, cell in cells.items() if cell.second]
    if seconds and all(seconds):
        cells[leader] = replace(cells[leader], mark=BEATS)


def is_more_better(metric: str) -> bool:
    """The direction of a metric."""
    return catalog.directions().get(metric.split("@")[0].lower(), True)


def meaning(blocks: Sequence[Block], bold: str = "Bold", underlined: str = "underlined") -> str:
    """The marks of a table in words; only those that it has."""
    told = [f"{bold}: the best of a data set; {underlined}: the second."]
    if any(block.repeated for block in blocks):
        told.append("After ±: half the 95 % interval of the mean over trainings.")
    if any(block.compared for block in blocks):
        told.append(
            f"{BEATS}: better than the second beyond luck; {TIES}: the data cannot tell it from the best."
        )
    return " ".join(told)
