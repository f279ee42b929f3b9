"""The summary in Markdown: for a README, a pull request, a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.alarms.alarm import Alarm
from recsweep.common.escape import for_markdown
from recsweep.report.alarms import alarm_lines
from recsweep.report.results import StudyResult
from recsweep.report.summary_evidence import evidence_markdown
from recsweep.report.summary_notes import data_lines, footnotes, legend, popular, uses
from recsweep.report.tables import Row, four_digits, metrics_of, rows

BEST_ON_TEST = "†"


def summary_markdown(
    results: Sequence[StudyResult], alarms: Sequence[Alarm] = (), baselines: Sequence[StudyResult] = ()
) -> str:
    """The table, what to know to read it, the alarms, and the other metrics."""
    lines = [*_main_table(results)] if results else []
    notes = footnotes(results)
    if any(row.leads for row in rows(results)):
        notes.insert(0, legend(BEST_ON_TEST))
    if results:
        notes += [*uses(results), *data_lines(results), *popular(baselines)]
    lines += ["", *map(for_markdown, notes), *_alarms(alarms)]
    metrics = metrics_of(results[0].record) if results else []
    others = [name for name in metrics[1:] if _is_measured(results, name)]
    if others:
        lines += ["", *_other_metrics(results, others)]
    lines += evidence_markdown(results)
    return "\n".join(lines) + "\n"


def _main_table(results: Sequence[StudyResult]) -> Iterator[str]:
    metric = results[0].record.evaluation.metric
    yield f"| data set | model | validation {metric} | test {metric} | trials | best trial | parameters |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for row in rows(results):
        model = for_markdown(row.model)
        model = f"**{model}**" if row.leads else model
        cells = [for_markdown(row.dataset), model, row.validation, _test(row, metric), row.trials, row.trial]
        yield f"| {' | '.join(cells)} | {for_markdown(row.parameters)} |"


def _alarms(alarms: Sequence[Alarm]) -> Iterator[str]:
    """A list of them, each with what to do about it."""
    head, *rest = alarm_lines(alarms) or [""]
    yield from ["", for_markdown(head), "", *(f"- {for_markdown(line)}" for line in rest)] if alarms else []


def _is_measured(results: Sequence[StudyResult], metric: str) -> bool:
    found = [result.test or {} for result in results]
    found += [result.winner.result.metrics for result in results if result.winner]
    return any(metric.lower() in metrics for metrics in found)


def _other_metrics(results: Sequence[StudyResult], metrics: Sequence[str]) -> Iterator[str]:
    """The metrics that nothing was chosen by."""
    titles = [f"{part} {name}" for name in metrics for part in ("validation", "test")]
    yield f"| {' | '.join(['data set', 'model', *titles])} |"
    yield f"|---|---|{'---:|' * len(titles)}"
    for result, row in zip(results, rows(results), strict=True):
        validation = result.winner.result.metrics if result.winner else {}
        cells = [for_markdown(row.dataset), for_markdown(row.model)]
        for name in metrics:
            cells += [four_digits(validation.get(name.lower())), _test(row, name)]
        yield f"| {' | '.join(cells)} |"


def _test(row: Row, metric: str) -> str:
    value = row.tests.get(metric, "-")
    return value + BEST_ON_TEST if metric in row.best_tests else value
