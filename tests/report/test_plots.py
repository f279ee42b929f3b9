"""Pictures of studies: right, complete where trials are not, offline, and safe with any name."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import re
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import TypeAdapter

from helpers.found import NASTY, OBJECTIVES, fill_store, result_of, some_trials, trial, workspace
from helpers.found import drawn as draw_all
from helpers.workspace import run_python
from recsweep.cli import cli
from recsweep.report import chart as charting
from recsweep.report.chart import Bars, Chart, Points, Scale, shade
from recsweep.report.figures import figure, figure_json
from recsweep.report.parameter_charts import importance, importances, parallel, slices
from recsweep.report.results import StudyResult
from recsweep.report.score_charts import history, learning_curves, pareto, timeline
from recsweep.report.study_charts import KINDS, charts
from recsweep.report.trial_marks import MOST_LINES
from recsweep.study import Failure, Inherited, Reason
from recsweep.sweeps.config import ModelConfig

ALL = {"history", "importance", "parallel", "slices", "curves", "timeline"}
ONE_PARAMETER = """
model: NARM
defaults: {n_layers: 1}
space:
  n_layers: {type: choice, values: [1, 2]}
"""


# Matplotlib is imported by who runs these tests, not by every process that collects them.


def write_picture(*given: Any) -> None:
    from recsweep.report import pictures

    pictures.write_picture(*given)


def write_study_plots(result: StudyResult) -> None:
    from recsweep.report import plots

    plots.write_study_plots(result)


def draw_sweep(*given: Any) -> Path:
    from recsweep.report import plots

    return plots.draw_sweep(*given)


@pytest.fixture
def plan(tmp_path):
    return workspace(tmp_path).plan()


@pytest.fixture
def quick(monkeypatch):
    """PNGs take most of the time; where they do not matter there is a word in their place."""
    monkeypatch.setattr(
        "recsweep.report.plots.write_picture", lambda chart, title, path: path.write_text("PNG")
    )
    monkeypatch.setattr("recsweep.report.plots.write_thumbnail", lambda chart, path: path.write_text("PNG"))


@pytest.fixture
def hollow(quick, monkeypatch):
    """Where the figures on the pages do not matter either."""
    monkeypatch.setattr("recsweep.report.plots.figure_json", lambda chart: "{}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study, and all of its files: drawn once, as a user draws them."""
    result = result_of(workspace(tmp_path_factory.mktemp("whole")).plan(), some_trials())
    write_study_plots(result)
    return result


@pytest.fixture
def several(tmp_path):
    """A study with two objectives."""
    return workspace(tmp_path, objectives=OBJECTIVES).plan()


@pytest.fixture
def result(plan):
    return result_of(plan, some_trials())


def with_seconds():
    """Trials with two objectives; 1 is slower than better ones."""
    values = [(0.10, 5.0), (0.12, 20.0), (0.11, 5.5), (0.05, 3.5), (0.20, 10.0), (0.15, 8.5)]
    complete = [trial(slot, own[0], values=own) for slot, own in enumerate(values)]
    return [*complete, trial(6, None, "failed")]


def named(chart: Chart, name: str) -> Points | Bars:
    """The marks that the legend calls by a name."""
    (found,) = [mark for mark in chart.panels[0].marks if mark.name == name]
    return found


def drawn(result) -> dict[str, str]:
    """Every page of a study, by the name of its picture."""
    write_study_plots(result)
    return pages_of(result)


def pages_of(result) -> dict[str, str]:
    """The same of a study that is drawn already."""
    folder = result.outputs.plots(*result.record.folder_names)
    return {page.stem: page.read_text(encoding="utf-8") for page in folder.glob("*.html")}


# -- what each picture shows ----------------------------------------------------------------------


