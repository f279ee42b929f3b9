"""The summary of a sweep in all its forms."""

from __future__ import annotations

from collections.abc import Sequence

from recsweep.alarms.alarm import Alarm
from recsweep.common.files import write_text
from recsweep.common.paths import Outputs
from recsweep.report.alarms import raised
from recsweep.report.evidence_files import evidence_csv
from recsweep.report.results import StudyResult
from recsweep.report.summary_latex import summary_latex
from recsweep.report.summary_markdown import summary_markdown
from recsweep.report.tables import ranked, summary_csv, summed


def write_summary(
    outputs: Outputs, results: list[StudyResult], baselines: Sequence[StudyResult] = ()
) -> list[Alarm]:
    """Write summary.csv, summary.md and summary.tex; of a model's phases the last one decides.

    Args:
        results: of all studies of the sweep, also of those that are not begun.
        baselines: of the studies that train `Pop` beside them.

    Returns:
        The alarms that stand in it.
    """
    ordered = ranked(summed(results))
    alarms = raised(ordered, baselines)
    write_text(outputs.summary("csv"), summary_csv(ordered, alarms))
    write_text(outputs.summary("md"), summary_markdown(ordered, alarms, baselines))
    write_text(outputs.summary("tex"), summary_latex(ordered, alarms))
    if any(result.evidence for result in ordered):
        write_text(outputs.evidence_table, evidence_csv(ordered))
    return alarms
