"""All checkpoints of one study, on this machine and where they are sent besides.

Of a trial in training, its states (`resume/slot-<n>/`); of the best trials, their weights (`trial-<n>/`).
Both are written here first. What is sent is sent later, by a thread of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recsweep.checkpoints.background import Background, reason_of, within
from recsweep.checkpoints.manifest import Identity, Manifest, facts_of
from recsweep.checkpoints.mirror import Mirror
from recsweep.checkpoints.units import STATES, Unit, clear, units

ASK_SECONDS = 60.0
"""How long a trial waits for a place that is away, where a checkpoint of its slot may be there."""
ASK_AGAIN_SECONDS = 5.0
"""The same where it was away the last time."""
SLOWEST = 1 << 20
"""Bytes a second, of a checkpoint that is brought here."""
WEIGHTS = "manifest"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Hands:
    """The threads of a process that write and send."""

    writer: Background
    sender: Background

    @classmethod
    def made(cls) -> Hands:
        """Two that have nothing to do yet."""
        return cls(Background("checkpoints"), Background("checkpoints-sent", again=True))


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that a trial may go on from."""

    unit: Unit
    manifest: Manifest | None
    here: bool


class Keeper:
    """The checkpoints of a study.

    Args:
        identity: what its trials have in common.
        folder: where they are on this machine.
        mirror: where they are sent; None: nowhere.
        hands: that write and send them.
    """

    def __init__(self, identity: Identity, folder: Path, mirror: Mirror | None, hands: Hands) -> None:
        self.identity, self.folder, self.mirror, self.hands = identity, folder, mirror, hands
        self._patience = ASK_SECONDS
        self._sending: Unit | None = None

    def slot(self, slot: int) -> Path:
        """The folder of the states of a slot's trial."""
        return self.folder / STATES / f"slot-{slot}"

    def weights(self, slot: int) -> Unit:
        """The weights of a trial."""
        return Unit(self.folder / f"trial-{slot}", WEIGHTS)

    def described(self, slot: int, attempt: int, epoch: int, score: float) -> Manifest:
        """A manifest without files yet."""
        now, own = datetime.now().isoformat(timespec="seconds"), self.identity
        versions = dict(own.versions)
        return Manifest(
            own.study, own.definition, versions, own.commit, slot, attempt, epoch, float(score), now
        )

    # -- states ------------------------------------------------------------------------------------

    def write(self, about: Manifest, save: Callable[[Path], None], keep: int) -> None:
        """Write a state in the background; one that still waits to be written is not written any more.

        Args:
            save: writes it to a file.
            keep: how many of the trial's states are to stay.
        """
        folder = self.slot(about.slot)
        unit = Unit(folder, state_name(about.epoch, about.attempt))

        def step() -> None:
            _written(unit, about, save)
            self.prune(folder, keep)
            self.follow(about.slot, keep)

        self.hands.writer.do(f"state {folder}", step)

    def prune(self, folder: Path, keep: int) -> None:
        """Remove all but the last states, and the one that is being sent.

        Where they are made faster than they can be sent, none would ever arrive.
        """
        for old in units(folder)[:-keep]:
            if old != self._sending:
                old.remove()

    def follow(self, slot: int, keep: int) -> None:
        """Let the last states of a slot that this process has be at the place too."""
        mirror, folder = self.mirror, self.slot(slot)
        if mirror is None:
            return

        def sending(unit: Unit | None) -> None:
            self._sending = unit
            if unit is None:
                self.prune(folder, keep)

        self.hands.sender.do(f"state {folder}", lambda: mirror.follow(folder, keep, sending))

    def drop(self, slot: int, *, sent: bool = False) -> None:
        """The slot is filled, or nothing is to go on from here: its states go, here and at the place.

        Args:
            sent: another machine may have left some at the place.
        """
        folder = self.slot(slot)
        self.hands.writer.do(f"state {folder}", lambda: None)
        self.hands.writer.settle(ASK_SECONDS)  # what is being written is not to come after this
        sent = sent or folder.is_dir()
        clear(folder)
        with suppress(OSError):
            folder.with_suffix(".pt").unlink(missing_ok=True)  # of an earlier version
            folder.parent.rmdir()  # with the last one of them
        mirror = self.mirror
        if sent and mirror is not None:
            self.hands.sender.do(f"state {folder}", lambda: mirror.clear(folder))

    def forget(self, one: Candidate) -> None:
        """Remove a state that nobody can go on from: it would count as one that is kept."""
        mirror = self.mirror
        if one.here:
            one.unit.remove()
        elif mirror is not None:
            self.hands.sender.do(f"state {one.unit.path}", lambda: mirror.forget(one.unit))

    def candidates(self, slot: int, tell: Tell, *, sent: bool) -> list[Candidate]:
        """The states of a slot, the latest first; of one that is here and there, that here first.

        Args:
            sent: another machine may have left some.
        """
        folder = self.slot(slot)
        found = [Candidate(unit, unit.manifest(), True) for unit in units(folder)]
        if sent and (mirror := self.mirror) is not None:
            try:
                there = within(self._patience, lambda: mirror.manifests(folder))
                self._patience = ASK_SECONDS
                found += [Candidate(unit, manifest, False) for unit, manifest in there]
            except OSError as error:
                self._patience = ASK_AGAIN_SECONDS
                tell(f"{mirror.depot} cannot be asked for a checkpoint ({error}); what is here is looked at")
        return sorted(found, key=lambda one: (one.unit.name, one.here), reverse=True)

    def brought(self, one: Candidate) -> str:
        """Bring a candidate here where it is not; what is wrong with it, or empty.

        Raises:
            OSError: it cannot be brought now.
        """
        manifest, mirror = one.manifest, self.mirror
        if manifest is None:
            return "its manifest is not whole"
        if wrong := manifest.foreign(self.identity):
            return wrong
        if one.here:
            return manifest.damage(one.unit.folder)
        if mirror is None:
            return "there is no place that it is at"
        size = sum(facts["bytes"] for facts in manifest.files.values())
        return within(ASK_SECONDS + size / SLOWEST, lambda: mirror.fetch(one.unit, manifest))

    # -- weights -----------------------------------------------------------------------------------

    def keep_weights(self, about: Manifest) -> None:
        """The weights of a trial are written: they are a checkpoint from here on."""
        unit = self.weights(about.slot)
        _described(unit, about, [path.name for path in sorted(unit.folder.glob("*.pth"))])

    def send_weights(self, best: Iterable[int], beaten: Iterable[int]) -> None:
        """Let the weights of the best trials be at the place, and none of those that others beat."""
        mirror = self.mirror
        if mirror is None:
            return
        kept, gone = [self.weights(slot) for slot in best], {f"trial-{slot}" for slot in beaten}

        def step() -> None:
            for unit in kept:
                mirror.send(unit)
            mirror.remove(name for name in mirror.names() if name.partition("/")[0] in gone)

        self.hands.sender.do(f"weights {self.folder}", step)

    def forget_weights(self, slot: int) -> None:
        """Remove the weights of a trial that others beat."""
        self.weights(slot).remove()
        shutil.rmtree(self.weights(slot).folder, ignore_errors=True)

    def fetch_weights(self, slot: int, tell: Tell) -> bool:
        """Bring the weights of a trial here from the place; True where they are here now."""
        mirror, unit = self.mirror, self.weights(slot)
        if mirror is None:
            return False
        try:
            for one, manifest in within(ASK_SECONDS, lambda: mirror.manifests(unit.folder)):
                wrong = self.brought(Candidate(one, manifest, False)) if one == unit else ""
                if wrong:
                    tell(f"the weights of trial {slot} at {mirror.depot} are not used, as {wrong}")
        except OSError as error:
            tell(f"{mirror.depot} cannot be asked for the weights of trial {slot} ({error})")
        return unit.path.is_file()

    # -- what is not sent yet ----------------------------------------------------------------------

    def unsent(self) -> list[Unit]:
        """Checkpoints that are here, and not at the place as far as is known."""
        if self.mirror is None:
            return []
        return [unit for unit in self.all_units() if not unit.is_sent(self.mirror.depot)]

    def all_units(self) -> list[Unit]:
        """Every checkpoint that is here."""
        folders = [*self.folder.glob("trial-*"), *(self.folder / STATES).glob("slot-*")]
        return [unit for one in sorted(folders) for unit in units(one)]

    def trouble(self) -> str:
        """Why they are not, in a few words."""
        return reason_of(self.hands.sender.trouble)


def state_name(epoch: int, attempt: int) -> str:
    """Name of a state; those of a slot sort by their epochs."""
    return f"epoch-{epoch:07d}-attempt-{attempt:03d}"


def _written(unit: Unit, about: Manifest, save: Callable[[Path], None]) -> None:
    save(unit.folder / f"{unit.name}.pt")
    _described(unit, about, [f"{unit.name}.pt"])


def _described(unit: Unit, about: Manifest, names: list[str]) -> None:
    for name in names:
        about.files[name] = facts_of(unit.folder / name)
    unit.write(about)