def test_the_history_has_every_trial_and_the_best_so_far(result):
    chart = history(result)
    assert named(chart, "complete").x == (0, 1, 2, 4, 6, 7, 9, 10, 11)
    assert named(chart, "pruned").x == (3, 8)
    assert named(chart, "failed").x == (5,)
    assert max(named(chart, "failed").y) < 0.05, "below every score: a failed trial has none"
    best = named(chart, "best so far")
    assert best.y == (0.10, 0.12, 0.12, 0.15, 0.15, 0.20, 0.20, 0.20, 0.20)
    assert (best.line, chart.panels[0].y.label) == ("steps", "NDCG@10")


def test_where_less_is_better_the_best_so_far_falls(several):
    trials = [trial(i, 0.1, values=(0.1, seconds)) for i, seconds in enumerate((5.0, 7.0, 3.0))]
    _, seconds = history(result_of(several, trials)).panels
    assert seconds.y.label == "training_seconds"
    (best,) = [mark for mark in seconds.marks if isinstance(mark, Points) and mark.line == "steps"]
    assert best.y == (5.0, 5.0, 3.0)


def test_curves_mark_where_trials_were_pruned_and_the_best_is_bold(result):
    chart = learning_curves(result)
    pruned, complete, best = (named(chart, name) for name in ("pruned", "complete", "best: trial 7"))
    assert pruned.x == (1, 2, None, 1, 2, None), "a gap between two trials"
    assert pruned.line == "dash"
    assert best.y == (0.1, 0.2, None)
    assert best.width > complete.width
    crosses = [m for m in chart.panels[0].marks if isinstance(m, Points) and m.mark == "cross"]
    assert [(mark.x, mark.y) for mark in crosses] == [((2, 2), (0.05, 0.06))]
    assert (chart.panels[0].x.label, chart.panels[0].y.label) == ("epoch", "NDCG@10")
    assert chart.panels[0].x.step == 1, "there is no half of an epoch"


def test_importance_finds_the_parameter_that_decides(plan):
    trials = [trial(slot, (slot % 3) / 10 + slot / 10_000) for slot in range(60)]
    weights = importances(result_of(plan, trials))
    assert max(weights, key=weights.get) == "n_layers"
    assert math.isclose(sum(weights.values()), 1.0)
    assert "dropout_probs" in weights, "some trials do not have it"
    (bars,) = importance(result_of(plan, trials)).panels[0].marks
    assert bars.lengths == tuple(sorted(bars.lengths)), "the longest bar is on top"


def test_slices_have_a_panel_for_each_parameter_on_its_own_scale(result):
    chart = slices(result)
    panels = {panel.x.label: panel for panel in chart.panels}
    assert list(panels) == list(result.record.space)
    assert panels["learning_rate"].x.log
    assert [label for _, label in panels["dropout_probs"].x.ticks] == ["[0.25, 0.5]", "[0.2, 0.2]"]
    having = [t.slot for t in result.trials if t.state == "complete" and "dropout_probs" in t.params]
    shown = next(m for m in panels["dropout_probs"].marks if isinstance(m, Points) and m.shades)
    assert list(shown.shades) == having
    assert {mark.mark for mark in panels["learning_rate"].marks} == {"cross", "circle", "star"}


def test_parallel_coordinates_go_from_worst_to_best_and_show_missing_values(result):
    chart = parallel(result)
    panel = chart.panels[0]
    assert [label for _, label in panel.x.ticks] == ["NDCG@10", *result.record.space]
    lines = [mark for mark in panel.marks if isinstance(mark, Points) and mark.hover]
    assert lines[-1].hover[0].startswith("trial 7")
    assert lines[-1].width > lines[0].width
    column = 1 + list(result.record.space).index("dropout_probs")
    without = [line.y[column] for line in lines if line.y[column] < 0]
    assert len(without) == sum(t.state == "complete" and t.slot % 2 == 0 for t in result.trials)
    assert [note.text for note in panel.notes].count("without") == 1


