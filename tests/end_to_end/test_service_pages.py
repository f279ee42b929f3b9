"""The service's pages in a real browser: by keyboard, live, narrow and wide, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from helpers.browser import launched
from helpers.service import READ, WRITE, Client, added, claimed, job, with_trials
from recsweep.common.owner import this_process
from recsweep.service.claims import Claims
from recsweep.service.states import JobStatus

AXE = (Path(__file__).parents[1] / "vendor" / "axe" / "axe.min.js").read_text(encoding="utf-8")
SCHEMES: tuple[tuple[Literal["light", "dark"], str], ...] = (
    ("light", ""),
    ("dark", '{runOnly: ["color-contrast"]}'),  # all else is the same in both
)
expect.set_options(timeout=8000)
NASTY = "<script>document.title='run'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


def context_of(browser: Browser, app: Client, url: str, token: str) -> BrowserContext:
    """A browser of somebody who has shown a token."""
    context = browser.new_context(base_url=url)
    context.set_default_timeout(8000)
    role = app.service.tokens.role_of(token)
    assert role is not None
    session = app.service.tokens.session(role)
    context.add_cookies([{"name": "recsweep_session", "value": session, "url": url}])
    return context


@pytest.fixture(scope="module")
def session(browser: Browser, app: Client, url: str) -> Iterator[BrowserContext]:
    """A browser in which a page stays open, so that the process of the pages is one."""
    context = context_of(browser, app, url, WRITE)
    context.new_page().goto("/login")
    yield context
    context.close()


@pytest.fixture
def page(session: BrowserContext, url: str) -> Iterator[Page]:
    """A page whose requests stay with the server, and that complains of nothing."""
    page, asked, complaints = session.new_page(), list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Security" in said.text else None)
    yield page
    page.close()
    assert complaints == []
    assert [one for one in asked if not one.startswith(url)] == []


@pytest.fixture(scope="module")
def running(app: Client) -> str:
    """A job with two trials that ended and one that runs."""
    job_id = added(app, name="a job that runs")
    with_trials(app, claimed(app, job_id), [0.1, 0.3, None])
    return job_id


def test_a_token_makes_a_session_that_no_script_reads(browser: Browser, url: str) -> None:
    context = browser.new_context(base_url=url)
    page = context.new_page()
    page.goto("/jobs/anything")
    expect(page).to_have_url(f"{url}/login")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type("not-the-token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is no token of this service.")
    page.get_by_label("Token").fill(WRITE)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/")
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert WRITE not in cookie["value"]
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{url}/login")
    assert context.cookies() == []
    context.close()


def test_a_form_sends_nothing_before_its_script_is_there(browser: Browser, url: str) -> None:
    context = browser.new_context(base_url=url, java_script_enabled=False)
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.goto("/login")
    page.get_by_label("Token").fill(WRITE)
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    expect(page.get_by_role("button", name="Log in")).to_be_disabled()
    assert [line for line in asked if "/static/" not in line] == [f"GET {url}/login"]
    context.close()


def test_a_job_is_made_by_keyboard_with_mistakes_at_their_fields(page: Page, app: Client) -> None:
    page.goto("/new")
    page.locator("form[data-ready=yes]").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    page.keyboard.type("<b>one</b>")
    page.get_by_label("ADMMSLIM", exact=True).press("Space")  # the first one was chosen
    page.get_by_label("FPMC", exact=True).press("Space")
    page.get_by_label("Trials of each study").fill("3")
    page.keyboard.press("Enter")
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".field[data-field=name] .trouble")).to_contain_text(
        "a job's name has 1 to 100 letters"
    )
    name.fill("by keyboard")
    least = page.locator("[data-field='search_spaces.FPMC.learning_rate.min']")
    before = least.input_value()
    least.fill("-1")
    page.get_by_role("button", name="Check it only").press("Enter")
    expect(least).to_be_focused()
    expect(page.get_by_role("alert").first).to_contain_text("One field is wrong")
    least.fill(before)
    page.get_by_role("button", name="Check it only").press("Enter")
    expect(page.locator("#told")).to_contain_text("It would run 3 trials")
    page.get_by_role("button", name="Make the job").press("Enter")
    expect(page.locator("h1")).to_have_text("by keyboard")
    expect(page.locator("#state")).to_have_text("queued")
    (made,) = [one for one in app.service.jobs.page()[0] if one.name == "by keyboard"]
    assert (made.status, made.models, made.request["num_samples"]) == (JobStatus.QUEUED, ("FPMC",), 3)
    assert "search_space" not in made.request, "the model's own, as nothing was changed"
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.locator("#state")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.get_by_role("button", name="Delete").press("Enter")
    page.get_by_role("button", name="Delete it").press("Enter")
    expect(page.locator("h1")).to_have_text("Jobs")
    assert made.id not in {one.id for one in app.service.jobs.page()[0]}


def test_several_models_with_engine_and_limits_are_asked_for_by_keyboard(page: Page, app: Client) -> None:
    page.goto("/new")
    page.locator("form[data-ready=yes]").wait_for()
    page.get_by_label("Name", exact=True).fill("several")
    page.keyboard.press("Tab")
    expect(page.get_by_label("ml-100k", exact=True)).to_be_focused()
    expect(page.get_by_label("ml-100k", exact=True)).to_be_checked()
    page.get_by_label("ml-100k-small", exact=True).press("Space")
    for name in ("FPMC", "SASRec", "ADMMSLIM"):  # the last one was chosen
        page.get_by_label(name, exact=True).press("Space")
    parts = page.locator("#spaces details")
    expect(parts).to_have_count(2)
    page.get_by_label("Engine", exact=True).press("o")
    page.get_by_label("How parameters are proposed").press("r")
    page.get_by_label("Minutes of the job").fill("0")
    page.get_by_label("Trials at once").fill("2")
    sasrec = page.locator("details[data-model=SASRec]")
    sasrec.locator("summary").press("Enter")
    sasrec.locator("[data-searched=n_heads]").press("Space")
    most = page.locator("[data-field='search_spaces.SASRec.learning_rate.max']")
    before = most.input_value()
    most.fill("much")
    sasrec.locator("summary").press("Enter")
    expect(most).not_to_be_visible()
    page.get_by_role("button", name="Check it only").press("Enter")
    expect(page.get_by_label("Minutes of the job")).to_have_attribute("aria-invalid", "true")
    expect(most).to_have_attribute("aria-invalid", "true")
    expect(most).to_be_visible()
    most.fill(before)
    page.get_by_label("Minutes of the job").fill("30")
    page.get_by_label("Start it at once").press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("several")
    expect(page.locator("#state")).to_have_text("created")
    (made,) = [one for one in app.service.jobs.page()[0] if one.name == "several"]
    assert (made.models, made.datasets) == (("FPMC", "SASRec"), ("ml-100k", "ml-100k-small"))
    asked = made.request
    assert (asked["engine"], asked["algo"], asked["max_concurrent_trials"]) == ("optuna", "random", 2)
    assert asked["limits"] == {"sweep_timeout_minutes": 30}
    assert list(asked["search_spaces"]) == ["SASRec"], "FPMC has its own, as nothing was changed"
    assert "n_heads" not in asked["search_spaces"]["SASRec"]
    app.service.jobs.delete(made.id)


def test_a_mistake_in_a_choice_is_told_at_the_choice(page: Page) -> None:
    page.goto("/new")
    page.locator("form[data-ready=yes]").wait_for()
    page.get_by_label("Name", exact=True).fill("none")
    page.get_by_label("ADMMSLIM", exact=True).press("Space")
    page.get_by_role("button", name="Check it only").press("Enter")
    expect(page.locator("fieldset[data-field=models] .trouble")).to_contain_text("give `model` or `models`")
    expect(page.get_by_label("ADMMSLIM", exact=True)).to_be_focused()


def test_a_job_is_seen_live(page: Page, app: Client) -> None:
    job_id = added(app, name="seen live")
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    found = claimed(app, job_id)
    expect(page.locator("#state")).to_have_text("running")
    with_trials(app, found, [0.1, 0.3, 0.2])
    expect(page.locator("#trials tr")).to_have_count(3)
    expect(page.locator("#said")).to_contain_text("3 of 5 trials")
    expect(page.locator("#best dd").first).to_have_text("0.3")
    expect(page.locator("#history svg")).to_have_attribute("aria-label", "3 trials; the best so far is 0.3")
    expect(page.locator("#curves polyline")).to_have_count(3)
    expect(page.locator("#importance")).not_to_be_empty()
    Claims(app.service.jobs, this_process()).end(found, JobStatus.PAUSED, f"the store is away {NASTY}")
    expect(page.locator("#state")).to_have_text("paused")
    expect(page.locator("#error")).to_contain_text("<script>")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    assert page.title() == "seen live · recsweep"


def test_where_the_stream_breaks_the_job_is_looked_at(page: Page, app: Client, running: str) -> None:
    page.route("**/events*", lambda route: route.fulfill(status=503, body="{}"))
    page.goto(f"/jobs/{running}")
    expect(page.locator("#live")).to_have_text("Looked at every few seconds.", timeout=8000)
    expect(page.locator("#trials tr")).to_have_count(3)


def test_what_made_a_job_can_be_copied_without_the_token(page: Page, running: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/jobs/{running}")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#message")).to_have_text("Copied as curl.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -X POST http://127.0.0.1:")
    assert '-H "Authorization: Bearer $RECSWEEP_TOKEN"' in copied
    assert WRITE not in page.content()
    page.get_by_role("button", name="Copy as YAML").click()
    expect(page.locator("#message")).to_have_text("Copied as YAML.")
    assert "num_samples: 5" in page.evaluate("navigator.clipboard.readText()")


def test_nothing_from_a_user_is_run(page: Page, app: Client) -> None:
    made = app.service.jobs.create(job(name=NASTY) | {"engine": "optuna"}, NASTY, [NASTY], [NASTY])
    page.goto("/")
    link = page.get_by_role("link", name=NASTY)
    expect(link).to_be_visible()
    link.click()
    expect(page.locator("h1")).to_have_text(NASTY)
    expect(page.locator("#about")).to_contain_text(NASTY)
    assert page.title() == f"{NASTY} · recsweep"
    assert page.locator("main img, main script").count() == 0
    app.service.jobs.delete(made.id)


def test_who_may_only_look_is_offered_nothing_else(
    browser: Browser, app: Client, url: str, running: str
) -> None:
    context = context_of(browser, app, url, READ)
    page = context.new_page()
    page.goto(f"/jobs/{running}")
    expect(page.locator("#trials tr")).to_have_count(3)
    assert page.locator("[data-action]:visible").count() == 0
    assert page.get_by_role("link", name="New job").count() == 0
    context.close()


@pytest.mark.parametrize("name", ["login", "jobs", "new", "job", "missing"])
def test_a_page_is_for_everybody(page: Page, running: str, name: str) -> None:
    paths = {"jobs": "/", "job": f"/jobs/{running}", "missing": "/jobs/none"}
    ready = {"jobs": "#jobs tr", "new": "form[data-ready=yes]", "job": "#importance *"}
    page.goto(paths.get(name, f"/{name}"))
    page.locator(ready.get(name, "h1")).first.wait_for()
    for details in page.locator("summary").all():
        details.click()
    for width in (400, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} at {width}"
    page.evaluate(AXE)
    for scheme, asked in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found: dict[str, list[dict[str, Any]]] = page.evaluate(f"axe.run({asked})")
        assert found["passes"], "axe has looked"
        bad = [one for one in found["violations"] if one["impact"] != "minor"]
        told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in bad]
        assert told == [], f"{name}, {scheme}"
