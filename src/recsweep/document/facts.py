"""All that a report is made of: the studies of a sweep, and what other steps found of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from recsweep.alarms.alarm import Alarm
from recsweep.document.citations import ALARMS, COMPARED, CORRECTIONS, MODELS
from recsweep.document.outcomes import Block, Measured, Value, block_of
from recsweep.report.alarms import raised
from recsweep.report.comparison import Entry, compared
from recsweep.report.evidence import TEST, EvidenceResult
from recsweep.report.model_comparison import Compared, compare_winners
from recsweep.report.results import StudyResult
from recsweep.report.tables import summed
from recsweep.study import StudyRecord


@dataclass(frozen=True)
class Facts:
    """One sweep as its report shows it.

    Attributes:
        by_dataset: the models of each data set, the best on validation first.
        config: the sweep's file, as it is named in commands.
        measured: trainings on several seeds, and comparisons.
        compared: the models of each data set, pair by pair.
        alarms: what makes its results doubtful.
        baselines: the study that trains `Pop` on each data set, once it has ended.
    """

    sweep: str
    by_dataset: Mapping[str, Sequence[Entry]]
    config: str
    measured: Measured = field(default_factory=Measured)
    compared: Compared = field(default_factory=Compared)
    alarms: Sequence[Alarm] = ()
    baselines: Mapping[str, StudyResult] = field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        """All models on all data sets."""
        return [entry for own in self.by_dataset.values() for entry in own]

    @property
    def results(self) -> list[StudyResult]:
        """The last phase of each."""
        return [entry.result for entry in self.entries]

    @property
    def records(self) -> list[StudyRecord]:
        """Their records."""
        return [result.record for result in self.results]

    @cached_property
    def blocks(self) -> list[Block]:
        """The table of each data set."""
        return [block_of(own, self.measured) for own in self.by_dataset.values()]

    @property
    def cites(self) -> set[str]:
        """Keys of what the report speaks of beside its studies."""
        keys = {key for alarm in self.alarms for key in ALARMS.get(alarm.name, ())}
        keys |= set(MODELS["Pop"]) if self.baselines else set()
        for one in self.compared.comparisons:
            keys |= {*COMPARED, CORRECTIONS.get(one.procedure.correction, "")}
        return keys | ({"demsar2006statistical"} if self.compared.rankings else set())

    @property
    def begun(self) -> bool:
        """True where there is something to report."""
        return any(entry.begun for entry in self.entries)


def gathered(
    sweep: str, results: Sequence[StudyResult], config: str, baselines: Sequence[StudyResult] = ()
) -> Facts:
    """The facts of a sweep.

    Args:
        results: of all its studies, also of those that are not begun.
        config: its file, as it is named in commands.
        baselines: the studies that train `Pop` beside them.
    """
    last = summed(list(results))
    values = {
        (result.record.dataset_name, result.record.model_name): _over_seeds(result.best_evidence)
        for result in last
        if result.best_evidence is not None
    }
    closed = [result for result in last if result.finished]
    winners = [(result.record, result.winner) for result in closed]
    told = compare_winners(winners, list(dict.fromkeys(result.root for result in closed)))
    apart = {
        (one.dataset, one.metric.lower(), frozenset((one.a, one.b))): one.found for one in told.comparisons
    }
    pops = {one.record.dataset_name: one for one in baselines if one.finished and one.winner}
    alarms = raised(last, baselines)
    return Facts(sweep, compared(last), config, Measured(values, apart), told, alarms, pops)


def _over_seeds(evidence: EvidenceResult) -> dict[str, Value]:
    """The test metrics of a winner over its trainings."""
    return {
        one.metric: Value(one.spread.mean, one.spread.low, one.spread.high, one.spread.n)
        for one in evidence.measures
        if one.part == TEST
    }


def missing(what: str, command: str, facts: Facts) -> str:
    """Words for a part that nobody has worked out yet, and the command with which it comes."""
    return f"{what}: not there yet; run `make {command} CONFIG={facts.config}`."


def leaders(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Data set, its best model on test, or on validation where nothing is tested, and the words for it."""
    for (dataset, entries), block in zip(facts.by_dataset.items(), facts.blocks, strict=True):
        best = next((line for line in block.lines if line.cells and line.cells[0].best), None)
        if best is not None:
            yield dataset, best.model, f"{block.metrics[0]} {best.cells[0].text} on test"
            continue
        first = entries[0]
        if first.score is not None:
            yield dataset, first.model, f"{first.metric} {first.score:.4f} on validation"
