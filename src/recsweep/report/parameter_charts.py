"""Charts of the parameters of a study and its score."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from recsweep.common.escape import for_terminal, short
from recsweep.recbole_api.lazy import deferred
from recsweep.report.chart import GREY, ORANGE, Axis, Bars, Chart, Note, Panel, Points, Scale, shade
from recsweep.report.pareto import measured
from recsweep.report.results import StudyResult
from recsweep.report.trial_marks import about, are, best_of, dots, has_score, shown
from recsweep.study import State, Trial
from recsweep.sweeps.space import Choice, Parameter

_FOOT = -0.12  # where parallel coordinates keep what a trial does not have
_COLUMNS = 3


def importance(result: StudyResult) -> Chart:
    """How much each parameter decides, by objective."""
    if why := nothing_to_weigh(result):
        return Chart("importance", missing=why)
    panels = []
    for position, objective in enumerate(result.record.objectives):
        weights = importances(result, position)
        rows = sorted(weights, key=lambda name: weights[name])
        ticks = tuple(enumerate(rows))
        bars = Bars(
            rows=tuple(range(len(rows))),
            starts=(0.0,) * len(rows),
            lengths=tuple(weights[name] for name in rows),
            hover=tuple(f"{name}: {weights[name]:.1%}" for name in rows),
            texts=tuple(f"{weights[name]:.0%}" for name in rows),
        )
        longest = max(weights.values(), default=0.0) or 1.0
        axis = Axis(f"share in {objective.name}", limits=(0.0, longest * 1.12))
        panels.append(Panel(axis, Axis(ticks=ticks, limits=(-0.6, len(rows) - 0.4)), (bars,)))
    return Chart("importance", tuple(panels))


def nothing_to_weigh(result: StudyResult) -> str:
    """Why the importance of parameters cannot be said yet; empty where it can."""
    complete = measured(result.trials, result.record.objectives)
    if len(complete) < 2:
        return f"Importance needs two complete trials or more; there {are(len(complete))} so far."
    if len({trial.values for trial in complete}) < 2:
        return "Every trial came to the same score, so no parameter made a difference."
    if len(_varied(result, complete)) < 2:
        return "Fewer than two parameters have varied, so there is nothing to compare."
    return ""


def importances(result: StudyResult, objective: int = 0) -> dict[str, float]:
    """The share of each parameter that varied, by Optuna's PED-ANOVA."""
    optuna = _optuna()
    from recsweep.study.distributions import distribution_of, for_optuna

    record, complete = result.record, measured(result.trials, result.record.objectives)
    maximize = record.objectives[objective].maximize
    study = optuna.create_study(direction="maximize" if maximize else "minimize")
    names = _varied(result, complete)
    for trial in complete:
        held = {name: record.space[name] for name in names if name in trial.params}
        study.add_trial(
            optuna.trial.create_trial(
                params={name: for_optuna(space, trial.params[name]) for name, space in held.items()},
                distributions={name: distribution_of(space) for name, space in held.items()},
                value=trial.values[objective],
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few trials say little stands in the caption
        found = optuna.importance.get_param_importances(study, params=names)
    return {name: weight if math.isfinite(weight) else 0.0 for name, weight in found.items()}


def _optuna() -> Any:
    """Optuna with its measures of importance, without scikit-learn: seconds, for one that is not asked."""
    with deferred("sklearn.ensemble"):
        import optuna.importance
    return optuna


def slices(result: StudyResult) -> Chart:
    """The score over each parameter alone."""
    trials = [trial for trial in result.trials if has_score(trial) and trial.params]
    if not trials:
        return Chart("slices", missing="No trial has come to a score yet.")
    names = _searched(result)
    scores = [trial.score or 0.0 for trial in trials]
    margin = 0.08 * ((max(scores) - min(scores)) or 0.1)
    limits = (min(scores) - margin, max(scores) + margin)
    metric = result.record.objectives[0].name
    panels = tuple(
        # One label for a row of panels: they share their scale.
        _slice(result, trials, name, Axis("" if i % _COLUMNS else metric, limits=limits), named=not i)
        for i, name in enumerate(names)
    )
    scale = Scale("trial", 0, max(max(trial.slot for trial in trials), 1))
    return Chart("slices", panels, columns=min(_COLUMNS, len(panels)), scale=scale)


def _slice(result: StudyResult, trials: Sequence[Trial], name: str, y: Axis, *, named: bool) -> Panel:
    parameter, winner = result.record.space[name], result.winner
    marks: list[Points | Bars] = []
    for state in (State.PRUNED, State.COMPLETE):
        held = [t for t in trials if t.state == state and name in t.params]
        if not held:
            continue
        drawn = _over(result, held, name, state, named=named)
        marks.append(replace(drawn, shades=tuple(t.slot for t in held)) if state == State.COMPLETE else drawn)
    if winner and name in winner.params:
        star = _over(result, [winner], name, State.COMPLETE, named=False)
        label = f"best: trial {winner.slot}" if named else ""
        marks.append(replace(star, mark="star", colour=ORANGE, size=13, name=label))
    return Panel(_axis(name, parameter), y, tuple(marks))


def _over(result: StudyResult, trials: Sequence[Trial], name: str, state: State, *, named: bool) -> Points:
    """Scores over one parameter."""
    parameter = result.record.space[name]
    x = [_position(parameter, trial.params[name]) + _aside(parameter, trial.slot) for trial in trials]
    return dots(result, trials, x, [trial.score or 0.0 for trial in trials], state, named=named)


def parallel(result: StudyResult) -> Chart:
    """Each trial as a line through its score and its parameters, the best drawn last."""
    trials = [t for t in result.trials if t.state == State.COMPLETE and has_score(t) and t.params]
    names = _searched(result)
    if len(names) < 2:
        return Chart("parallel", missing="Parallel coordinates need two parameters or more to compare.")
    if len(trials) < 2:
        return Chart("parallel", missing=f"It takes two complete trials; there {are(len(trials))} so far.")
    chosen = best_of(result, trials)
    maximize, metric = result.record.maximize, result.record.objectives[0].name
    scores = [trial.score or 0.0 for trial in chosen]
    low, high = min(scores), max(scores)
    scale = Scale(metric, low, high) if maximize else Scale(metric, high, low)
    unit = Scale(metric, low, high)
    ordered = sorted(chosen, key=lambda trial: scale.at(trial.score or 0.0))
    lines: list[Points | Bars] = [_line(result, trial, names, scale, unit) for trial in ordered]
    panel = _parallel_panel(result, names, lines, (low, high), chosen)
    return Chart("parallel", (panel,), scale=scale, remark=shown(chosen, trials))


def _line(result: StudyResult, trial: Trial, names: list[str], scale: Scale, unit: Scale) -> Points:
    """A trial as a line through its score and its parameters, the better the stronger."""
    strength, best = scale.at(trial.score or 0.0), trial is result.winner
    heights = [_height(result.record.space[name], trial.params.get(name)) for name in names]
    return Points(
        tuple(range(len(names) + 1)),
        (unit.at(trial.score or 0.0), *heights),
        (about(result, trial),) * (len(names) + 1),
        colour=shade(strength),
        line="solid",
        width=3.5 if best else 1.2,
        opacity=1.0 if best else 0.35 + 0.5 * strength,
    )


def _parallel_panel(
    result: StudyResult,
    names: Sequence[str],
    lines: list[Points | Bars],
    ends: tuple[float, float],
    trials: Sequence[Trial],
) -> Panel:
    poles: list[Points | Bars] = [
        Points((x, x), (0.0, 1.0), colour=GREY, line="solid", width=1.2) for x in range(len(names) + 1)
    ]
    low, high = ends
    words = [Note(0, share, short(float(low + share * (high - low)))) for share in (0.0, 0.5, 1.0)]
    for x, name in enumerate(names, start=1):
        parameter = result.record.space[name]
        words += [Note(x, height, text) for height, text in _marks(parameter)]
        if any(name not in trial.params for trial in trials):
            words.append(Note(x, _FOOT, "without"))
    labels = (result.record.objectives[0].name, *names)
    x_axis = Axis(ticks=tuple(enumerate(labels)), limits=(-0.45, len(names) + 0.25))
    return Panel(x_axis, Axis(limits=(_FOOT - 0.06, 1.06), drawn=False), (*poles, *lines), tuple(words))


def _searched(result: StudyResult) -> list[str]:
    """The parameters that can have more than one value."""
    return [name for name, parameter in result.record.space.items() if parameter.size > 1]


def _varied(result: StudyResult, trials: Iterable[Trial]) -> list[str]:
    held: dict[str, set[str]] = {name: set() for name in _searched(result)}
    for trial in trials:
        for name, seen in held.items():
            if name in trial.params:
                seen.add(repr(trial.params[name]))
    return [name for name, seen in held.items() if len(seen) > 1]


def _position(parameter: Parameter, value: Any) -> float:
    return float(parameter.index(value)) if isinstance(parameter, Choice) else float(value)


def _aside(parameter: Parameter, slot: int) -> float:
    """A little to the side, where equal choices would hide each other; the same at each drawing."""
    return ((slot * 0.618) % 1.0 - 0.5) * 0.3 if isinstance(parameter, Choice) else 0.0


def _axis(name: str, parameter: Parameter) -> Axis:
    if isinstance(parameter, Choice):
        words = map(for_terminal, parameter.grid())
        ticks: tuple[tuple[float, str], ...] = tuple((i, word) for i, word in enumerate(words))
        return Axis(name, ticks=ticks, limits=(-0.5, len(ticks) - 0.5))
    if parameter.is_log:
        decades = range(math.ceil(math.log10(parameter.min)), math.floor(math.log10(parameter.max)) + 1)
        values = [10.0**power for power in decades]
        values = values if len(values) >= 2 else [parameter.min, parameter.max]
        ticks = tuple((value, f"{value:g}") for value in values)
        return Axis(name, log=True, ticks=ticks, limits=(parameter.min / 1.2, parameter.max * 1.2))
    margin = (parameter.max - parameter.min) * 0.05
    return Axis(name, limits=(parameter.min - margin, parameter.max + margin))


def _height(parameter: Parameter, value: Any) -> float:
    """Where parallel coordinates put a value, from 0 to 1; below, where a trial has none."""
    if value is None and not (isinstance(parameter, Choice) and None in parameter.values):
        return _FOOT
    if isinstance(parameter, Choice):
        return parameter.index(value) / max(len(parameter.values) - 1, 1)
    if parameter.is_log:
        return math.log(value / parameter.min) / math.log(parameter.max / parameter.min)
    return float((value - parameter.min) / (parameter.max - parameter.min))


def _marks(parameter: Parameter) -> list[tuple[float, str]]:
    """The ticks beside an axis of parallel coordinates."""
    if isinstance(parameter, Choice):
        values = list(parameter.grid())
        every = max(1, -(-len(values) // 12))
        return [(_height(parameter, value), for_terminal(value)) for value in values[::every]]
    if parameter.is_log:
        middle: Any = parameter.cast(math.sqrt(parameter.min * parameter.max))
    else:
        middle = parameter.cast((parameter.min + parameter.max) / 2)
    values = [parameter.min, middle, parameter.max]
    return [(_height(parameter, value), short(value)) for value in dict.fromkeys(values)]
