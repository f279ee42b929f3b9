"""A report in a real browser: narrow and wide, light and dark, on paper; for eyes and for screen readers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from helpers.browser import launched
from helpers.reported import facts_of_three, over_seeds, results_of_three
from recsweep.document.write import write_report

AXE = (Path(__file__).parents[1] / "vendor" / "axe" / "axe.min.js").read_text(encoding="utf-8")
OUTSIDE = """() => [...document.querySelectorAll("svg.plot")].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const own = text.getBoundingClientRect();
    return own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1;
  }).map(text => text.textContent);
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reported")
    outputs = results_of_three(root)[0].outputs
    return write_report(outputs, dataclasses.replace(facts_of_three(root), measured=over_seeds(apart=True)))


def opened(browser: Browser, path: Path, width: int, scheme: Literal["light", "dark"]) -> Page:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
    return page


@pytest.mark.parametrize(
    ("width", "scheme", "asked"),
    [(400, "light", ""), (1400, "dark", '{runOnly: ["color-contrast"]}')],  # all else is the same in both
)
def test_the_page_fits_and_can_be_read_by_everybody(browser, path, width, scheme, asked):
    page = opened(browser, path, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == [], "words of a picture that are cut off"
    page.add_script_tag(content=AXE)
    found = page.evaluate(f"axe.run({asked})")
    assert found["passes"], "axe has looked"
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    page.context.close()


def test_the_contents_lead_to_their_sections_by_keyboard(browser, path):
    page = opened(browser, path, 1400, "light")
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Alarms", exact=False).last.press("Enter")
    assert page.url.endswith("#alarms")
    assert page.locator("#alarms").is_visible()
    page.context.close()


def test_the_page_prints(browser, path):
    page = opened(browser, path, 1400, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_role("navigation").is_hidden()
    wide = page.evaluate("[...document.querySelectorAll('table')].filter(t => t.offsetWidth > 0).length")
    assert wide > 3
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") >= 2
    page.context.close()
