"""The page of a report: one HTML file that needs nothing else, for a screen and for paper."""

from __future__ import annotations

from pathlib import Path
from string import Template

from recsweep.common.escape import for_html as text
from recsweep.document.citations import Reference
from recsweep.document.elements import Section, waiting
from recsweep.document.facts import Facts
from recsweep.document.section_alarms import alarm_mark, alarm_section
from recsweep.document.section_comparison import comparison_section
from recsweep.document.section_end import end_sections
from recsweep.document.section_method import method_sections
from recsweep.document.section_results import findings, result_sections, summary_line
from recsweep.document.section_search import search_sections

_STYLE = Path(__file__).with_name("report.css")
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="recsweep">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
<div class="page">
<header>
<p class="kicker">recsweep report</p>
<h1>$title</h1>
$head
</header>
$contents
<main>
$body
</main>
</div>
</body>
</html>
""")

_NOTHING = "No study of the sweep is in the store yet; run"


def report_page(facts: Facts, references: list[Reference]) -> str:
    """The whole page."""
    title = f"Sweep {facts.sweep}"
    if not facts.begun:
        return _filled(title, "", "", waiting(f"{_NOTHING} `recsweep tune --config {facts.config}`."))
    sections = [
        *method_sections(facts),
        *result_sections(facts),
        comparison_section(facts),
        alarm_section(facts),
        *search_sections(facts),
        *end_sections(facts, references),
    ]
    body = "\n".join(_section(number, section) for number, section in enumerate(sections, start=1))
    return _filled(
        title, f"{summary_line(facts)}{alarm_mark(facts)}{findings(facts)}", _contents(sections), body
    )


def _filled(title: str, head: str, contents: str, body: str) -> str:
    style = _STYLE.read_text(encoding="utf-8")
    return _PAGE.substitute(title=text(title), style=style, head=head, contents=contents, body=body)


def _contents(sections: list[Section]) -> str:
    found = "".join(
        f'<li><a href="#{one.anchor}">{number}. {text(one.title)}</a></li>'
        for number, one in enumerate(sections, start=1)
    )
    return f'<nav aria-label="Contents"><ol>{found}</ol></nav>'


def _section(number: int, section: Section) -> str:
    head = f'<h2 id="{section.anchor}"><span>{number}</span>{text(section.title)}</h2>'
    return f"<section>{head}{''.join(section.body)}</section>"
