"""`recsweep plots`: the page of a sweep, and the pictures of its studies as pages and PNGs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import quote

from recsweep.common.escape import short
from recsweep.common.files import atomic_path, counted, write_text
from recsweep.common.paths import Outputs
from recsweep.report.chart import Chart
from recsweep.report.comparison import Entry, compared
from recsweep.report.figures import figure_json, script
from recsweep.report.page_parts import Drawn
from recsweep.report.pages import Picture, Section, chart_page
from recsweep.report.pictures import write_picture, write_thumbnail
from recsweep.report.results import FINISHED, StudyResult
from recsweep.report.study_charts import KINDS, Kind, charts
from recsweep.report.sweep_charts import COMPARISONS
from recsweep.report.sweep_page import Shown, described, sweep_page
from recsweep.report.tables import summed
from recsweep.study import StudyRecord

SCRIPT, THUMBNAIL = "plotly.min.js", ".small.png"


def draw_sweep(
    outputs: Outputs,
    results: Sequence[StudyResult],
    drawn: Sequence[StudyResult],
    chosen: Collection[str],
) -> Path:
    """Draw the chosen studies, and the page of their sweep, which shows all that are drawn.

    Args:
        outputs: of the sweep.
        results: of all its studies, also of those that are not begun.
        drawn: those in the store, with the ones that have a name of the user's.
        chosen: names of those to draw.

    Returns:
        The page of the sweep.
    """
    for result in drawn:
        if result.record.name in chosen:
            write_study_plots(result)
    return write_sweep(outputs, results, drawn)


def write_study_plots(result: StudyResult) -> None:
    """Write the pages and the PNGs of one study."""
    record, outputs = result.record, result.outputs
    folder, root = outputs.plots(*record.folder_names), outputs.all_plots
    up = "../" * len(folder.relative_to(root).parts)
    write_text(root / SCRIPT, script())
    drawn = charts(result)
    summary = study_summary(result)
    for kind, chart in drawn:
        title, alt = f"{title_of(record)}: {kind.title}", _alt(kind, record, summary)
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
        _write_pictures(chart, title, folder, kind.name)


def _write_pictures(chart: Chart, title: str, folder: Path, name: str) -> None:
    """Write the PNG of a chart and its thumbnail; those of one that has nothing to draw are removed."""
    picture, thumbnail = folder / f"{name}.png", folder / f"{name}{THUMBNAIL}"
    if chart.missing:
        picture.unlink(missing_ok=True)
        thumbnail.unlink(missing_ok=True)
        return
    with atomic_path(picture) as temporary:
        write_picture(chart, title, temporary)
    with atomic_path(thumbnail) as temporary:
        write_thumbnail(chart, temporary)


def write_sweep(outputs: Outputs, results: Sequence[StudyResult], drawn: Sequence[StudyResult]) -> Path:
    """Write the page of a sweep, with the PNGs of its comparisons.

    Args:
        results: of all studies of the sweep, also of those that are not begun.
        drawn: the studies whose pictures may be there.
    """
    root = outputs.all_plots
    write_text(root / SCRIPT, script())
    by_dataset = compared(summed(list(results)))
    pictures = {name: _compared(root, name, own) for name, own in by_dataset.items() if len(own) > 1}
    sections = [section for one in drawn if (section := _section(root, one)).pictures]
    page = root / "index.html"
    title = f"Sweep {outputs.sweep}"
    write_text(page, sweep_page(title, by_dataset, pictures, sections, SCRIPT))
    return page


def _compared(root: Path, dataset: str, entries: Sequence[Entry]) -> list[Shown]:
    """The pictures that compare the models of a data set, with their PNGs."""
    found: list[Shown] = []
    if not any(entry.begun for entry in entries):
        return found
    for comparison in COMPARISONS:
        chart, picture = comparison.draw(entries), root / dataset / f"compared-{comparison.name}.png"
        if chart.missing:
            picture.unlink(missing_ok=True)
            found.append(Shown(comparison, chart, None))
            continue
        with atomic_path(picture) as temporary:
            write_picture(chart, f"{dataset}: {comparison.title}", temporary)
        name = quote(f"{dataset}-{comparison.name}", safe="")
        link = "/".join(quote(part) for part in picture.relative_to(root).parts)
        alt = described(comparison, dataset, entries)
        found.append(Shown(comparison, chart, Drawn(f"chart-{name}", figure_json(chart), alt, link)))
    return found


def _section(root: Path, result: StudyResult) -> Section:
    record, summary = result.record, study_summary(result)
    folder = result.outputs.plots(*record.folder_names)
    link = "/".join(quote(part) for part in folder.relative_to(root).parts)
    several = len(record.objectives) > 1
    pictures = [
        Picture(
            kind.title,
            f"{link}/{kind.name}.html",
            f"{link}/{kind.name}{THUMBNAIL}" if drawn else None,
            _alt(kind, record, summary),
            kind.caption if drawn else "Nothing to draw yet; its page says why.",
        )
        for kind in KINDS
        if (several or kind.name != "pareto") and (folder / f"{kind.name}.html").is_file()
        for drawn in [(folder / f"{kind.name}{THUMBNAIL}").is_file()]
    ]
    return Section(title_of(record), title_of(record), summary, tuple(pictures))


def title_of(record: StudyRecord) -> str:
    """A study as it is called where it is shown."""
    return f"{record.label} ({record.study_name})" if record.study_name else record.label


def _alt(kind: Kind, record: StudyRecord, summary: str) -> str:
    return f"{kind.title} of {title_of(record)}. {summary}"


def study_summary(result: StudyResult) -> str:
    """`20 of 20 trials: 15 complete, 4 pruned, 1 failed. Best NDCG@10 0.1234 on validation, in trial 7.`"""
    states = [trial.state for trial in result.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    text = f"{len(states)} of {counted(result.record.budget, 'trial')}" + (f": {counts}." if counts else ".")
    if result.state != FINISHED:
        text += f" {result.state.capitalize()}."
    winner = result.winner
    if winner and winner.score is not None:
        metric = result.record.objectives[0].name
        text += f" Best {metric} {short(float(winner.score))} on validation, in trial {winner.slot}."
    return text
