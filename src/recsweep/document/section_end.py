"""The report's last sections: alarms, everything needed to run it again, references."""

from __future__ import annotations

from collections.abc import Iterator

from recsweep.common.escape import for_html as text
from recsweep.document import again
from recsweep.document.citations import Reference, bibtex, uncited
from recsweep.document.elements import Html, Section, code, definitions, grid, items
from recsweep.document.facts import Facts


def end_sections(facts: Facts, references: list[Reference]) -> Iterator[Section]:
    """Run it again, references."""
    yield Section("again", "Everything needed to run it again", tuple(_again(facts)))
    yield Section("references", "References", tuple(_references(facts, references)))


def _again(facts: Facts) -> Iterator[str]:
    yield code(again.commands(facts.entries, facts.config))
    yield (
        "<p>With one worker and the same versions, the same trials come to the same scores. Each winner "
        "can be trained alone by its <code>best_config.yaml</code>: "
        "<code>recsweep train --config FILE</code>.</p>"
    )
    yield definitions(again.facts(facts.entries))
    yield grid(again.STUDY_COLUMNS, map(_hashed, again.study_rows(facts.entries)), "Studies and their seeds")
    rows = [
        (name, file, Html(f'<span class="hash">{text(digest)}</span>')) for name, file, digest in _data(facts)
    ]
    yield grid(("data set", "file", "SHA-256"), rows, "Files of the data and their hashes")


def _data(facts: Facts) -> list[tuple[str, str, str]]:
    return again.data_hashes(facts.results)


def _hashed(row: tuple[str, ...]) -> tuple[str, ...]:
    name, digest, *rest = row
    return (name, Html(f'<span class="hash">{text(digest)}</span>'), *rest)


def _references(facts: Facts, references: list[Reference]) -> Iterator[str]:
    listed = "".join(f"<li>{text(one.text)}</li>" for one in references)
    yield f'<ol class="references">{listed}</ol>'
    if other := uncited(facts.records):
        yield items([f"Their own papers are to be added: {', '.join(other)}."])
    entries = "\n".join(text(line) for line in bibtex(references).splitlines())
    yield (
        "<details><summary>the same as BibTeX (references.bib)</summary>"
        f'<pre tabindex="0"><code>{entries}</code></pre></details>'
    )
