"""The runs of this moment, as the store knows it: studies that are worked on, trials and who trains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recsweep.common.files import counted
from recsweep.looking.listing import FINISHED, RUNNING, Row, listed, markdown, score_text
from recsweep.study import Store, Trial
from recsweep.study.trial import owner_alive


@dataclass(frozen=True)
class RunningTrial:
    """One trial that the store holds for running.

    Attributes:
        alive: whether its process lives; None where that cannot be told from here.
        seconds: that it had run at the last sign of life.
    """

    slot: int
    owner: str
    alive: bool | None
    epoch: int
    last: float | None
    seconds: float | None

    def shown(self, study: str) -> dict[str, str]:
        state = {True: "", False: "its process is gone", None: "not seen from here"}[self.alive]
        return {
            "study": study,
            "trial": str(self.slot),
            "epoch": str(self.epoch),
            "last": score_text(self.last),
            "seconds": "" if self.seconds is None else f"{self.seconds:.0f}",
            "by": f"{self.owner}{', ' if state else ''}{state}",
        }


@dataclass(frozen=True)
class Status:
    """Where a store is: each study that is not finished, and its running trials."""

    rows: Sequence[Row]
    trials: dict[str, list[RunningTrial]]

    @property
    def is_done(self) -> bool:
        """Nothing runs, and no study waits for trials."""
        return all(row.state == FINISHED for row in self.rows)

    def plain(self) -> list[dict[str, Any]]:
        return [
            {
                **row.plain(),
                "trials_running": [vars(trial) for trial in self.trials.get(row.record.study, [])],
            }
            for row in self.rows
        ]

    def text(self) -> str:
        """For people: a line for all, a table of the studies that are open, one of the trials that run."""
        trained = sum(min(row.trained, row.budget) for row in self.rows)
        total = sum(row.budget for row in self.rows)
        finished = sum(row.state == FINISHED for row in self.rows)
        running = sum(len(trials) for trials in self.trials.values())
        studies = counted(len(self.rows), "study")
        head = f"{finished} of {studies} finished, {trained} of {counted(total, 'trial')}"
        head += f", {running} running" if running else ""
        open_rows = [row.shown() for row in self.rows if row.state != FINISHED]
        now = [trial.shown(name) for name, trials in self.trials.items() for trial in trials]
        tables = (
            markdown(open_rows, ("trials", "best", "test")),
            markdown(now, ("trial", "epoch", "last", "seconds")),
        )
        return "\n\n".join([head, *filter(None, tables)])


def status_of(store: Store, sweep: str | None = None) -> Status:
    """Where the studies of a store are; of one sweep, where it is named."""
    rows = listed(store.tallied(sweep=sweep, brief=True))
    trials = {
        row.record.study: [_running(trial) for trial in store.study_of(row.record).running()]
        for row in rows
        if row.state == RUNNING or row.tally.running
    }
    return Status(rows, trials)


def _running(trial: Trial) -> RunningTrial:
    epoch, last = next(reversed(trial.curve.items()), (0, None))
    owner = trial.owner
    if owner is None:
        return RunningTrial(trial.slot, "nobody who has named itself", owner_alive(trial), epoch, last, None)
    return RunningTrial(trial.slot, owner.describe(), owner_alive(trial), epoch, last, owner.ran)
