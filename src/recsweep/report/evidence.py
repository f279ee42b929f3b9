"""The evidence of a search: its best configurations over other seeds and splits, beside its own scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from recsweep.common.files import counted
from recsweep.planning.evidence import Configuration, Point, evidence_name, is_same
from recsweep.search.evidence import configurations, points_in
from recsweep.statistics.spread import Spread, spread_of
from recsweep.study import SEARCH, Store, Study, StudyRecord, Trial
from recsweep.study.definitions import stored_form

VALIDATION, TEST = "validation", "test"
PARTS = (VALIDATION, TEST)
_SHARED = ("dataset", "data", "model", "variants", "training", "evaluation", "seed")
"""Parts of a definition in which a search and its evidence are alike."""


@dataclass(frozen=True)
class Measure:
    """One metric over the trainings of one configuration.

    Attributes:
        part: `validation` or `test`.
        metric: by RecBole's name, in lower case.
        own: what the search's own trial came to; None where it was not tested.
    """

    part: str
    metric: str
    spread: Spread
    own: float | None

    @property
    def optimism(self) -> float | None:
        """The optimism of selection: the search's own score minus the mean over seeds."""
        return None if self.own is None else self.own - self.spread.mean

    def text(self) -> str:
        """Mean, interval, and the search's own score, in four digits."""
        one = self.spread
        apart = "" if one.sd is None else f", sd {one.sd:.4f}"
        interval = "" if one.low is None or one.high is None else f" ({one.low:.4f} to {one.high:.4f})"
        own = "" if self.own is None else f"; the search's own {self.own:.4f}, {self.optimism:+.4f}"
        return f"{one.mean:.4f}{interval} over {counted(one.n, 'training')}{apart}{own}"

    def plain(self) -> dict[str, float | int | None]:
        """As it stands in files."""
        one = self.spread
        found = {"mean": one.mean, "sd": one.sd, "low": one.low, "high": one.high, "n": one.n}
        return {**found, "search": self.own, "optimism": self.optimism}


@dataclass(frozen=True)
class EvidenceResult:
    """The trainings of one configuration, as far as they are there.

    Attributes:
        study: the name of the study of evidence in the store.
        rank: the configuration's place in the search, from 1.
        configuration: what was trained again, and the trial of the search that found it.
        metric: what the search went by, in lower case.
        done: the trainings that came to something, in the order of their slots, each with its trial.
        planned: how many are wanted in all.
        failed: how many failed.
        own: the metrics of the search's own trial, by part.
    """

    study: str
    rank: int
    configuration: Configuration
    metric: str
    done: tuple[tuple[Point, Trial], ...]
    planned: int
    failed: int
    own: Mapping[str, Mapping[str, float]]

    @property
    def is_whole(self) -> bool:
        """True where nothing is left to train."""
        return len(self.done) + self.failed >= self.planned

    @property
    def training_seeds(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(point.training_seed for point, _ in self.done))

    @property
    def split_seeds(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(point.split_seed for point, _ in self.done))

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """Every metric on validation, then on test; empty until something was trained."""
        return tuple(measure for part in PARTS for measure in self._measures(part))

    def measure(self, part: str, metric: str) -> Measure | None:
        """One of them; None where it was not measured."""
        wanted = metric.lower()
        return next((one for one in self.measures if (one.part, one.metric) == (part, wanted)), None)

    def _measures(self, part: str) -> list[Measure]:
        names = dict.fromkeys(name for _, trial in self.done for name in metrics_of(trial, part))
        found = [(name, spread_of(self._by_split(part, name))) for name in names]
        own = self.own.get(part, {})
        return [Measure(part, name, spread, own.get(name)) for name, spread in found if spread is not None]

    def _by_split(self, part: str, metric: str) -> Sequence[Sequence[float]]:
        groups: dict[int, list[float]] = {}
        for point, trial in self.done:
            value = metrics_of(trial, part).get(metric)
            if value is not None:
                groups.setdefault(point.split_seed, []).append(value)
        return list(groups.values())

    def plain(self) -> dict[str, Any]:
        """As it stands in files."""
        return {
            "study": self.study,
            "rank": self.rank,
            "trial": self.configuration.slot,
            "trainings": {"done": len(self.done), "failed": self.failed, "wanted": self.planned},
            "training_seeds": list(self.training_seeds),
            "split_seeds": list(self.split_seeds),
            **{part: self._plain(part) for part in PARTS},
        }

    def _plain(self, part: str) -> dict[str, Any]:
        return {one.metric: one.plain() for one in self.measures if one.part == part}


def metrics_of(trial: Trial, part: str) -> Mapping[str, float]:
    """The metrics of a training on one part of the data."""
    return trial.result.metrics if part == VALIDATION else (trial.result.test or {})


def read_evidence(record: StudyRecord, store: Store) -> tuple[EvidenceResult, ...]:
    """The evidence that the store has of a search, the best configuration first; of those alone that are
    still among its best.
    """
    if record.kind != SEARCH or not record.is_last or record.archived is not None:
        return ()
    study = store.find_study(evidence_name(record))
    if study is None or not _is_of(record, study):
        return ()
    points = points_in(study)
    searched = store.study_of(record)
    distinct = len({repr(point.configuration.identity) for point in points})
    best = configurations(record, searched, distinct)
    own = {trial.slot: trial for trial in searched.results()}
    found = (
        _result(study, points, one, rank, record, own[one.slot], searched) for rank, one in enumerate(best, 1)
    )
    return tuple(result for result in found if result.planned)


def _is_of(record: StudyRecord, study: Study) -> bool:
    """True where a study of evidence trains what the search trained."""
    mine, theirs = stored_form(record.definition), stored_form(study.attributes.get("definition", {}))
    return all(mine.get(part) == theirs.get(part) for part in _SHARED)


def _result(
    study: Study,
    points: Sequence[Point],
    configuration: Configuration,
    rank: int,
    record: StudyRecord,
    own: Trial,
    searched: Study,
) -> EvidenceResult:
    slots = {slot: point for slot, point in enumerate(points) if is_same(point.configuration, configuration)}
    trials = [trial for trial in study.results() if trial.slot in slots]
    done = tuple((slots[trial.slot], trial) for trial in trials if trial.score is not None)
    test = searched.test_metrics(own) or {}
    return EvidenceResult(
        study.name,
        rank,
        configuration,
        record.evaluation.metric.lower(),
        done,
        len(slots),
        len(trials) - len(done),
        {VALIDATION: own.result.metrics, TEST: test},
    )
