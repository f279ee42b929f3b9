"""Evidence in the summary: each model's mean over seeds beside the search's own score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.common.escape import for_latex, for_markdown
from recsweep.common.files import counted
from recsweep.report.evidence import PARTS, EvidenceResult, Measure
from recsweep.report.results import StudyResult
from recsweep.report.tables import four_digits
from recsweep.sweeps.config import DatasetConfig

COLUMNS = ("mean ± sd", "95 %", "search", "optimism")
"""Of each part; the first stands below the metric's name."""
_Pair = tuple[StudyResult, EvidenceResult]


def evidence_markdown(results: Sequence[StudyResult]) -> list[str]:
    """The table over seeds, and what to know to read it; nothing where there is no evidence."""
    if not (pairs := evidence_pairs(results)):
        return []
    metric = pairs[0][0].record.evaluation.metric
    titles = [title for part in PARTS for title in (f"{part} {metric}", *COLUMNS[1:])]
    lines = ["", f"| data set | model | trainings | {' | '.join(titles)} |"]
    lines.append(f"|---|---|---:|{'---:|' * len(titles)}")
    for result, one in pairs:
        names = (for_markdown(result.record.dataset_name), for_markdown(model_of(result, one)))
        lines.append(f"| {' | '.join([*names, *evidence_cells(one)])} |")
    return [*lines, "", *map(for_markdown, evidence_notes(results))]


def evidence_latex(results: Sequence[StudyResult]) -> Iterator[str]:
    r"""The same as a second `table`."""
    if not (pairs := evidence_pairs(results)):
        return
    record = pairs[0][0].record
    metric = for_latex(record.evaluation.metric)
    yield r"\begin{table}"
    yield r"\centering"
    caption = f"The best configurations of {record.sweep_name} over seeds."
    yield rf"\caption{{{for_latex(' '.join([caption, *evidence_notes(results)]))}}}"
    yield rf"\label{{tab:{record.sweep_name}-evidence}}"
    yield rf"\begin{{tabular}}{{llr{'r' * (2 * len(COLUMNS))}}}"
    yield r"\toprule"
    spans = " & ".join(rf"\multicolumn{{{len(COLUMNS)}}}{{c}}{{{part} {metric}}}" for part in PARTS)
    yield rf" & & & {spans} \\"
    yield rf"data set & model & trainings & {' & '.join(map(for_latex, COLUMNS * 2))} \\"
    yield r"\midrule"
    for result, one in pairs:
        names = (for_latex(result.record.dataset_name), for_latex(model_of(result, one)))
        yield rf"{' & '.join([*names, *map(for_latex, evidence_cells(one))])} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def evidence_notes(results: Sequence[StudyResult]) -> list[str]:
    """Lines on what was trained again, what is missing, and how to read the numbers."""
    pairs = evidence_pairs(results)
    lines = list(dict.fromkeys(_trained(result, one) for result, one in pairs))
    open_ones = [
        f"{result.record.dataset_name}/{model_of(result, one)} {len(one.done)} of {one.planned}"
        + (f" ({one.failed} failed)" if one.failed else "")
        for result, one in pairs
        if len(one.done) < one.planned
    ]
    without = [
        f"{result.record.dataset_name}/{result.record.model_name}"
        for result in results
        if result.best_evidence is None
    ]
    if open_ones:
        lines.append(f"Trainings that are there: {', '.join(open_ones)}.")
    if without:
        lines.append(f"Without evidence of its best configuration: {', '.join(without)}.")
    lines.append(
        "Over seeds: mean ± standard deviation of all trainings, and Student's 95 % interval of the mean; "
        "search: what the search's own trial came to. Optimism: that minus the mean, for the best of many "
        "trials is partly luck."
    )
    return lines


def _trained(result: StudyResult, one: EvidenceResult) -> str:
    seeds = counted(len(one.training_seeds), "training seed")
    name = result.record.dataset_name
    split = result.record.dataset.split
    if split.type == "k_fold":
        folds = counted(len(one.split_seeds), "fold")
        return (
            f"{name}: each on {seeds} x {folds} of {split.folds}; means are over folds, found best on the "
            f"validation data of fold {split.fold}; the interval is over folds."
        )
    if split.drawn:
        splits = counted(len(one.split_seeds), "other random split")
        return f"{name}: each on {seeds} x {splits}; the interval is over splits."
    return f"{name}: each on {seeds}; {no_splits(result.record.dataset)}."


def no_splits(dataset: DatasetConfig) -> str:
    """The reason why there are no split seeds."""
    return f"split seeds are left out, as the split ({dataset.split.text}) is the same for every seed"


def evidence_pairs(results: Sequence[StudyResult]) -> list[_Pair]:
    """The configurations that were trained again, each with the study that found it."""
    return [(result, one) for result in results for one in result.evidence if one.done]


def model_of(result: StudyResult, one: EvidenceResult) -> str:
    """A model, with the rank of a configuration that is not its best."""
    return result.record.model_name + (f" (no. {one.rank})" if one.rank > 1 else "")


def evidence_cells(one: EvidenceResult) -> list[str]:
    """Trainings, then the numbers of each part, of the metric that the search went by."""
    cells = [str(len(one.done))]
    for part in PARTS:
        cells += measure_cells(one.measure(part, one.metric))
    return cells


def measure_cells(measure: Measure | None) -> list[str]:
    """Mean with sd, interval, own score and optimism, in four digits; `-` where there is none."""
    if measure is None:
        return ["-"] * len(COLUMNS)
    one = measure.spread
    interval = "-" if one.low is None or one.high is None else f"{one.low:.4f} to {one.high:.4f}"
    optimism = "-" if measure.optimism is None else f"{measure.optimism:+.4f}"
    mean = four_digits(one.mean) + (f" ± {one.sd:.4f}" if one.sd is not None else "")
    return [mean, interval, four_digits(measure.own), optimism]
