"""A study as one tracker's sender keeps it in the store: how much was sent, and who sends.

Only one process sends a study to a tracker. It says so in the store, with a number that grows while it lives;
another one takes over when that process is known to be gone, or, seen from another machine, when the number
has stood still for a while by the watcher's own clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from recsweep.common.errors import StoreDamaged
from recsweep.common.owner import Owner
from recsweep.study import Study
from recsweep.tracking.cursor import Cursor

PREFIX = "tracking:"
"""Start of the names of the attributes of a study that hold this, one for each tracker and destination."""
STILL_SECONDS = 60.0
BEAT_SECONDS = 15.0


class Kept:
    """A study and a tracker, as one process sees who sends and how much was sent.

    Args:
        study: in the store.
        destination: the tracker, and where it sends.
        me: this process.
        clock: seconds that nobody sets.
    """

    def __init__(
        self, study: Study, destination: str, me: Owner, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study, self._name, self._me, self._clock = study, f"{PREFIX}{destination}", me, clock
        self.cursor = Cursor()
        self.is_new = True
        """True where nothing of the study was ever sent there."""
        self.held = False
        self.holder = ""
        """Who sends, where that is another process."""
        self._beat = 0
        self._seen: tuple[int, float] | None = None
        self._said = float("-inf")
        self._saved = Cursor()

    def read(self) -> None:
        """Look at what the store has."""
        self._take_in(self._study.attributes.get(self._name))

    def take(self) -> bool:
        """True where this process may send from now on."""
        if self.held:
            return True
        with self._study.exclusive():
            plain = self._study.attributes.get(self._name)
            self._take_in(plain)
            if plain is not None and not self._is_free(plain):
                return False
            self.held = True
            self._say()
        return True

    def save(self, cursor: Cursor, *, now: bool) -> None:
        """Keep how much was sent; not `now`: where the last time was a while ago, as a sign of life too."""
        self.cursor = cursor
        if now or self._clock() - self._said >= BEAT_SECONDS:
            self._say()

    def release(self) -> None:
        """Send no more; what was acknowledged is kept."""
        if self.held:
            self.held = False
            self._say()

    def _say(self) -> None:
        self._beat += 1
        holder = self._me.to_dict() if self.held else None
        plain = {"cursor": self.cursor.to_plain(), "holder": holder, "beat": self._beat}
        self._study.set_attribute(self._name, plain)
        self._said, self._saved, self.is_new = self._clock(), self.cursor, False

    def _take_in(self, plain: Mapping[str, Any] | None) -> None:
        if plain is None:
            return
        self.is_new = False
        try:
            self.cursor = self._saved = Cursor.from_plain(plain["cursor"])
            self._beat = int(plain["beat"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreDamaged(
                f"the store is damaged; {self._name} of {self._study.name} is not ours ({error!r}); "
                "put back a copy of the store"
            ) from None

    def _is_free(self, plain: Mapping[str, Any]) -> bool:
        """True where nobody sends now, as far as can be told."""
        if not plain["holder"]:
            return True
        holder = Owner.from_dict(plain["holder"])
        self.holder = f"process {holder.pid} on {holder.pid_space.split('/')[0]}"
        alive = True if holder == self._me else holder.alive()
        if alive is not None:
            return not alive or holder == self._me
        if self._seen is None or self._seen[0] != self._beat:
            self._seen = (self._beat, self._clock())
        return self._clock() - self._seen[1] >= STILL_SECONDS