def test_the_pareto_front_is_a_line_through_unbeaten_trials(several):
    chart = pareto(result_of(several, with_seconds()))
    front, rest = named(chart, "front"), named(chart, "bettered by another")
    assert front.y == (0.20, 0.15, 0.11, 0.10, 0.05)
    assert rest.y == (0.12,)
    assert front.line == "solid"
    assert chart.panels[0].x.label == "training_seconds (less is better)"
    assert chart.remark == "5 of 6 complete trials are on the front."


def test_three_objectives_have_a_panel_for_each_pair_with_the_first(tmp_path):
    plan = workspace(tmp_path, objectives=("NDCG@10", "Recall@10", "training_seconds")).plan()
    trials = [trial(i, s, values=(s, 1 - s, 5.0 + i)) for i, s in enumerate((0.1, 0.2))]
    chart = pareto(result_of(plan, trials))
    assert [panel.x.label.split()[0] for panel in chart.panels] == ["Recall@10", "training_seconds"]
    assert named(chart, "front").line == "", "a surface, not a line"


def test_the_timeline_has_a_row_a_worker_and_nothing_taken_over(plan):
    taken = {"inherited": Inherited("coarse", 4), "owner": None}
    trials = [trial(0, 0.1, **taken), *[trial(i, 0.1) for i in range(1, 6)], trial(6, None, "failed")]
    chart = timeline(result_of(plan, trials))
    panel = chart.panels[0]
    assert sorted(label for _, label in panel.y.ticks) == ["host-a 100", "host-a 101"]
    complete, failed = named(chart, "complete"), named(chart, "failed")
    assert (len(complete.rows), len(failed.rows)) == (5, 1)
    assert panel.x.label == "minutes since 2026-03-01 12:01:00"
    assert complete.starts[:2] == (0.0, 1.0)
    assert complete.lengths[0] == 0.75
    assert "trial 1" in complete.hover[0]


def test_a_clock_that_was_set_back_leaves_the_timeline_whole(plan):
    trials = [trial(i, 0.1) for i in range(3)]
    trials[1] = dataclasses.replace(trials[1], finished=trials[1].started - timedelta(hours=1))
    chart = timeline(result_of(plan, trials))
    assert min(named(chart, "complete").lengths) > 0
    assert [label for _, label in chart.panels[0].y.ticks][-1] == "host-a 100", "who began first stands above"


def test_lines_beyond_what_one_can_tell_apart_are_left_out_and_said(plan):
    trials = [trial(slot, slot / 1000) for slot in range(MOST_LINES + 50)]
    for draw in (parallel, learning_curves):
        chart = draw(result_of(plan, trials))
        assert chart.remark == f"The best {MOST_LINES} of {MOST_LINES + 50} trials are drawn."
        assert "trial 0," not in figure_json(chart)


def test_the_strongest_colour_is_the_best_whichever_way_is_better():
    more, less = Scale("NDCG@10", 0.1, 0.3), Scale("training_seconds", 30, 10)
    assert [more.at(0.1), more.at(0.2), more.at(0.3)] == pytest.approx([0, 0.5, 1])
    assert [less.at(30), less.at(20), less.at(10)] == pytest.approx([0, 0.5, 1])
    assert Scale("all alike", 1, 1).at(1) == 1.0
    assert shade(1.0) == charting.ORANGE
    assert re.fullmatch("#[0-9a-f]{6}", shade(0.3))


# -- studies that have not found much -------------------------------------------------------------

STUDIES = {
    "nothing": [],
    "one": [trial(0, 0.1)],
    "two": [trial(0, 0.1), trial(1, 0.2)],
    "all failed": [trial(0, None, "failed", started=None, finished=None, params={}, owner=None)],
    "all pruned": [trial(i, 0.1 * i, "pruned") for i in range(3)],
    "pruned before a score": [trial(0, None, "pruned"), trial(1, 0.2)],
    "equal scores": [trial(i, 0.1) for i in range(5)],
    "equal parameters": [trial(i, 0.1 * i, params={"n_layers": 1}) for i in range(5)],
    "no number": [trial(0, math.nan), trial(1, math.inf, curve={1: math.nan, 2: math.inf}), trial(2, 0.1)],
    "gaps": [trial(3, 0.1), trial(9, 0.2)],
    "zero": [trial(0, 0.0), trial(1, 0.0, curve={})],
    "a second long": [trial(0, 0.1, finished=trial(0).started)],
    "some": some_trials(),
}
PAINTED = {"one", "no number", "a second long"}  # the others differ for a page alone

