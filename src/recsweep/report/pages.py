"""The pages of studies: one for each picture, and the gallery of them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from recsweep.common.escape import for_html as _text
from recsweep.report import page_parts as parts
from recsweep.report.chart import Table


@dataclass(frozen=True)
class Picture:
    """A picture in the gallery."""

    title: str
    page: str
    """Link to its page."""
    image: str | None
    """Link to its PNG; None where there is nothing to draw yet."""
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """The pictures of a study in the gallery."""

    anchor: str
    title: str
    summary: str
    pictures: tuple[Picture, ...]


def chart_page(
    title: str,
    caption: str,
    summary: str,
    links: Iterable[tuple[str, str | None]],
    *,
    script: str,
    drawn: parts.Drawn | None,
    table: Table | None = None,
    missing: str = "",
) -> str:
    """The page of one picture.

    Args:
        links: text and target; None for the page itself.
        script: link to the script that all pages share.
        drawn: the chart; None: `missing` says why there is none.
        table: the numbers behind it.
    """
    body = [
        parts.links("Pictures of this study", links),
        f"<main><h1>{_text(title)}</h1>",
        f"<p>{_text(summary)}</p>",
        f"<p>{_text(caption)}</p>",
    ]
    if drawn is None:
        return parts.page(title, [*body, f'<p class="none"><strong>{_text(missing)}</strong></p></main>'])
    body += [parts.chart(drawn), parts.numbers(table or Table(), title), "</main>"]
    return parts.page(title, body, script)


def gallery(sections: Iterable[Section]) -> str:
    """The pictures of studies, study by study."""
    return "".join(
        f'<section id="{_text(section.anchor)}"><h2>{_text(section.title)}</h2>'
        f'<p>{_text(section.summary)}</p><div class="gallery">'
        f"{''.join(map(_figure, section.pictures))}</div></section>"
        for section in sections
    )


def _figure(picture: Picture) -> str:
    page = _text(picture.page)
    shown = (
        f'<a href="{page}"><img src="{_text(picture.image)}" alt="{_text(picture.alt)}" loading="lazy"></a>'
        if picture.image
        else ""
    )
    words = f'<strong><a href="{page}">{_text(picture.title)}</a></strong> {_text(picture.caption)}'
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"
