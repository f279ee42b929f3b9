"""A tracker that does what a file beside its own says: hangs, fails, is killed, or works."""

from __future__ import annotations

import errno
import os
import signal
import time

from recsweep.sweeps.tracker_table import TrackerRow
from recsweep.tracking.events import Event
from recsweep.tracking.trackers.json_lines import JsonLinesTracker

ROW = TrackerRow("bad", "helpers.bad_tracker:BadTracker", "for tests")
WHOLE = TrackerRow("bad", "helpers.bad_tracker:BadTracker", "keeps whole trials only", keeps_epochs=False)


class BadTracker(JsonLinesTracker):
    """Lines of JSON, where `how` beside them lets it."""

    def take(self, event: Event) -> None:
        how = self._how()
        if how == "dies before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().take(event)

    def settle(self) -> None:
        how = self._how()
        if how == "hangs":
            time.sleep(3600)
        if how == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics")
        if how == "fails":
            raise RuntimeError("500 from http://me:s3cretpassword@tracker/api")
        if how.startswith("dies after") and not self.given.folder.with_suffix(".died").exists():
            self.given.folder.with_suffix(".died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().settle()

    def _how(self) -> str:
        file = self.given.folder.with_suffix(".how")
        return file.read_text() if file.exists() else "works"
