"""A study's checkpoints when its workers have left: stale ones go, others are sent."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recsweep.checkpoints.background import reason_of
from recsweep.checkpoints.keeper import Keeper
from recsweep.checkpoints.units import STATES, clear, units
from recsweep.common.files import counted
from recsweep.running.keeping import keep_the_best, keeper_of
from recsweep.running.study_run import StudyRun

SEND_SECONDS = 120.0
"""How long a run waits, at a study's end, for a place that does not take its checkpoints."""
TOLD_AFTER = 5.0
"""It is told when that takes longer."""


def settle(run: StudyRun, seconds: float = SEND_SECONDS, *, worked: bool = True) -> bool:
    """Remove the states of filled slots, send what is missing at the place; True where nothing is left to do.

    It can be done again, by any process, while others train.

    Args:
        worked: trials have ended; else the place is asked only where something is not sent.
    """
    keeper = keeper_of(run.plan)
    filled = {trial.slot for trial in run.results()}
    for folder in _folders(keeper):
        if _slot(folder.name) in filled:
            clear(folder)
    _remove_old(keeper.folder / STATES, filled)
    if keeper.mirror is None or not (worked or keeper.unsent()):
        return True
    keep_the_best(run, keeper)
    busy = {trial.slot for trial in run.study.at_work()}
    _send_states(keeper, filled, busy, run.plan.sweep.checkpoints.keep_last)
    if not keeper.hands.sender.settle(min(TOLD_AFTER, seconds)):
        if seconds > TOLD_AFTER:
            why = reason_of(keeper.hands.sender.trouble)
            run.say(f"{run.label}: waiting for {keeper.mirror.depot} to take checkpoints ({why})")
        keeper.hands.sender.settle(seconds - TOLD_AFTER)
    keeper.hands.sender.close()
    return tell_unsent(run, keeper)


def tell_unsent(run: StudyRun, keeper: Keeper | None = None) -> bool:
    """Say once which checkpoints are not sent yet, without asking the place; True where all are."""
    keeper = keeper or keeper_of(run.plan)
    left = keeper.unsent()
    if left and keeper.mirror is not None:
        why = keeper.hands.sender.trouble
        run.say(
            f"{run.label}: {counted(len(left), 'checkpoint')} could not be sent to {keeper.mirror.depot}"
            f"{f' ({reason_of(why)})' if why else ''}; kept in {keeper.folder}, and sent by the "
            "next run, or by `recsweep checkpoints sync`"
        )
    return not left


def _send_states(keeper: Keeper, filled: Iterable[int], busy: set[int], keep: int) -> None:
    """Send states of slots that wait, and remove those of filled ones, at the place."""
    mirror = keeper.mirror
    if mirror is None:
        return
    waiting = [folder for folder in _folders(keeper) if _slot(folder.name) not in busy]
    for folder in waiting:
        keeper.prune(folder, keep)
    gone = {f"{STATES}/slot-{slot}" for slot in filled}

    def step() -> None:
        for folder in waiting:
            for unit in units(folder):
                mirror.send(unit)
            mirror.prune(folder, keep)
        mirror.remove(name for name in mirror.names(STATES) if name.rpartition("/")[0] in gone)

    keeper.hands.sender.do("states", step)


def _folders(keeper: Keeper) -> list[Path]:
    return sorted((keeper.folder / STATES).glob("slot-*"))


def _slot(name: str) -> int:
    number = Path(name).stem.removeprefix("slot-")
    return int(number) if number.isdigit() else -1


def _remove_old(folder: Path, filled: Iterable[int]) -> None:
    """Remove what earlier versions kept there, and the folder where it is empty."""
    with suppress(OSError):
        for slot in filled:
            (folder / f"slot-{slot}.pt").unlink(missing_ok=True)
        folder.rmdir()
