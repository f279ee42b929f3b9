"""The summary for a paper: a table with a caption that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.alarms.alarm import Alarm
from recsweep.common.escape import for_latex
from recsweep.report.results import StudyResult
from recsweep.report.summary_evidence import evidence_latex
from recsweep.report.summary_notes import data_lines, footnotes, legend, uses
from recsweep.report.tables import Row, metrics_of, rows


def summary_latex(results: Sequence[StudyResult], alarms: Sequence[Alarm] = ()) -> str:
    r"""A `table` that needs the package booktabs alone: `\input` it, and refer to its label.

    The alarms stand below it in small print, their answers in comments.
    """
    return "\n".join([*_lines(results, alarms), *evidence_latex(results)]) + "\n"


def _lines(results: Sequence[StudyResult], alarms: Sequence[Alarm]) -> Iterator[str]:
    metrics = metrics_of(results[0].record) if results else []
    yield r"% needs \usepackage{booktabs}"
    yield r"\begin{table}"
    yield r"\centering"
    yield rf"\caption{{{for_latex(_caption(results))}}}"
    if results:
        yield rf"\label{{tab:{results[0].record.sweep_name}}}"
    tests = " & ".join(for_latex(name) for name in metrics)
    yield rf"\begin{{tabular}}{{ll{'r' * (2 + len(metrics))}}}"
    yield r"\toprule"
    if results:
        yield rf" & & validation & \multicolumn{{{len(metrics)}}}{{c}}{{test}} & \\"
        yield rf"\cmidrule(lr){{3-3}} \cmidrule(lr){{4-{3 + len(metrics)}}}"
        yield rf"data set & model & {for_latex(metrics[0])} & {tests} & trials \\"
    else:
        yield r"data set & model & validation & trials \\"
    yield r"\midrule"
    for row in rows(results):
        yield rf"{' & '.join(_cells(row, metrics))} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield from _below(alarms)
    yield r"\end{table}"


def _below(alarms: Sequence[Alarm]) -> Iterator[str]:
    if not alarms:
        return
    yield from (f"% {alarm.about}: {alarm.answer} ({alarm.source})" for alarm in alarms)
    text = " ".join(f"{alarm.about}: {alarm.text}." for alarm in alarms)
    yield rf"\par\smallskip{{\footnotesize {for_latex(text)}\par}}"


def _caption(results: Sequence[StudyResult]) -> str:
    """All that a reader must know who sees the table alone."""
    if not results:
        return footnotes(results)[0]
    record = results[0].record
    metric = record.evaluation.metric
    what = f"The best configuration of each model in {record.sweep_name}, chosen by {metric}."
    return " ".join([what, legend("Underlined"), *footnotes(results), *uses(results), *data_lines(results)])


def _cells(row: Row, metrics: Sequence[str]) -> list[str]:
    model = for_latex(row.model)
    tests = [
        rf"\underline{{{row.tests[name]}}}" if name in row.best_tests else row.tests.get(name, "-")
        for name in metrics
    ]
    leads = rf"\textbf{{{model}}}" if row.leads else model
    return [for_latex(row.dataset), leads, row.validation, *tests, row.trials]
