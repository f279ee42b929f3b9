"""The files of a report: the page, tables in Markdown and LaTeX, the tuning appendix, BibTeX."""

from __future__ import annotations

from pathlib import Path

from recsweep.common.files import write_text
from recsweep.common.paths import Outputs
from recsweep.document.appendix import appendix_latex
from recsweep.document.citations import bibtex, cited
from recsweep.document.facts import Facts
from recsweep.document.page import report_page
from recsweep.document.tables import tables_latex, tables_markdown


def write_report(outputs: Outputs, facts: Facts) -> Path:
    """Write everything of a report.

    Returns:
        The page.
    """
    references = cited(facts.records, facts.cites)
    page = outputs.report("index.html")
    write_text(outputs.report("tables.md"), tables_markdown(facts))
    write_text(outputs.report("tables.tex"), tables_latex(facts))
    write_text(outputs.report("appendix.tex"), appendix_latex(facts))
    write_text(outputs.report("references.bib"), bibtex(references))
    write_text(page, report_page(facts, references))
    return page
