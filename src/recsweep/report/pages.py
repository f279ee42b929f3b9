"""The HTML of pages with pictures: small, offline, light or dark as the reader's browser is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from string import Template

from recsweep.common.escape import for_html as _text

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5b636e; --line: #dde1e6; --paper: #ffffff;
  --card: #f7f8fa; --link: #1a66a8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a0a7b1; --line: #383d45;
  --paper: #16181c; --card: #1e2126; --link: #7db8ec; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
a { color: var(--link); }
h1 { font-size: 1.5rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.25rem; overflow-wrap: anywhere; }
p, nav, figcaption { color: var(--soft); margin: 0.25rem 0; }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
nav [aria-current] { color: var(--ink); font-weight: 600; }
.gallery { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); }
figure { margin: 0; padding: 0.75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
figure img { width: 100%; height: 16rem; object-fit: contain; background: #ffffff; border-radius: 4px;
  display: block; }
figcaption { font-size: 0.9rem; margin-top: 0.5rem; }
figcaption strong { color: var(--ink); }
.none { padding: 2rem 0; }
#chart { margin-top: 1rem; }
"""

# Colours of text and lines come from the style above, so a page that turns dark takes its chart along.
_SHOW = """
const chart = document.getElementById("chart");
function dressed() {
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  const dress = {"font.color": colour("--ink"), "font.family": "system-ui, sans-serif"};
  for (const key of Object.keys(figure.layout).filter(key => /^[xy]axis[0-9]*$/.test(key))) {
    dress[key + ".gridcolor"] = dress[key + ".linecolor"] = colour("--line");
  }
  (figure.layout.annotations || []).forEach((note, number) => {
    dress["annotations[" + number + "].bgcolor"] = colour("--paper");
  });
  return dress;
}
Plotly.newPlot(chart, figure.data, figure.layout, {responsive: true, displaylogo: false})
  .then(() => Plotly.relayout(chart, dressed()))
  .then(() => { chart.dataset.drawn = "yes"; });
matchMedia("(prefers-color-scheme: dark)")
  .addEventListener("change", () => Plotly.relayout(chart, dressed()));
"""

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
</body>
</html>
""")


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
    figure: str | None,
    missing: str = "",
    alt: str = "",
    image: str = "",
) -> str:
    """The page of one picture.

    Args:
        links: text and target; None for the page itself.
        script: link to the script that all pages share.
        figure: the figure as JSON that is safe in a script element; None: `missing` says why not.
        image: link to the same picture as a PNG, for a browser that runs no scripts.
    """
    items = "".join(
        f'<li><a href="{_text(target)}">{_text(text)}</a></li>'
        if target
        else f'<li aria-current="page">{_text(text)}</li>'
        for text, target in links
    )
    body = [
        f'<nav aria-label="Pictures of this study"><ul>{items}</ul></nav>',
        f"<main><h1>{_text(title)}</h1>",
        f"<p>{_text(summary)}</p>",
        f"<p>{_text(caption)}</p>",
    ]
    if figure is None:
        body.append(f'<p class="none"><strong>{_text(missing)}</strong></p></main>')
    else:
        body += [
            f'<div id="chart" role="img" aria-label="{_text(alt)}"></div></main>',
            f'<noscript><img src="{_text(image)}" alt="{_text(alt)}" width="100%"></noscript>',
            f'<script src="{_text(script)}"></script>',
            f"<script>const figure = {figure};{_SHOW}</script>",
        ]
    return _page(title, body)


def gallery_page(title: str, sections: Iterable[Section], remark: str = "") -> str:
    """The page that shows the pictures of all studies.

    Args:
        remark: what is to be said of those that have none.
    """
    sections = list(sections)
    body = [f"<h1>{_text(title)}</h1>"]
    if not sections:
        body.append("<p>No study of the sweep is in the store yet.</p>")
    if remark:
        body.append(f"<p>{_text(remark)}</p>")
    if len(sections) > 1:
        items = "".join(
            f'<li><a href="#{_text(section.anchor)}">{_text(section.title)}</a></li>' for section in sections
        )
        body.append(f'<nav aria-label="Studies"><ul>{items}</ul></nav>')
    body.append("<main>")
    for section in sections:
        body.append(f'<section id="{_text(section.anchor)}"><h2>{_text(section.title)}</h2>')
        body.append(f'<p>{_text(section.summary)}</p><div class="gallery">')
        body += [_figure(picture) for picture in section.pictures]
        body.append("</div></section>")
    return _page(title, [*body, "</main>"])


def _figure(picture: Picture) -> str:
    page = _text(picture.page)
    shown = (
        f'<a href="{page}"><img src="{_text(picture.image)}" alt="{_text(picture.alt)}" loading="lazy"></a>'
        if picture.image
        else ""
    )
    words = f'<strong><a href="{page}">{_text(picture.title)}</a></strong> {_text(picture.caption)}'
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def _page(title: str, body: Iterable[str]) -> str:
    return _PAGE.substitute(title=_text(title), style=_STYLE, body="\n".join(body))