SEEN: dict[bool, list[Chart]] = {True: [], False: []}
"""Charts of this test, of studies that are painted and of others: equal ones are drawn once."""


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_every_picture_or_a_sentence_that_says_why_not(plan, tmp_path, name):
    for kind, chart in charts(result_of(plan, STUDIES[name])):
        assert chart.kind == kind.name
        if chart.missing:
            assert re.fullmatch(r"[A-Z].*\.", chart.missing)
            assert not chart.panels
            continue
        if chart in SEEN[name in PAINTED]:
            continue
        SEEN[name in PAINTED].append(chart)
        figure_json(chart)
        if name in PAINTED:
            write_picture(chart, "title", tmp_path / "picture.png")
            assert (tmp_path / "picture.png").stat().st_size > 5000


def test_what_is_missing_is_said_in_a_sentence(plan, tmp_path):
    def missing(draw, trials, of=plan):
        return draw(result_of(of, trials)).missing

    one = [trial(0, 0.1)]
    assert missing(history, []) == "No trial has come to a score yet."
    assert missing(importance, one) == "Importance needs two complete trials or more; there is one so far."
    assert "same score" in missing(importance, STUDIES["equal scores"])
    assert missing(parallel, one) == "It takes two complete trials; there is one so far."
    assert missing(learning_curves, []) == "No trial has told a validation score of an epoch."
    assert missing(timeline, []) == "No trial of this study has ended yet."
    single = workspace(tmp_path / "single", model=ONE_PARAMETER).plan()
    trials = [trial(i, 0.1 * i, params={"n_layers": 1 + i % 2}) for i in range(4)]
    assert missing(importance, trials, single) == (
        "Fewer than two parameters have varied, so there is nothing to compare."
    )
    assert "need two parameters" in missing(parallel, trials, single)
    assert not missing(slices, trials, single)


def test_values_that_are_no_numbers_have_their_place_on_an_axis(tmp_path):
    model = """
model: NARM
defaults: {n_layers: 1, hidden_size: 8}
space:
  n_layers: {type: choice, values: [1, 2]}
  hidden_size: {type: uniform, min: 1, max: 9}
"""
    whole = TypeAdapter(ModelConfig).validate_python(yaml.safe_load(model))
    options = [None, True, 1, 0.5, "relu", [8, 4]]
    # Today values are of one kind; studies from before may have them mixed, and are drawn like any other.
    mixed = whole.space["n_layers"].model_copy(update={"values": (None, True, 1, 0.5, "relu", (8, 4))})
    whole = whole.model_copy(update={"space": {**whole.space, "n_layers": mixed}})
    plan = dataclasses.replace(workspace(tmp_path).plan(), model=whole)
    trials = [trial(i, 0.1 * i, params={"n_layers": v, "hidden_size": 2.0}) for i, v in enumerate(options)]
    result = result_of(plan, trials)
    assert [label for _, label in slices(result).panels[0].x.ticks] == [str(value) for value in options]
    lines = [mark for mark in parallel(result).panels[0].marks if isinstance(mark, Points) and mark.hover]
    assert [line.y[1] for line in lines] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    for _, chart in charts(result):
        assert chart.missing or figure_json(chart)


# -- files ----------------------------------------------------------------------------------------


