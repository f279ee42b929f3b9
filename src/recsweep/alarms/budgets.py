"""Models that were given unequal budgets: the one that was tried more often looks better for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.alarms.alarm import Alarm, Searched, about

NAME = "budgets"
SOURCE = "Shehzad and Jannach 2023"
ANSWER = "give every model the same search.max_evals, and the missing trials to those with fewer"


def unequal_budgets(searches: Sequence[Searched]) -> Iterator[Alarm]:
    """The models of a sweep have not the same budget; the number is the most over the least.

    Of searches that are all over, what they trained; else what they are to train. A model without parameters
    has nothing to be tried, and one all of whose configurations are tried nothing more.
    """
    over = all(search.finished for search in searches)
    tuned = [search for search in searches if search.record.model.space or search.record.variants]
    tuned = [search for search in tuned if not search.record.tries_all]
    if any(search.all_shares is not None for search in tuned):
        yield from _unused(tuned)
        return
    counts = {about(search): search.all_trained if over else search.all_budget for search in tuned}
    if len(set(counts.values())) < 2:
        return
    text = "budgets differ: " + ", ".join(f"{name} {count}" for name, count in counts.items()) + " trials"
    most, least = max(counts.values()), min(counts.values())
    sweep = searches[0].record.sweep_name
    yield Alarm(NAME, sweep, most / least if least else float("inf"), text, SOURCE, ANSWER)


def _unused(searches: Sequence[Searched]) -> Iterator[Alarm]:
    """Models that something else ended before they had used their seconds or epochs; their number."""
    short = [search for search in searches if search.finished and not search.used_share]
    if short:
        record = short[0].record
        unit = record.search.budget
        text = f"not all of their {unit} were used by {', '.join(map(about, short))}"
        answer = f"raise search.max_evals, which ends a study before its {unit} do, or lift other limits"
        yield Alarm(NAME, record.sweep_name, float(len(short)), text, SOURCE, answer)
