"""The pages in a real browser, without a network: they show what they should, and ask for nothing."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from helpers.browser import launched
from helpers.contrast import contrast
from helpers.found import NASTY, OBJECTIVES, drawn, fill_store, some_trials, trial, workspace
from recsweep.planning.plan import StudyPlan
from running import Folder

MARKS = (".point path", "path.point", "path.js-line")  # bars, marks, lines
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PICTURES = ("history", "importance", "parallel", "slices", "curves", "pareto", "timeline")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the module. Its event loop ends with it, before other tests want their own."""
    with launched() as browser:
        yield browser


@dataclass
class Seen:
    """A page, and what it asked for and complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "trace"):
            self.complaints.append(message.text)

    def open(self, path: Path) -> Page:
        self.page.goto(path.absolute().as_uri())
        return self.page

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_text_contents()


See = Callable[..., Seen]


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(offline=True)
    yield context
    context.close()


@pytest.fixture(scope="module")
def opened() -> dict[tuple[Path, int], Seen]:
    """The pages that were opened, each once in a width: to draw one takes seconds."""
    return {}


@pytest.fixture
def see(context: BrowserContext, opened: dict[tuple[Path, int], Seen]) -> Iterator[See]:
    """Opens a page, or goes on with it, as large and as light as a new one."""

    def find(path: Path, width: int = 1280) -> Seen:
        if found := opened.get((path, width)):
            found.page.set_viewport_size({"width": width, "height": 900})
            found.page.emulate_media(color_scheme="light")
            return found
        opened[path, width] = new = Seen(context.new_page())
        new.page.set_viewport_size({"width": width, "height": 900})
        new.open(path)
        return new

    yield find
    for seen in opened.values():
        assert seen.complaints == []
        assert [url for url in seen.asked if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    """A study with one objective whose pictures are drawn."""
    plan = workspace(tmp_path_factory.mktemp("single")).plan()
    fill_store(plan, some_trials())
    with pytest.MonkeyPatch.context() as patch:  # the thumbnails are looked at, and the pages
        patch.setattr("recsweep.report.plots.write_picture", lambda chart, title, path: path.touch())
        drawn([plan], [plan])
    return plan


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    """A study with two objectives whose pictures are drawn."""
    plan = workspace(tmp_path_factory.mktemp("several"), budget=4, objectives=OBJECTIVES).plan()
    values = ((0.1, 5.0), (0.12, 20.0), (0.2, 9.0))
    complete = [trial(slot, own[0], values=own) for slot, own in enumerate(values)]
    fill_store(plan, [*complete, trial(3, None, "failed")])
    with pytest.MonkeyPatch.context() as patch:
        without_pngs(patch)
        drawn([plan], [plan])
    return plan


def without_pngs(patch: pytest.MonkeyPatch) -> None:
    """Pictures are pages alone: their PNGs take longest, and nobody looks at them."""
    for name in ("write_picture", "write_thumbnail"):
        patch.setattr(f"recsweep.report.plots.{name}", lambda *given: given[-1].touch())


@pytest.fixture(scope="module")
def sweep_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two models on two data sets; one study is not finished, one not begun."""
    space = workspace(tmp_path_factory.mktemp("sweep"))
    (space.root / "models" / "Other.yaml").write_text(space.model.read_text())
    (space.root / "datasets" / "second.yaml").write_text(space.dataset.read_text())
    plans = space.plans(models="NARM Other", datasets="toy second")
    for one, count in zip(plans, (12, 6, 12), strict=False):
        fill_store(one, some_trials()[:count])
    with pytest.MonkeyPatch.context() as patch:  # the thumbnails are looked at, and the pages
        patch.setattr("recsweep.report.plots.write_picture", lambda chart, title, path: path.touch())
        return drawn(plans, plans[:1])


def page_of(plan: StudyPlan, name: str) -> Path:
    return plan.outputs.plots(*plan.folder_names) / f"{name}.html"


def picture(see: See, plan: StudyPlan, name: str, width: int = 1280) -> Seen:
    """The page of a picture, drawn."""
    seen = see(page_of(plan, name), width)
    seen.page.locator("#chart[data-drawn=yes] .main-svg").first.wait_for()
    return seen