def test_every_picture_is_a_page_and_a_png_sharing_one_script(whole):
    pages = pages_of(whole)
    assert set(pages) == ALL
    root = whole.outputs.all_plots
    folder = whole.outputs.plots(*whole.record.folder_names)
    assert [path.name for path in root.rglob("*.js")] == ["plotly.min.js"]
    for name, text in pages.items():
        assert len(text) < 200_000, name
        (script,) = re.findall(r'<script src="([^"]*)"', text)
        assert (folder / script).resolve() == (root / "plotly.min.js").resolve()
        head = (folder / f"{name}.png").read_bytes()[:24]
        assert head.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", head[16:24])
        assert width >= 1200
        assert height >= 300


def test_nothing_on_a_page_comes_from_the_network(whole, quick):
    gallery = draw_sweep(whole.outputs, [whole], [whole], ())
    for text in (*pages_of(whole).values(), gallery.read_text()):
        assert not re.search(r"https?:|//[a-z]", text.replace("</", "<"))
        for link in re.findall(r'(?:src|href)="([^"#]*)"', text):
            assert not link.startswith("/"), link


def test_a_name_or_a_message_cannot_put_anything_into_a_page(result, quick):
    odd = dataclasses.replace(result, record=dataclasses.replace(result.record, dataset_name="<b>toy&"))
    for text in drawn(odd).values():
        assert "<b>" not in text
        assert "<img src=x" not in text
        assert "&lt;b&gt;toy&amp;" in text
    shown = figure_json(history(odd))
    assert not set("<>&") & set(shown)
    failed = next(t for t in json.loads(shown)["data"] if t["name"] == "failed")
    assert "&lt;img src=x onerror=alert(1)&gt;" in failed["customdata"][0], "plotly would read the tag"
    assert NASTY not in failed["customdata"][0]


def test_a_closing_script_tag_in_a_value_stays_a_value(plan, quick):
    end = "</script><script>alert(1)</script>"
    trials = [trial(0, None, "failed", failure=Failure(Reason.ERROR, end)), trial(1, 0.1)]
    for name, text in drawn(result_of(plan, trials)).items():
        assert "alert(1)</script>" not in text, name
        assert text.count("<script") == text.count("</script>")


def test_a_picture_that_is_no_longer_true_is_removed(plan, quick):
    write_study_plots(result_of(plan, some_trials()))
    picture = plan.outputs.plots(*plan.folder_names) / "importance.png"
    assert picture.is_file()
    write_study_plots(result_of(plan, [trial(0, 0.1)]))
    assert not picture.exists()
    page = picture.with_suffix(".html").read_text()
    assert "there is one so far" in page
    assert "<script" not in page


def test_the_same_trials_give_the_same_files_byte_for_byte(whole, result):
    def written(one):
        folder = one.outputs.plots(*one.record.folder_names)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    write_study_plots(result)
    first = written(whole)
    assert len(first) == 3 * len(ALL), "a page, a picture and its thumbnail"
    assert written(result) == first, "in another folder too"


def test_several_objectives_have_their_front_among_the_pictures(several, quick):
    pages = drawn(result_of(several, with_seconds()))
    assert set(pages) == ALL | {"pareto"}
    assert "complete trials are on the front" in pages["pareto"]


def test_every_picture_has_a_caption_and_an_alternative_text(plan, whole):
    pages = pages_of(whole)
    gallery = draw_sweep(plan.outputs, [result_of(plan, [])], [], ())
    for kind in KINDS:
        if kind.name in pages:
            alt = f"{kind.title} of toy/NARM. {len(whole.trials)} of 12 trials"
            assert f'aria-label="{alt}' in pages[kind.name]
            assert html.escape(kind.caption) in pages[kind.name]
    assert "No study of the sweep is in the store yet." in gallery.read_text()


# -- the command ----------------------------------------------------------------------------------


def run(*arguments: str):
    return CliRunner().invoke(cli, ["plots", *arguments])


