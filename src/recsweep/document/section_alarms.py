"""The report's section on alarms: each kind once, where it was raised, its source, and how to answer it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recsweep.alarms.alarm import Alarm
from recsweep.common.escape import for_html as text
from recsweep.common.files import counted
from recsweep.document.elements import Section, items
from recsweep.document.facts import Facts

TITLES = {
    "budgets": "Unequal budgets",
    "convergence": "A search that had not converged",
    "edge": "Best values at the edge of their range",
    "epochs": "The limit of epochs decided",
    "first epoch": "Best at the first validation",
    "leak": "A leak in time",
    "order": "Validation and test disagree",
    "popularity": "No better than popularity",
    "power": "A test set too small for the difference",
    "repeats": "Repeated interactions",
    "sampled": "Sampled metrics",
}
"""Of the kinds of alarms; another one has its own name."""
_NONE = "No alarm was raised. That no alarm looks at does not show here."


def alarm_section(facts: Facts) -> Section:
    """All alarms of the sweep."""
    if not facts.alarms:
        return Section("alarms", "Alarms", (f"<p>{text(_NONE)}</p>",))
    words = "<p>What makes these results doubtful, whose finding it is that this matters, and what to do.</p>"
    return Section("alarms", "Alarms", (words, '<div class="alarms">', *_cards(facts.alarms), "</div>"))


def _cards(alarms: Sequence[Alarm]) -> Iterator[str]:
    """A card for each kind with the same answer."""
    kinds: dict[tuple[str, str, str], list[Alarm]] = {}
    for alarm in alarms:
        kinds.setdefault((alarm.name, alarm.answer, alarm.source), []).append(alarm)
    for (name, answer, source), own in kinds.items():
        title = TITLES.get(name, name.capitalize())
        yield (
            f'<div class="card alarm"><h3>{text(title)}</h3>'
            f"{items((f'{one.about}: {one.text}.' for one in own), 'notes')}"
            f'<p><strong>Answer:</strong> {text(answer)}.</p><p class="soft">{text(source)}</p></div>'
        )


def alarm_mark(facts: Facts) -> str:
    """How many there are, with a link to them; for the head of the page."""
    if not facts.alarms:
        return ""
    number = counted(len(facts.alarms), "alarm")
    return f'<p class="facts"><a class="edge" href="#alarms">{number}</a> to read these results with.</p>'