def marks_and_legend(seen: Seen) -> tuple[int, list[str]]:
    """How many marks, lines and bars a page drew, and what its legend says."""
    drawn = seen.page.locator(", ".join(f".cartesianlayer {mark}" for mark in MARKS)).count()
    return drawn, seen.texts("#chart .legendtext")


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "pareto"])
def test_every_page_draws_its_picture(see: See, plan: StudyPlan, name: str) -> None:
    seen = picture(see, plan, name)
    drawn, legend = marks_and_legend(seen)
    trials = some_trials()
    expected = {
        "history": (len(trials) + 1, ["complete", "pruned", "best so far", "failed"]),
        "importance": (4, []),
        "parallel": (len(plan.space) + 1 + 9, []),
        "slices": (11 * 4, ["pruned", "complete", "best: trial 7"]),
        "curves": (3, ["complete", "pruned", "best: trial 7"]),
        "timeline": (len(trials), ["complete", "pruned", "failed"]),
    }
    least, words = expected[name]
    assert drawn >= least
    assert legend == words
    assert seen.page.title().startswith("toy/NARM: ")
    assert seen.page.locator("h1").inner_text() == seen.page.title()
    assert seen.page.locator("details tbody tr").count() >= 4, "its numbers"
    box = seen.page.locator("#chart").bounding_box()
    assert box is not None
    assert box["height"] >= 250


def test_a_page_of_several_objectives_shows_the_front(see: See, several: StudyPlan) -> None:
    seen = picture(see, several, "pareto")
    drawn, legend = marks_and_legend(seen)
    assert drawn == 4, "three trials and the line through the front"
    assert legend == ["bettered by another", "front"]
    titles = seen.texts("#chart .xtitle, #chart .ytitle")
    assert titles == ["training_seconds (less is better)", "NDCG@10 (more is better)"]


def test_what_is_pointed_at_is_told_and_its_tags_stay_text(see: See, plan: StudyPlan) -> None:
    seen = picture(see, plan, "history")
    seen.page.locator("#chart .scatterlayer .trace").last.locator("path.point").hover(force=True)
    hover = seen.page.locator("#chart .hoverlayer text")
    hover.first.wait_for()
    said = "".join(hover.all_text_contents())
    assert "trial 5, failed" in said
    assert NASTY in said
    assert seen.page.locator("#chart img").count() == 0


def test_a_page_follows_the_colours_of_the_browser(see: See, plan: StudyPlan) -> None:
    def colour() -> str:
        return str(seen.page.evaluate("chart._fullLayout.font.color"))

    seen = picture(see, plan, "curves")
    light = colour()
    seen.page.emulate_media(color_scheme="dark")
    seen.page.wait_for_function(f"chart._fullLayout.font.color !== '{light}'")
    assert (light, colour()) == ("#1d2126", "#e6e8eb")


def test_the_gallery_shows_pictures_that_load_and_leads_to_their_pages(see: See, plan: StudyPlan) -> None:
    page = see(plan.outputs.all_plots / "index.html").page
    images = page.locator("img")
    assert images.count() == len(PICTURES) - 1
    for image in images.all():
        image.scroll_into_view_if_needed()
        handle = image.element_handle()
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=handle)
        assert "toy/NARM" in (image.get_attribute("alt") or "")
    page.get_by_role("link", name="Learning curves", exact=True).click()
    page.locator("#chart[data-drawn=yes]").wait_for()
    page.get_by_role("link", name="All studies").click()
    assert page.title() == "Sweep toy-sweep"


