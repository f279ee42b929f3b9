"""The tuning appendix of a paper, after Shehzad and Jannach (2023): what reviewers ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.document import again
from recsweep.document.citations import ENGINES, RULES, cite, cite_model
from recsweep.document.costs import COST_COLUMNS, Cost, cost_of, cost_over_seeds, machines
from recsweep.document.facts import Facts
from recsweep.document.spaces import Searched, Space, fixed_of, spaces_of
from recsweep.document.tex import label_of, row, table, tex, typed
from recsweep.document.words import data_sentence, listed, protocol
from recsweep.report.comparison import Entry
from recsweep.report.results import StudyResult
from recsweep.report.summary_evidence import evidence_notes
from recsweep.report.summary_notes import budgets, endings, energies, name_of

_HEAD = r"""% needs \usepackage{{booktabs}}; citations: references.bib
\section{{Hyperparameter tuning of sweep {sweep}}}
\label{{app:tuning-{label}}}
What follows is what {cite} ask of a study: every model's search space, budget, chosen values, seeds, hardware
and hours. All models, the baselines among them, were tuned by the same procedure."""
_RANGE = r"p{0.22\linewidth}"
"""A column whose lines break: a range may list many values."""
_COLUMNS = ("parameter", "drawn", "range", "default")


def appendix_latex(facts: Facts) -> str:
    r"""A `\section` to be `\input` after a paper's `\appendix`."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: Facts) -> Iterator[str]:
    names = {"sweep": tex(facts.sweep), "label": label_of(facts.sweep)}
    yield _HEAD.format(**names, cite=_authors())
    yield from _paragraph(
        "Procedure", [*protocol(facts.records), *budgets(facts.results), *endings(facts.results)]
    )
    yield _tools(facts)
    for dataset, entries in facts.by_dataset.items():
        yield from _paragraph(f"Data, {dataset}", [data_sentence(entries[0].result.record)])
    for space in spaces_of(facts.entries):
        yield from _space(space, facts)
    if any(result.evidence for result in facts.results):
        yield from _paragraph("Over seeds", [*evidence_notes(facts.results), *_seeds_of(facts.results)])
    yield from _costs([cost_of(entry) for entry in facts.entries], facts)
    yield from _seeds(facts)
    yield from _paragraph("Versions", [f"{name}: {value}." for name, value in again.facts(facts.entries)])
    yield from _paragraph("To run it again", [])
    yield r"\begin{flushleft}\ttfamily\small"
    yield from (rf"{typed(one)}\\" for one in again.commands(facts.entries, facts.config))
    yield r"\end{flushleft}"


def _authors() -> str:
    return rf"Shehzad and Jannach{cite(['shehzad2023everyone'])}"


def _paragraph(title: str, sentences: list[str]) -> Iterator[str]:
    yield ""
    yield rf"\paragraph{{{tex(title)}.}}"
    yield from map(tex, sentences)


def _tools(facts: Facts) -> str:
    """The tools of the search, cited."""
    records = facts.records
    engines = dict.fromkeys(record.search.engine for record in records)
    rules = dict.fromkeys(rule for r in records for rule in (r.pruning.pruner, r.search.scheduler))
    keys = [key for name in engines for key in ENGINES.get(name, ())]
    keys += [key for name in rules for key in RULES.get(name, ())]
    base = cite(["recsweep", "zhao2021recbole"])
    return rf"Tuned with recsweep and RecBole{base}; search and early ending of trials{cite(keys)}."


def _space(space: Space, facts: Facts) -> Iterator[str]:
    """The table of a model, with what was chosen on each data set."""
    names = [entry.dataset for entry in space.entries]
    model = cite_model(space.entries[0].result.record)
    several = len(names) > 1
    columns = [*_COLUMNS, *(f"on {name}" if several else "chosen" for name in names)]
    lines = [row(map(tex, columns)), r"\midrule", *(_row(found) for found in space.rows)]
    told = [f"Search space and chosen values of {model} on {tex(listed(names))}."]
    told += [tex(_budget(entry)) for entry in space.entries]
    if fixed := fixed_of(space.entries[0].result):
        told.append(tex(f"Fixed: {fixed}."))
    label = f"tab:{facts.sweep}-{names[0]}-{space.model}-space"
    yield ""
    yield from table(" ".join(told), label, f"ll{_RANGE}l{'l' * len(names)}", lines, "[htb]")


def _row(found: Sequence[Searched]) -> str:
    one = found[0]
    where = f"{one.values}; where {one.when}" if one.when else one.values
    named = rf"\texttt{{{tex(one.name)}}}"
    return row([named, tex(one.kind), tex(where), tex(one.default), *map(_chosen, found)])


def _chosen(one: Searched) -> str:
    chosen = rf"\textbf{{{tex(one.chosen)}}}" if one.chosen != "-" else "-"
    return f"{chosen} (edge)" if one.edge else chosen


def _budget(entry: Entry) -> str:
    result, winner = entry.result, entry.result.winner
    counts = {"pruned": result.all_pruned, "failed": result.all_failed}
    apart = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    told = (
        f"{entry.dataset}: {result.all_trained} of {result.all_budget} trials{f' ({apart})' if apart else ''}"
    )
    if winner is None or entry.score is None:
        return f"{told}."
    return f"{told}; chosen is trial {winner.slot}, {entry.metric} {entry.score:.4f} on validation."


def _seeds_of(results: Sequence[StudyResult]) -> Iterator[str]:
    """The seeds on which winners were trained again: once for all that share them."""
    shared: dict[str, list[str]] = {}
    for result in results:
        if (one := result.best_evidence) is not None:
            seeds = f"training seeds {listed([str(seed) for seed in one.training_seeds])}"
            seeds += f", split seeds {listed([str(seed) for seed in one.split_seeds])}"
            shared.setdefault(seeds, []).append(name_of(result))
    for seeds, names in shared.items():
        yield f"{seeds.capitalize()}: {listed(names)}."


def _costs(costs: list[Cost], facts: Facts) -> Iterator[str]:
    """Trials, epochs, hours and energy of every model, and the machines."""
    trials = [trial for entry in facts.entries for trial in entry.trials]
    ran = [f"Trained on: {words}." for words in machines(trials)] or ["The trials do not say where they ran."]
    yield from _paragraph("Hardware and cost", ran)
    yield from map(tex, [*cost_over_seeds(facts.results), *energies(facts.results)])
    yield ""
    lines = [row(COST_COLUMNS), r"\midrule", *(row(map(tex, cost.cells)) for cost in costs)]
    caption = "Cost of the searches: training time of all trials, added up."
    yield from table(caption, f"tab:{facts.sweep}-cost", "llrrrrrr", lines, "[htb]")


def _seeds(facts: Facts) -> Iterator[str]:
    yield ""
    rows = [row(map(tex, one)) for one in again.study_rows(facts.entries)]
    lines = [row(again.STUDY_COLUMNS), r"\midrule", *rows]
    caption = "Studies by the hash of all that decides their trials, with the seeds of the winners."
    yield from table(caption, f"tab:{facts.sweep}-seeds", "llrrr", lines, "[htb]")
