"""Running trials whose processes are gone, as one process sees them."""

from __future__ import annotations

import time
from collections import Counter

from recsweep.common.errors import SweepPaused
from recsweep.study.database import Patience
from recsweep.study.trial import Trial, owner_alive

HEARTBEAT_SECONDS = 15.0
"""Between two signs of life of a process that runs a trial: a thousand workers write 70 a second."""
STALE_AFTER_SECONDS = 90.0
"""A running trial whose process cannot be seen from here is given up after this long without a
heartbeat, which is six of them. Measured by the observer's own clock, so clocks need not agree."""
MOST_PUT_BACKS = 10
"""So often one process puts one slot back because the process that ran it is gone; then something else is
wrong, and to go on would never end."""


class Orphans:
    """Tells which running trials of a study have no process any more.

    Args:
        study: its name.
        patience: knows when the store was away, and nobody could beat.
    """

    def __init__(self, study: str, patience: Patience) -> None:
        self._study, self._patience = study, patience
        self._seen_beats: dict[int, tuple[int, float, int]] = {}
        """By trial: its beat, when it was first seen, and how often the store had been away by then."""
        self._put_back: Counter[int] = Counter()
        """How often this process put back a slot, because it took its process for gone."""

    def is_one(self, trial: Trial, stale_after: float) -> bool:
        """True where a running trial's process is gone, or unheard of for `stale_after` seconds."""
        alive = owner_alive(trial)
        return alive is False or (alive is None and self._beat_is_stale(trial, stale_after))

    def require_an_end(self, trial: Trial) -> None:
        """Count an orphan that is put back.

        Raises:
            SweepPaused: one slot was put back so again and again: what is taken for dead may live.
        """
        self._put_back[trial.slot] += 1
        if self._put_back[trial.slot] > MOST_PUT_BACKS:
            last = "no process has named itself" if trial.owner is None else trial.owner.describe()
            raise SweepPaused(
                f"study {self._study}: trial {trial.slot} was put back {MOST_PUT_BACKS} times, as its "
                f"process seems gone each time (last: {last}); it dies with all its group, or "
                "lives and cannot be seen from here; see to that process, then run the same command again, "
                "no trial is lost"
            )

    def _beat_is_stale(self, trial: Trial, stale_after: float) -> bool:
        now, beat = time.monotonic(), -1 if trial.owner is None else trial.owner.beat
        seen = self._seen_beats.get(trial.id)
        # While the store was away nobody could beat.
        if seen is None or seen[0] != beat or seen[2] != self._patience.outages:
            self._seen_beats[trial.id] = (beat, now, self._patience.outages)
            return False
        return now - seen[1] > stale_after
