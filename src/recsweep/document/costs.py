"""The cost of each model's trials: number, epochs, hours, energy; and where they ran. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from recsweep.common.escape import for_terminal
from recsweep.common.files import counted
from recsweep.report.comparison import Entry
from recsweep.report.energy import Spent
from recsweep.report.results import StudyResult
from recsweep.study import State, Trial

COST_COLUMNS = ("data set", "model", "trials", "pruned", "failed", "epochs", "hours", "kWh")


@dataclass(frozen=True)
class Cost:
    """The cost of one model on one data set, all its phases together.

    Attributes:
        seconds: of training, all trials added up.
        epochs: that were trained, all trials added up.
        energy: None where nobody measured it.
    """

    dataset: str
    model: str
    trials: int
    pruned: int
    failed: int
    epochs: int
    seconds: float
    energy: Spent | None

    @property
    def hours(self) -> str:
        """In hours, or what is read more easily where it is less than a tenth."""
        return hours(self.seconds)

    @property
    def kwh(self) -> str:
        return (
            "-"
            if self.energy is None
            else f"{self.energy.kwh:.2g}"
            if self.energy.kwh < 0.1
            else f"{self.energy.kwh:.2f}"
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row in a table."""
        counts = map(str, (self.trials, self.pruned, self.failed, self.epochs))
        return (self.dataset, self.model, *counts, self.hours, self.kwh)


def hours(seconds: float) -> str:
    """Seconds in hours: with two decimals, or, of less than a tenth, two digits."""
    spent = seconds / 3600
    return f"{spent:.2f}" if spent >= 0.1 else f"{spent:.2g}"


def cost_of(entry: Entry) -> Cost:
    """The cost of a model's search on a data set."""
    result = entry.result
    counts = (result.all_trained, result.all_pruned, result.all_failed)
    return Cost(entry.dataset, entry.model, *counts, result.all_epochs, result.all_seconds, result.all_energy)


def cost_over_seeds(results: Iterable[StudyResult]) -> list[str]:
    """A line on the trainings of winners on several seeds, which are no trials of a search; none without."""
    done = [trial for result in results for one in result.evidence for _, trial in one.done]
    if not done:
        return []
    spent = hours(sum(trial.result.seconds or 0.0 for trial in done))
    return [f"Over seeds: {counted(len(done), 'training')} more of the configurations chosen, {spent} hours."]


def machines(trials: Iterable[Trial]) -> list[str]:
    """The machines on which trials ran, the one with most of them first: hardware, device, threads."""
    ran = [trial for trial in trials if not trial.inherited and trial.state != State.WAITING]
    told = Counter(_machine(trial.environment) for trial in ran if trial.environment)
    return [f"{words} ({count} trials)" if len(told) > 1 else words for words, count in told.most_common()]


def _machine(environment: dict[str, Any]) -> str:
    hardware = environment.get("hardware") or {}
    parts = [hardware.get("processor")]
    parts += [f"{hardware[name]} {words}" for name, words in _AMOUNTS if hardware.get(name) is not None]
    parts += [hardware.get("system")]
    device, threads = environment.get("device"), environment.get("threads")
    parts += [f"device {device}" if device else None]
    parts += [f"{counted(int(threads), 'thread')} a trial" if threads else None]
    return for_terminal(", ".join(str(part) for part in parts if part)) or "unknown"


_AMOUNTS = (("cores", "cores"), ("memory_gib", "GiB"))
