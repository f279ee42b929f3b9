"""The turns of speed.py that are done, and whether the machine was quiet in the meantime."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from recsweep.common.files import write_json
from speed_cases import ARMS, Case
from speed_figures import Figures


class Watch:
    """From its making to `stop`: the seconds, and what processes that are not ours took."""

    def __init__(self) -> None:
        self._begun, self._busy, self._ours = time.monotonic(), _busy(), _ours()
        self.seconds = 0.0
        self.others = 0.0
        """Part of the machine's processor time, from 0 to 1."""

    def stop(self) -> Watch:
        self.seconds = time.monotonic() - self._begun
        others = _busy() - self._busy - (_ours() - self._ours)
        self.others = max(0.0, others / (self.seconds * (psutil.cpu_count() or 1)))
        return self


def _busy() -> float:
    """Processor seconds of the whole machine, those that its host took from it included."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _ours() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    found = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


class Turns:
    """The turns that are done, in a file, so that a run that was ended can go on."""

    def __init__(self, path: Path, fingerprint: str, *, resume: bool) -> None:
        self._path, self._fingerprint = path, fingerprint
        self._done: dict[str, dict[str, Any]] = {}
        if resume and path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["fingerprint"] != fingerprint:
                raise SystemExit(
                    f"{path} is of other code, versions or options, so its times do not belong to this run; "
                    "leave --resume out to begin anew"
                )
            self._done = found["turns"]

    def find(self, case: Case, repeat: int, arm: str) -> Figures | None:
        found = self._done.get(f"{case.label}/{repeat}/{arm}")
        if found is None:
            return None
        return Figures(**{**found["figures"], "scores": tuple(found["figures"]["scores"])})

    def add(self, case: Case, repeat: int, arm: str, figures: Figures, watch: Watch) -> None:
        self._done[f"{case.label}/{repeat}/{arm}"] = {
            "seconds": watch.seconds,
            "others": watch.others,
            "figures": asdict(figures),
        }
        write_json(self._path, {"fingerprint": self._fingerprint, "turns": self._done})

    @property
    def spent(self) -> float:
        return float(sum(turn["seconds"] for turn in self._done.values()))

    @property
    def others(self) -> float:
        """The largest part of the machine that other processes took in a turn."""
        return max((float(turn["others"]) for turn in self._done.values()), default=0.0)

    def left(self, turns: list[tuple[Case, int, str]]) -> float:
        """About how long the turns that are not done will take."""
        known: dict[tuple[str, str], float] = {}
        guessed = 0.0
        for case, repeat, arm in turns:
            if turn := self._done.get(f"{case.label}/{repeat}/{arm}"):
                known[case.label, arm] = turn["seconds"]
                guessed += case.seconds[ARMS.index(arm)]
        pace = self.spent / guessed if guessed else 1.0
        return sum(
            known.get((case.label, arm), case.seconds[ARMS.index(arm)] * pace)
            for case, repeat, arm in turns
            if f"{case.label}/{repeat}/{arm}" not in self._done
        )