def test_the_command_draws_what_is_there_and_names_the_rest(tmp_path, quick):
    space = workspace(tmp_path)
    (space.root / "models" / "Other.yaml").write_text(space.model.read_text())
    fill_store(space.plan(), some_trials(), test={"ndcg@10": 0.7654321012345})
    done = run("--config", str(space.sweep), "--models", "NARM Other")
    assert done.exit_code == 0, done.output
    gallery = tmp_path / "outputs" / "plots" / "toy-sweep" / "index.html"
    assert done.stdout.strip() == str(gallery)
    assert done.stderr == "toy/Other is not in the store yet\n"
    text = gallery.read_text()
    images = re.findall(r'<img src="([^"]*)" alt="([^"]+)"', text)
    assert len(images) == len(ALL)
    assert all((gallery.parent / source).is_file() for source, _ in images)
    assert (
        "12 of 12 trials: 9 complete, 1 failed, 2 pruned. Best NDCG@10 0.2 on validation, in trial 7." in text
    )
    pages = "".join(path.read_text() for path in gallery.parent.rglob("*.html"))
    assert "7654321012345" not in pages, "the test split is for the winner's tables"


def test_drawing_one_study_keeps_the_others_in_the_gallery(tmp_path, hollow):
    space = workspace(tmp_path)
    (space.root / "models" / "Other.yaml").write_text(space.model.read_text())
    plans = space.plans(models="NARM Other")
    for plan in plans:
        fill_store(plan, some_trials())
    draw_all(plans, plans[:1])
    before = plans[0].outputs.plots(*plans[0].folder_names).joinpath("history.png").stat().st_mtime_ns
    gallery = draw_all(plans, plans[1:])
    assert plans[0].outputs.plots(*plans[0].folder_names).joinpath("history.png").stat().st_mtime_ns == before
    for plan in plans:
        assert f'<section id="{plan.label}">' in gallery.read_text()


def test_without_a_store_there_is_an_empty_gallery_and_none_is_made(tmp_path, hollow):
    space = workspace(tmp_path)
    done = run("--config", str(space.sweep))
    assert done.exit_code == 0
    assert done.stderr == "toy/NARM is not in the store yet\n"
    assert not (tmp_path / "outputs" / "recsweep.db").exists()
    assert "No study of the sweep is in the store yet." in Path(done.stdout.strip()).read_text()


def test_only_plots_imports_drawing_libraries_and_it_needs_no_torch():
    code = (
        "import sys\nimport recsweep.cli\n"
        "heavy = ('torch', 'plotly', 'matplotlib', 'optuna_dashboard', 'sklearn', 'pandas')\n"
        "print([m for m in heavy if m in sys.modules])\n"
        "import recsweep.report.plots\nrecsweep.report.parameter_charts._optuna()\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert run_python(code).splitlines() == ["[]", "['plotly', 'matplotlib']"]


def test_a_figure_keeps_the_colours_of_the_page(result):
    layout = figure(history(result)).to_plotly_json()["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert "color" not in layout.get("font", {})


def test_a_study_of_another_name_is_shown_beside_that_of_its_model(tmp_path, hollow):
    space = workspace(tmp_path)
    plan = space.plan()
    named = dataclasses.replace(plan, study_name="mine")
    for one in (plan, named):
        fill_store(one, some_trials())
    assert run("--config", str(space.sweep)).exit_code == 0
    done = run("--config", str(space.sweep), "--study-name", "mine")
    assert done.exit_code == 0, done.output
    text = plan.outputs.all_plots.joinpath("index.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", text) == ["toy/NARM", "toy/NARM (mine)"]
    assert plan.outputs.plots(*plan.folder_names) != named.outputs.plots(*named.folder_names)


def test_an_unfinished_study_and_one_not_begun_are_said_so(tmp_path, hollow):
    space = workspace(tmp_path)
    (space.root / "models" / "Other.yaml").write_text(space.model.read_text())
    fill_store(space.plan(), some_trials()[:3])
    done = run("--config", str(space.sweep), "--models", "NARM Other")
    assert done.exit_code == 0, done.output
    text = space.plan().outputs.all_plots.joinpath("index.html").read_text()
    assert "3 of 12 trials: 3 complete. Not finished. Best" in text
    assert "Not begun: toy/Other." in text
