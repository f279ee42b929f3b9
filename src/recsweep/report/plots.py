"""`recsweep plots`: the pictures of studies as pages and PNGs, and a gallery of them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from recsweep.common.files import atomic_path, counted, write_text
from recsweep.planning.plan import StudyPlan
from recsweep.report.figures import figure_json, script
from recsweep.report.page_parts import Drawn
from recsweep.report.pages import Picture, Section, chart_page, gallery_page
from recsweep.report.pictures import write_picture
from recsweep.report.results import FINISHED, StudyResult, read_results
from recsweep.report.study_charts import KINDS, Kind, charts
from recsweep.report.text import short

SCRIPT = "plotly.min.js"


def draw_sweep(
    plans: Sequence[StudyPlan], chosen: Sequence[StudyPlan]
) -> tuple[Path, list[StudyResult], list[str]]:
    """Draw the chosen studies, and the gallery of all that are drawn.

    Returns:
        The gallery, what is in the store, and the names of the chosen studies that are not.
    """
    # A study that has another name is shown beside the one of its model, not instead.
    own = [replace(plan, study_name=None) for plan in plans]
    named = [plan for plan in chosen if plan.name not in {one.name for one in own}]
    results = read_results([*own, *named])
    wanted = {plan.name: _title(plan) for plan in chosen}
    for result in results:
        if result.plan.name in wanted:
            write_study_plots(result)
    found = {result.plan.name for result in results}
    write_gallery(plans[0], results, [plan.label for plan in own if plan.name not in found])
    missing = [title for name, title in wanted.items() if name not in found]
    return plans[0].outputs.all_plots / "index.html", results, missing


def write_study_plots(result: StudyResult) -> None:
    """Write the pages and the PNGs of one study."""
    plan, folder = result.plan, result.plan.outputs.plots(*result.plan.place)
    root = plan.outputs.all_plots
    up = "../" * len(folder.relative_to(root).parts)
    write_text(root / SCRIPT, script())
    drawn = charts(result)
    summary = study_summary(result)
    for kind, chart in drawn:
        title, alt = f"{_title(plan)}: {kind.title}", _alt(kind, plan, summary)
        links = [(other.title, None if other is kind else f"{other.name}.html") for other, _ in drawn]
        page = chart_page(
            title,
            f"{kind.caption} {chart.remark}".strip(),
            summary,
            [("All studies", f"{up}index.html"), *links],
            script=f"{up}{SCRIPT}",
            drawn=None if chart.missing else Drawn("chart", figure_json(chart), alt, f"{kind.name}.png"),
            table=chart.table,
            missing=chart.missing,
        )
        write_text(folder / f"{kind.name}.html", page)
        picture = folder / f"{kind.name}.png"
        if chart.missing:
            picture.unlink(missing_ok=True)
        else:
            with atomic_path(picture) as temporary:
                write_picture(chart, title, temporary)


def write_gallery(plan: StudyPlan, results: Sequence[StudyResult], missing: Sequence[str] = ()) -> None:
    """Write the gallery of the studies whose pictures are there.

    Args:
        missing: studies of the sweep that are not in the store.
    """
    root = plan.outputs.all_plots
    sections = [_section(root, result) for result in results]
    remark = f"Not begun: {', '.join(missing)}." if missing and sections else ""
    title = f"Sweep {plan.sweep.sweep}"
    page = gallery_page(title, [section for section in sections if section.pictures], remark)
    write_text(root / "index.html", page)


def _section(root: Path, result: StudyResult) -> Section:
    plan, summary = result.plan, study_summary(result)
    folder = plan.outputs.plots(*plan.place)
    link = "/".join(quote(part) for part in folder.relative_to(root).parts)
    several = len(plan.objectives) > 1
    pictures = [
        Picture(
            kind.title,
            f"{link}/{kind.name}.html",
            f"{link}/{kind.name}.png" if drawn else None,
            _alt(kind, plan, summary),
            kind.caption if drawn else "Nothing to draw yet; its page says why.",
        )
        for kind in KINDS
        if (several or kind.name != "pareto") and (folder / f"{kind.name}.html").is_file()
        for drawn in [(folder / f"{kind.name}.png").is_file()]
    ]
    return Section(_title(plan), _title(plan), summary, tuple(pictures))


def _title(plan: StudyPlan) -> str:
    return f"{plan.label} ({plan.study_name})" if plan.study_name else plan.label


def _alt(kind: Kind, plan: StudyPlan, summary: str) -> str:
    return f"{kind.title} of {_title(plan)}. {summary}"


def study_summary(result: StudyResult) -> str:
    """`20 of 20 trials: 15 complete, 4 pruned, 1 failed. Best NDCG@10 0.1234 on validation, in trial 7.`"""
    states = [trial.state for trial in result.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    text = f"{len(states)} of {counted(result.plan.budget, 'trial')}" + (f": {counts}." if counts else ".")
    if result.state != FINISHED:
        text += f" {result.state.capitalize()}."
    winner = result.winner
    if winner and winner.score is not None:
        metric = result.plan.objectives[0].name
        text += f" Best {metric} {short(float(winner.score))} on validation, in trial {winner.slot}."
    return text
