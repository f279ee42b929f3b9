"""The outcome of speed.py as Markdown and as a picture."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flops import Lengths, epoch_flops
from recsweep.recbole_api import catalog
from results import machine_lines
from speed_arms import Bench
from speed_cases import ARMS, COLD_START, GEOMETRIC_MEANS, MEMORY, MEMORY_CASE, SEED, Case
from speed_figures import EPOCHS_A_TRIAL, Figures, geometric_mean, middle, ratio

HERE = Path(__file__).resolve().parent
PICTURES = {
    "sequential": HERE / "speed.svg",
    "general": HERE / "speed-general.svg",
    "large": HERE / "speed-large.svg",
}
TITLES = {
    "sequential": "Speed of training",
    "general": "Speed of training: general models",
    "large": "Speed of training: general models on a million interactions",
}
SECTIONS = {
    "sequential": "speed",
    "general": "speed of general models",
    "large": "speed on a million interactions",
}
NAMES = {"A": "A RecBole", "B": "B RecBole, processes", "C": "C recsweep"}


@dataclass(frozen=True)
class Outcome:
    """All that was measured."""

    cases: list[Case]
    found: dict[str, dict[str, list[Figures]]]
    """Figures of each repeat, by case and arm."""
    statistics: dict[str, dict[str, Any]]
    """Items and lengths by data set."""
    matrix_rate: float
    seconds: float
    others: float
    """The largest part of the machine that other processes took in a turn."""

    def ratio(self, case: Case, arm: str) -> float:
        """How many times as fast recsweep is as an arm."""
        return ratio(self.found[case.label][arm], self.found[case.label]["C"])

    @property
    def kind(self) -> str:
        """That of the models: all are of one."""
        return self.cases[0].kind

    def mean_ratio(self, arm: str) -> float:
        return geometric_mean(self.ratio(case, arm) for case in self.cases)


@dataclass(frozen=True)
class Target:
    """One promise: its name, what was measured, what must be and what is aimed at."""

    name: str
    value: float
    must: float
    aim: float
    unit: str
    bigger: bool = True

    @property
    def verdict(self) -> str:
        sign = 1 if self.bigger else -1
        if sign * self.value >= sign * self.aim:
            return "aim reached"
        return "reached" if sign * self.value >= sign * self.must else "**missed**"

    def row(self, *others: str) -> str:
        values = [f"{value:.2f}{self.unit}" for value in (self.value, self.must, self.aim)]
        cells = [self.name, f"**{values[0]}**", *others, values[1], values[2], self.verdict]
        return f"| {' | '.join(cells)} |"


def tables(outcome: Outcome) -> list[str]:
    """Markdown: ratios with their targets, figures of each arm, the arithmetic limit, scores."""
    return [
        *_ratios(outcome),
        "",
        *_others(outcome),
        *_arms(outcome),
        "",
        *(_limit(outcome) if outcome.kind == "sequential" else _paths(outcome)),
        *_scores(outcome),
    ]


def _ratios(outcome: Outcome) -> Iterator[str]:
    yield "Times as fast as RecBole, in epochs done per second:"
    yield ""
    yield "| | than A, RecBole as its tuner runs it | than B, one-thread processes | must | aim | |"
    yield "|---|---:|---:|---:|---:|---|"
    for case in outcome.cases:
        target = Target(case.label, outcome.ratio(case, "A"), case.must, case.aim, "")
        yield target.row(f"{outcome.ratio(case, 'B'):.2f}")
    mean = Target("geometric mean", outcome.mean_ratio("A"), *GEOMETRIC_MEANS[outcome.kind], "")
    yield mean.row(f"{outcome.mean_ratio('B'):.2f}")


def _others(outcome: Outcome) -> Iterator[str]:
    """Start-up and memory; their targets are of small data."""
    if outcome.kind == "large":
        return
    start = middle([figures for arms in outcome.found.values() for figures in arms["C"]]).start
    yield "| | measured | must | aim | |"
    yield "|---|---:|---:|---:|---|"
    yield Target("start of a worker to its first batch", start, *COLD_START, " s", bigger=False).row()
    if MEMORY_CASE in outcome.found:
        arms = outcome.found[MEMORY_CASE]
        share = middle(arms["C"]).peak / middle(arms["A"]).peak
        name = f"{MEMORY_CASE}: peak memory of a process, in parts of A's"
        yield Target(name, share, *MEMORY, "", bigger=False).row()
    yield ""


def _arms(outcome: Outcome) -> Iterator[str]:
    yield (
        "| | arm | s an epoch | CPU-s an epoch | trials an hour | cold trial, s | to the first batch, s "
        "| peak MiB a process |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for case in outcome.cases:
        for arm in ARMS:
            found = middle(outcome.found[case.label][arm])
            yield (
                f"| {case.label} | {NAMES[arm]} | {found.epoch:.3g} | {found.cpu:.3g} "
                f"| {found.trials_an_hour:.3g} | {found.cold:.1f} | {found.start:.1f} "
                f"| {found.peak / 2**20:.0f} |"
            )
    for arm in ARMS:
        runs = [middle(outcome.found[case.label][arm]) for case in outcome.cases]
        means = [
            geometric_mean(getattr(run, name) for run in runs) for name in ("epoch", "cpu", "trials_an_hour")
        ]
        cells = " | ".join(f"{value:.3g}" for value in means)
        yield f"| geometric mean | {NAMES[arm]} | {cells} | | | |"


def _limit(outcome: Outcome) -> Iterator[str]:
    yield (
        f"The limit of arithmetic, at {outcome.matrix_rate / 1e9:.0f} GFLOP/s of float32 matrix products "
        "(1,024 cubed, measured on one thread, times the threads of C):"
    )
    yield ""
    yield "| | GFLOP an epoch | s at the limit | C takes | of the limit: A | B | C | C's code |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    for case in outcome.cases:
        flops = flops_of(case, outcome.statistics[case.dataset])
        least = flops / outcome.matrix_rate
        times = [middle(outcome.found[case.label][arm]).epoch for arm in ARMS]
        shares = " | ".join(f"{least / seconds:.1%}" for seconds in times)
        path = middle(outcome.found[case.label]["C"]).path
        yield (
            f"| {case.label} | {flops / 1e9:.4g} | {least:.3g} | {times[-1] / least:.1f}-fold | {shares} "
            f"| {path} |"
        )
    yield ""


def _paths(outcome: Outcome) -> Iterator[str]:
    for case in outcome.cases:
        yield f"- {case.label}: recsweep's code is {middle(outcome.found[case.label]['C']).path}."
    yield ""


def flops_of(case: Case, statistics: dict[str, Any]) -> float:
    """Operations that an epoch of a case needs."""
    train, valid = (Lengths(**statistics[part]) for part in ("train", "valid"))
    published = catalog.published_defaults(case.model)
    sizes = {name: value for name, value in published.items() if isinstance(value, int)}
    return epoch_flops(case.model, sizes, train, valid, statistics["items"])


def _scores(outcome: Outcome) -> Iterator[str]:
    yield "Validation NDCG@10 after each epoch, where both trained whole ones:"
    yield ""
    yield "| | RecBole | recsweep |"
    yield "|---|---|---|"
    for case in outcome.cases:
        theirs, ours = (middle(outcome.found[case.label][arm]).scores for arm in ("A", "C"))
        if case.draws:
            continue
        if count := min(len(theirs), len(ours)):
            cells = " | ".join(
                " ".join(f"{score:.4f}" for score in scores[:count]) for scores in (theirs, ours)
            )
            yield f"| {case.label} | {cells} |"


def document(outcome: Outcome, lines: list[str], bench: Bench, repeats: int) -> str:
    """The section of RESULTS.md."""
    command = shlex.join(["python", "benchmarks/speed.py", *sys.argv[1:]])
    parts = ", ".join(f"{case.label} {_part(case)}" for case in outcome.cases)
    return "\n".join(
        [
            f"## {TITLES[outcome.kind]}",
            "",
            f"Written by `{command}` on {datetime.now():%Y-%m-%d}, in {outcome.seconds / 60:.0f} minutes.",
            "What is compared, and how, stands at the top of [speed.py](speed.py).",
            "",
            f"![Times as fast as RecBole]({PICTURES[outcome.kind].name})",
            "",
            f"- RecBole's published parameters, seed {SEED}; {_count(repeats, 'repeat')}, arms in turns. "
            "A ratio is the median of the ratios of each repeat, all else is the median of the repeats.",
            f"- B is {bench.cores} processes of RecBole, C {_count(bench.workers, 'worker')} of "
            f"{_count(bench.threads, 'thread')}; an epoch of theirs is the time after which one more is "
            "done.",
            f"- Timed and scaled to whole epochs: {parts}.",
            "- A cold trial lasts from the start of a process to the end of its first epoch, validation "
            "included; where only a part was timed, the rest of the epoch is added at the pace measured.",
            f"- Trials an hour: {EPOCHS_A_TRIAL} warm epochs each, nothing between them.",
            f"- Other processes took at most {outcome.others:.0%} of the machine in a turn.",
            *machine_lines(bench.python),
            "",
            *lines,
            "",
        ]
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _part(case: Case) -> str:
    theirs = (
        f"RecBole at most {case.batches} batches after {case.warm_up}"
        if case.batches
        else "RecBole whole epochs"
    )
    return f"({theirs}, recsweep {f'1/{case.stride}' if case.stride > 1 else 'whole'})"


def draw(outcome: Outcome) -> str:
    """A picture of the ratios: one bar against A, one against B, and marks for must and aim."""
    rows = [
        (case.label, outcome.ratio(case, "A"), outcome.ratio(case, "B"), case.must, case.aim)
        for case in outcome.cases
    ]
    targets = GEOMETRIC_MEANS[outcome.kind]
    rows.append(("geometric mean", outcome.mean_ratio("A"), outcome.mean_ratio("B"), *targets))
    left, width, height = 170, 520, 44
    scale = width / max(max(row[1:]) for row in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" '
        f'height="{60 + height * len(rows)}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-size="14">Times as fast as RecBole (lines: must, dashed: aim)</text>',
        '<rect x="10" y="30" width="12" height="12" fill="#1b6ca8"/>'
        '<text x="27" y="41">than its tuner\'s one process (A)</text>',
        '<rect x="230" y="30" width="12" height="12" fill="#9cc3e0"/>'
        '<text x="247" y="41">than one-thread processes at once (B)</text>',
    ]
    for index, row in enumerate(rows):
        parts += _bars(row, left, 54 + index * height, scale)
    return "\n".join([*parts, "</svg>", ""])


def _bars(row: tuple[str, float, float, float, float], left: int, top: int, scale: float) -> Iterator[str]:
    name, one, other, must, aim = row
    yield f'<text x="{left - 8}" y="{top + 21}" text-anchor="end">{name}</text>'
    for offset, value, colour in ((0, one, "#1b6ca8"), (17, other, "#9cc3e0")):
        size = value * scale
        yield (
            f'<rect x="{left}" y="{top + offset}" width="{size:.1f}" height="15" fill="{colour}"/>'
            f'<text x="{left + size + 4:.1f}" y="{top + offset + 12}">{value:.1f}</text>'
        )
    for value, dashes in ((must, "none"), (aim, "4 3")):
        x = left + value * scale
        yield (
            f'<line x1="{x:.1f}" y1="{top - 2}" x2="{x:.1f}" y2="{top + 34}" stroke="#c0392b" '
            f'stroke-width="1.5" stroke-dasharray="{dashes}"/>'
        )
