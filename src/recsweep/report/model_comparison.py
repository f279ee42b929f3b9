"""Models of studies compared by their tests: what can be compared, in which metrics, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recsweep.common.errors import UserError
from recsweep.report.user_scores import AGAIN, NoScores, Tested, tested
from recsweep.statistics.comparison import CAVEAT, WILCOXON, Comparison, Procedure, compared
from recsweep.statistics.ranks import LEAST_DATASETS, Ranking, ranked
from recsweep.statistics.sample import Run, Sample, samples_of
from recsweep.study import StudyRecord, Trial

Winner = tuple[StudyRecord, Trial | None]


@dataclass(frozen=True)
class Compared:
    """Comparisons of models by their scores per user.

    Attributes:
        comparisons: data set by data set, metric by metric, the best model first.
        rankings: over data sets, where there are two or more with the same models; one a metric.
        remarks: what was left out, and why.
    """

    comparisons: tuple[Comparison, ...] = ()
    rankings: tuple[Ranking, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def sentences(self) -> dict[str, list[str]]:
        """The statements of each data set."""
        found: dict[str, list[str]] = {}
        for one in self.comparisons:
            found.setdefault(one.dataset, []).append(one.sentence())
        return found


@dataclass(frozen=True)
class Asked:
    """A question: in which metrics, against whom, and by what procedure.

    Attributes:
        metrics: RecBole's names in lower case; empty: what each search went by.
        baseline: the model that the others are compared with; None for all pairs.
    """

    metrics: tuple[str, ...] = ()
    baseline: str | None = None
    procedure: Procedure = field(default_factory=Procedure)


def compare_winners(winners: Sequence[Winner], roots: Sequence[Path], asked: Asked | None = None) -> Compared:
    """Compare the winners of studies, as far as they were tested.

    Args:
        winners: studies with their best trials; of phases the last ones.
        roots: folders in which outputs may be.

    Raises:
        UserError: a metric, or the baseline, is none of theirs.
    """
    asked = asked or Asked()
    remarks: list[str] = []
    without: list[str] = []
    by_dataset: dict[str, list[Tested]] = {}
    for record, winner in winners:
        try:
            one = tested(record, winner, roots)
        except NoScores as error:
            without.append(error.study)
        else:
            by_dataset.setdefault(record.dataset_name, []).append(one)
    if without:
        remarks.append(f"{', '.join(without)} without scores per user: {AGAIN}")
    samples = _samples(by_dataset, asked, remarks)
    found = [
        comparison
        for (dataset, metric), own in samples.items()
        for comparison in compared(dataset, metric, own, asked.procedure, asked.baseline)
    ]
    if asked.procedure.test == WILCOXON and found:
        remarks.append(CAVEAT)
    rankings = tuple(_rankings(samples, asked.procedure))
    return Compared(tuple(found), rankings, (*remarks, *_on_ranks(rankings)))


def _samples(
    by_dataset: Mapping[str, Sequence[Tested]], asked: Asked, remarks: list[str]
) -> dict[tuple[str, str], list[Sample]]:
    """The scores to compare, by data set and metric; why others are not is added to the remarks.

    Raises:
        UserError: a metric that was asked for is none of theirs, or the baseline is none of the models.
    """
    samples: dict[tuple[str, str], list[Sample]] = {}
    labels = {label for own in by_dataset.values() for label in _labels(own)}
    if asked.baseline is not None and labels and asked.baseline not in labels:
        raise UserError(
            f"{asked.baseline} is none of {', '.join(sorted(labels))}; a baseline is one of them; name it so"
        )
    for dataset, own in by_dataset.items():
        if trouble := _apart(dataset, own, asked.baseline):
            remarks.append(trouble)
            continue
        runs = _runs(dataset, own, remarks)
        for metric in asked.metrics or _searched(own):
            try:
                samples[dataset, metric] = samples_of(runs, metric)
            except UserError as error:
                if asked.metrics:
                    raise
                remarks.append(f"{dataset}: {error}")
    return samples


def _apart(dataset: str, own: Sequence[Tested], baseline: str | None) -> str:
    """Why the models of a data set cannot be compared; empty where they can."""
    first = own[0].record
    if len(own) < 2:
        return f"{dataset}: {first.model_name} alone was tested; to compare takes two"
    if baseline is not None and baseline not in _labels(own):
        return f"{dataset}: {baseline} was not tested, so nothing was compared with it"
    other = next((one.record for one in own if not _same_data(one.record, first)), None)
    if other is None:
        return ""
    return (
        f"{dataset}: {first.study} and {other.study} were not tested on the same data, so their models were "
        "not compared"
    )


def _same_data(one: StudyRecord, other: StudyRecord) -> bool:
    """True where both have the same files, filters and split; one may read a file more."""
    shared = one.hashes.keys() & other.hashes.keys()
    parts = [dict(record.definition).get("dataset") for record in (one, other)]
    return parts[0] == parts[1] and all(one.hashes[name] == other.hashes[name] for name in shared)


def _searched(own: Sequence[Tested]) -> list[str]:
    """The metrics that the searches went by."""
    return list(dict.fromkeys(one.record.evaluation.metric.lower() for one in own))


def _labels(own: Sequence[Tested]) -> list[str]:
    """The names of models; where one is there twice, those of its studies."""
    names = [one.record.model_name for one in own]
    return [one.record.study if names.count(name) > 1 else name for one, name in zip(own, names, strict=True)]


def _runs(dataset: str, own: Sequence[Tested], remarks: list[str]) -> dict[str, list[Run]]:
    """The runs of each model: of its evidence where every model has some, else the winners'."""
    labels = dict(zip(_labels(own), own, strict=True))
    without = [label for label, one in labels.items() if not one.evidence]
    if not without:
        return {label: list(one.evidence) for label, one in labels.items()}
    if len(without) < len(own):
        remarks.append(
            f"{dataset}: {', '.join(without)} had no evidence on further seeds, so one training of each "
            "model was compared"
        )
    return {label: [(one.split, one.own)] for label, one in labels.items()}


def _rankings(samples: Mapping[tuple[str, str], Sequence[Sample]], procedure: Procedure) -> Iterator[Ranking]:
    for metric in dict.fromkeys(metric for _, metric in samples):
        own = {dataset: found for (dataset, name), found in samples.items() if name == metric}
        models = set.intersection(*({one.model for one in found} for found in own.values()))
        if len(own) > 1 and len(models) > 1:
            same = {
                dataset: sorted((one for one in found if one.model in models), key=lambda one: one.model)
                for dataset, found in own.items()
            }
            yield ranked(metric, same, procedure)


def _on_ranks(rankings: Sequence[Ranking]) -> list[str]:
    few = [len(one.datasets) for one in rankings if one.critical is None]
    if not few:
        return []
    return [
        f"mean ranks are over {max(few)} data sets: a critical difference says something from "
        f"{LEAST_DATASETS} data sets and three models on"
    ]
