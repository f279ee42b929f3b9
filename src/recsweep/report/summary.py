"""The summary of a sweep in all its forms."""

from __future__ import annotations

from recsweep.common.files import write_text
from recsweep.common.paths import Outputs
from recsweep.report.results import StudyResult
from recsweep.report.summary_latex import summary_latex
from recsweep.report.summary_markdown import summary_markdown
from recsweep.report.tables import ranked, summary_csv, summed


def write_summary(outputs: Outputs, results: list[StudyResult]) -> None:
    """Write summary.csv, summary.md and summary.tex; of a model's phases the last one decides.

    Args:
        results: of all studies of the sweep, also of those that are not begun.
    """
    ordered = ranked(summed(results))
    write_text(outputs.summary("csv"), summary_csv(ordered))
    write_text(outputs.summary("md"), summary_markdown(ordered))
    write_text(outputs.summary("tex"), summary_latex(ordered))