def test_a_page_without_a_picture_says_why(see: See, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pngs(monkeypatch)
    plan = workspace(tmp_path).plan()
    fill_store(plan, [trial(0, 0.1)])
    drawn([plan], [plan])
    seen = see(page_of(plan, "importance"))
    assert seen.texts(".none") == ["Importance needs two complete trials or more; there is one so far."]


def drawn_charts(seen: Seen) -> Locator:
    charts = seen.page.locator(".chart[data-drawn=yes]")
    seen.page.wait_for_function(
        "[...document.querySelectorAll('.chart')].every(chart => chart.dataset.drawn === 'yes')"
    )
    return charts


def test_the_page_of_a_sweep_fits_a_screen_and_a_telephone(see: See, sweep_page: Path) -> None:
    seen = see(sweep_page)
    for width in (1280, 400):
        seen.page.set_viewport_size({"width": width, "height": 900})
        charts = drawn_charts(seen)
        assert charts.count() == 6, "three for each data set"
        for chart in charts.all():
            drawn = chart.locator(".main-svg").first
            expect(drawn).to_have_attribute("width", str(chart.evaluate("chart => chart.clientWidth")))
            box = chart.bounding_box()
            assert box
            assert box["height"] >= 150
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    titles = ["All data sets", "toy: 2 models compared", "second: 2 models compared", "toy/NARM"]
    assert seen.texts("h2") == titles
    for label in ("The models on toy", "Best scores of all models on all data sets"):
        assert seen.page.get_by_role("region", name=label).locator("tbody tr").count() == 2


def test_the_page_of_a_sweep_is_used_with_the_keyboard(see: See, sweep_page: Path) -> None:
    seen = see(sweep_page)
    lines = drawn_charts(seen).first.locator(".js-line")
    assert lines.count() == 2
    numbers = seen.page.locator("figure details").first
    assert not numbers.locator("table").is_visible()
    numbers.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    assert numbers.locator("table").is_visible()
    assert numbers.locator("tbody tr").count() >= 2
    button = seen.page.get_by_role("button", name="Other").first
    button.focus()
    for shown, pressed in ((1, "false"), (2, "true")):
        seen.page.keyboard.press("Enter")
        expect(lines).to_have_count(shown)
        assert button.get_attribute("aria-pressed") == pressed


def test_words_can_be_read_by_day_and_by_night(see: See, sweep_page: Path) -> None:
    seen = see(sweep_page)
    drawn_charts(seen)
    found = {}
    for scheme in SCHEMES:
        seen.page.emulate_media(color_scheme=scheme)
        style = "getComputedStyle(document.documentElement).getPropertyValue('--{}')"
        names = ("ink", "soft", "link", "paper", "card", "leads")
        colour = {name: str(seen.page.evaluate(style.format(name))) for name in names}
        for words in ("ink", "soft", "link"):
            for ground in ("paper", "card"):
                assert contrast(colour[words], colour[ground]) >= 4.5, (scheme, words, ground)
        assert contrast(colour["ink"], colour["leads"]) >= 4.5
        charts = "[...document.querySelectorAll('.chart')]"
        seen.page.wait_for_function(f"{charts}.every(c => c._fullLayout.font.color === '{colour['ink']}')")
        image = seen.page.locator(".gallery img").first
        found[scheme] = image.evaluate("image => getComputedStyle(image).filter") != "none"
    assert found == {"light": False, "dark": True}, "thumbnails have no ground of their own"


@pytest.mark.parametrize("name", ["slices", "parallel"])
def test_pictures_with_many_panels_and_words_fit_a_telephone(see: See, plan: StudyPlan, name: str) -> None:
    seen = picture(see, plan, name, width=400)
    seen.page.locator("summary").click()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 400
    if name == "slices":
        panels = [box for one in seen.page.locator(".subplot").all() if (box := one.bounding_box())]
        assert len({round(box["x"]) for box in panels}) == 1, "below each other"


def test_the_dashboard_shows_the_study(browser: Browser, plan: StudyPlan) -> None:
    folder = Folder.__new__(Folder)
    folder.path = plan.outputs.root.parent
    process = folder.start("dashboard", "--port", "0", "--config", "sweep.yaml")
    page = browser.new_page()
    seen = Seen(page)
    try:
        assert process.stdout is not None
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        page.goto(address)
        page.get_by_text(plan.name).first.wait_for()
        assert [url for url in seen.asked if not url.startswith((address, "data:", "blob:"))] == []
    finally:
        page.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
