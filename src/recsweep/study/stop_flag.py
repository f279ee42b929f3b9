"""The wish that nobody works on a study any more, in the store, where workers of every machine find it.

Two attributes of a study hold it, each written whole: `stop`, the flag that was raised last, with a token of
its own, and `go_on`, the token of the flag that was taken back last. A flag stands while they differ. Whoever
goes on writes the token that it has read: a flag that is raised meanwhile has another one, and stands. So
neither clocks nor the order of writes of two processes decide, and no kind of store needs a lock for it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recsweep.common.owner import this_process
from recsweep.study.study import Study

STOP_ATTRIBUTE, GO_ON_ATTRIBUTE = "stop", "go_on"
ASK_SECONDS = 2.0
"""A process asks the store for a flag no more often than this."""


@dataclass(frozen=True)
class StopFlag:
    """A wish that a study be worked on no more."""

    token: str
    now: bool
    """Running trials end with their epoch, and their slots wait again; else they are finished."""
    everything: bool
    """The whole run is to end that works on the study, whatever else it has to do."""
    at: str
    """When, by the clock of the machine where it was asked for; for people."""
    by: str
    """The machine."""


def raise_flag(study: Study, *, now: bool, everything: bool = False) -> StopFlag:
    """Ask those that work on a study to stop; a flag that stands is replaced."""
    at, host = datetime.now().isoformat(" ", timespec="seconds"), this_process().pid_space.split("/")[0]
    flag = StopFlag(uuid.uuid4().hex, now, everything, at, host)
    study.set_attribute(STOP_ATTRIBUTE, asdict(flag))
    return flag


def standing(study: Study) -> StopFlag | None:
    """The flag that stands; None where the study may be worked on."""
    return _standing(study.attributes)


def _standing(attributes: Mapping[str, Any]) -> StopFlag | None:
    raised = attributes.get(STOP_ATTRIBUTE)
    if raised is None or raised["token"] == attributes.get(GO_ON_ATTRIBUTE):
        return None
    return StopFlag(
        raised["token"],
        raised["now"],
        bool(raised.get("everything")),
        str(raised.get("at", "")),
        str(raised.get("by", "")),
    )


def take_back(study: Study) -> bool:
    """Take back the flag that stands now, and none that is raised later; True where one stood."""
    flag = standing(study)
    if flag is not None:
        study.set_attribute(GO_ON_ATTRIBUTE, flag.token)
    return flag is not None


class FlagWatch:
    """Looks for the flag of a study, as often as it costs next to nothing.

    Args:
        clock: seconds of a clock that nobody sets.
    """

    def __init__(self, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._study, self._clock = study, clock
        self._flag: StopFlag | None = None
        self._looked: float | None = None

    def look(self, *, fresh: bool = False) -> StopFlag | None:
        """The flag, as it stood a few seconds ago at most; `fresh`: as it stands now."""
        now = self._clock()
        if fresh or self._looked is None or now - self._looked >= ASK_SECONDS:
            self._looked = now
            try:
                self._flag = standing(self._study)
            except KeyError:  # the study was begun anew; its trials are closed, which their owner is told
                self._flag = None
        return self._flag
