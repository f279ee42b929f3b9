"""The numbers behind the pictures of a study: what each one shows, in rows."""

from __future__ import annotations

from collections.abc import Sequence

from recsweep.common.escape import short
from recsweep.common.files import counted
from recsweep.report.chart import Bars, Chart, Table
from recsweep.report.pareto import measured, pareto_front
from recsweep.report.results import StudyResult
from recsweep.report.text import reason, worker
from recsweep.report.trial_marks import finite, has_score, span, value_of
from recsweep.study import State, Trial

MOST_ROWS, MOST_EPOCHS = 200, 60
"""A longer table is no help on a page; `trials.csv` has everything."""


def limited(columns: Sequence[str], rows: Sequence[Sequence[str]], where: str = "trials.csv") -> Table:
    """A table with as many rows as a page can bear, which says how many there are and where."""
    left_out = len(rows) > MOST_ROWS
    remark = f"The first {MOST_ROWS} of {counted(len(rows), 'row')}; all are in {where}." if left_out else ""
    return Table(tuple(columns), tuple(tuple(row) for row in rows[:MOST_ROWS]), remark)


def trial_table(result: StudyResult, chart: Chart) -> Table:
    """Each trial: state, objectives, time, and why it is not complete."""
    rows = [
        [*_head(result, trial), _seconds(trial), reason(trial)]
        for trial in sorted(result.trials, key=lambda trial: trial.slot)
    ]
    return limited(("trial", "state", *_objectives(result), "seconds", "reason"), rows)


def parameter_table(result: StudyResult, chart: Chart) -> Table:
    """The scores and parameters of the trials that a picture of parameters shows."""
    shown = [trial for trial in result.trials if has_score(trial) and trial.params]
    if chart.kind == "parallel":
        shown = [trial for trial in shown if trial.state == State.COMPLETE]
    names = [name for name, parameter in result.record.space.items() if parameter.size > 1]
    rows = [[*_head(result, trial), *_params(trial, names)] for trial in shown]
    return limited(("trial", "state", *_objectives(result), *names), rows)


def importance_table(result: StudyResult, chart: Chart) -> Table:
    """The share of each parameter, by objective."""
    names = _objectives(result)
    shares: dict[str, list[str]] = {}
    for position, panel in enumerate(chart.panels):
        words = dict(panel.y.ticks)
        for bars in (mark for mark in panel.marks if isinstance(mark, Bars)):
            for row, length in zip(reversed(bars.rows), reversed(bars.lengths), strict=True):
                shares.setdefault(words[row], ["-"] * len(names))[position] = f"{length:.1%}"
    rows = [[name, *own] for name, own in shares.items()]
    return limited(("parameter", *(f"share in {name}" for name in names)), rows)


def curve_table(result: StudyResult, chart: Chart) -> Table:
    """A row a trial, a column an epoch; of many epochs every second, third, …"""
    trials = [trial for trial in result.trials if trial.curve]
    epochs = sorted({epoch for trial in trials for epoch in trial.curve})
    every = -(-len(epochs) // MOST_EPOCHS)
    kept = [*epochs[:-1][::every], *epochs[-1:]]
    rows = [
        [str(trial.slot), trial.state, *(_number(trial.curve.get(epoch)) for epoch in kept)]
        for trial in trials
    ]
    table = limited(("trial", "state", *(f"epoch {epoch}" for epoch in kept)), rows, "study_results.json")
    if len(kept) == len(epochs):
        return table
    remark = f"{len(kept)} of {counted(len(epochs), 'epoch')} are shown. {table.remark}".strip()
    return Table(table.columns, table.rows, remark)


def front_table(result: StudyResult, chart: Chart) -> Table:
    """The trials that have every objective, those of the front first."""
    trials = measured(result.trials, result.record.objectives)
    front = pareto_front(trials, result.record.objectives)
    on_front = {trial.slot for trial in front}
    rest = [trial for trial in trials if trial.slot not in on_front]
    names = list(result.record.space)
    rows = [
        [str(trial.slot), "yes" if trial.slot in on_front else "no"]
        + [_number(value_of(trial, i)) for i in range(len(result.record.objectives))]
        + _params(trial, names)
        for trial in (*front, *rest)
    ]
    return limited(("trial", "on the front", *_objectives(result), *names), rows)


def time_table(result: StudyResult, chart: Chart) -> Table:
    """When each trial began and ended, and who ran it."""
    rows = [
        [
            str(trial.slot),
            trial.state,
            worker(trial) or "unknown",
            f"{times[0]:%Y-%m-%d %H:%M:%S}",
            f"{(times[1] - times[0]).total_seconds():.1f}",
        ]
        for trial in result.trials
        if (times := span(trial)) is not None
    ]
    return limited(("trial", "state", "worker", "began", "seconds"), rows)


def _head(result: StudyResult, trial: Trial) -> list[str]:
    """The first cells of a trial's row: number, state, objectives."""
    values = [_number(value_of(trial, position)) for position in range(len(result.record.objectives))]
    return [str(trial.slot), trial.state, *values]


def _objectives(result: StudyResult) -> list[str]:
    return [objective.name for objective in result.record.objectives]


def _params(trial: Trial, names: Sequence[str]) -> list[str]:
    return [short(trial.params[name]) if name in trial.params else "-" for name in names]


def _seconds(trial: Trial) -> str:
    return _number(trial.result.seconds) if not trial.inherited else "-"


def _number(value: float | None) -> str:
    number = finite(value)
    return "-" if number is None else short(float(number))
