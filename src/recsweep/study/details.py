"""Details of a trial in the store, typed: what it came to, why it failed, whose it is, where it is from.

Each part is plain JSON in the store, and becomes one of these where it is read and nowhere else. What an
earlier version did not write is None. `wholeness.py` has looked at it before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recsweep.common.owner import Owner
from recsweep.study.states import Reason
from recsweep.sweeps.space import Params


@dataclass(frozen=True)
class Stretch:
    """Epochs of a training under one set of parameters."""

    slot: int
    """Whose trial trained them."""
    from_epoch: int
    """The first of them, from 1; the last one stands before those of the next stretch."""
    params: Params

    def to_dict(self) -> dict[str, Any]:
        return {"slot": self.slot, "from_epoch": self.from_epoch, "params": dict(self.params)}


@dataclass(frozen=True)
class Lineage:
    """All stretches, from the first epoch on, of a trial that took up the weights of others."""

    seed: int
    """Of the trial that began; the random numbers go on from there through all stretches."""
    stretches: tuple[Stretch, ...]

    def parent(self, slot: int) -> tuple[int, int] | None:
        """The slot whose weights a slot's trial took up last, and its own first epoch after that."""
        followed = zip(self.stretches, self.stretches[1:], strict=False)
        found = [(one.slot, then.from_epoch) for one, then in followed if one.slot != slot == then.slot]
        return found[-1] if found else None

    @property
    def params(self) -> Params:
        """The parameters that hold in the end."""
        return dict(self.stretches[-1].params)

    def until(self, epoch: int) -> Lineage:
        """That of the weights as they were when an epoch was over."""
        return Lineage(self.seed, tuple(one for one in self.stretches if one.from_epoch <= epoch))

    def then(self, slot: int, from_epoch: int, params: Params) -> Lineage:
        """That of a slot's trial which goes on from here with its own parameters."""
        return Lineage(self.seed, (*self.stretches, Stretch(slot, from_epoch, params)))

    def to_dict(self) -> dict[str, Any]:
        return {"seed": self.seed, "stretches": [stretch.to_dict() for stretch in self.stretches]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Lineage:
        stretches = (
            Stretch(int(one["slot"]), int(one["from_epoch"]), dict(one["params"]))
            for one in data["stretches"]
        )
        return cls(int(data["seed"]), tuple(stretches))


@dataclass(frozen=True)
class Energy:
    """The energy that a trial took, and what follows from it."""

    kwh: float
    co2_g: float
    """Grams of CO2-equivalent."""
    read: str
    """Where it was read: `rapl`, `nvml`, `estimate`, several with a `+` between them."""
    estimated: bool
    """True where a part of it could not be read."""
    cost: float | None = None
    """In the currency of the sweep's price; None where that is not known."""

    def to_dict(self) -> dict[str, Any]:
        """Plain, without what is not known."""
        plain = {name: getattr(self, name) for name in ("kwh", "co2_g", "read", "estimated")}
        return plain if self.cost is None else {**plain, "cost": self.cost}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Energy:
        numbers = (float(data["kwh"]), float(data["co2_g"]))
        return cls(*numbers, str(data["read"]), bool(data["estimated"]), data.get("cost"))


@dataclass(frozen=True)
class Result:
    """The outcome of a trial on the validation split, and what it took."""

    metrics: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    path: str | None = None
    """Whose code trained it."""
    lineage: Lineage | None = None
    """Of a trial that took up another one's weights."""
    energy: Energy | None = None
    """That it took; None where nobody measured it."""
    test: dict[str, float] | None = None
    """The metrics on the test split: of evidence alone, whose every trial is tested."""
    pretraining: int | None = None
    """Epochs of the stages before, which it trained for itself and those after it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain, without what is not known."""
        parts = {
            "metrics": dict(self.metrics),
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "path": self.path,
            "lineage": self.lineage and self.lineage.to_dict(),
            "energy": self.energy and self.energy.to_dict(),
            "test": None if self.test is None else dict(self.test),
            "pretraining": self.pretraining,
        }
        return {name: value for name, value in parts.items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        return cls(
            dict(data.get("metrics") or {}),
            data.get("best_epoch"),
            data.get("epochs"),
            data.get("seconds"),
            data.get("path"),
            Lineage.from_dict(data["lineage"]) if data.get("lineage") else None,
            Energy.from_dict(data["energy"]) if data.get("energy") else None,
            dict(data["test"]) if data.get("test") is not None else None,
            data.get("pretraining"),
        )


@dataclass(frozen=True)
class Failure:
    """Why a trial failed or was stopped early; `traceback`: the file that holds it, if there is one."""

    kind: Reason
    message: str
    traceback: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain, without a traceback that there is not."""
        plain = {"kind": self.kind.value, "message": self.message}
        return plain | ({"traceback": self.traceback} if self.traceback else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Failure:
        return cls(Reason(data["kind"]), str(data["message"]), str(data.get("traceback") or ""))


@dataclass(frozen=True)
class Inherited:
    """The phase and the slot whose result a trial has, without being trained again."""

    phase: str
    slot: int

    def to_dict(self) -> dict[str, Any]:
        return {"phase": self.phase, "slot": self.slot}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Inherited:
        return cls(str(data["phase"]), int(data["slot"]))


@dataclass(frozen=True)
class Holder:
    """The process that runs a trial, and its last sign of life.

    Attributes:
        beat: number of the sign; -1 where none was given.
        ran: seconds that the trial had run by then, by the process's own clock.
        claim: a word of the claim by which it got the trial.
    """

    process: Owner
    beat: int = -1
    ran: float | None = None
    claim: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain: the process's own keys, and what is known besides."""
        parts = {**self.process.to_dict(), "beat": self.beat, "ran": self.ran, "claim": self.claim}
        optional = ("ran", "claim")
        return {name: value for name, value in parts.items() if value is not None or name not in optional}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Holder:
        ran = data.get("ran")
        return cls(
            Owner.from_dict(dict(data)),
            int(data.get("beat", -1)),
            None if ran is None else float(ran),
            data.get("claim"),
        )

    def describe(self) -> str:
        """`process 17 on host-a`."""
        return f"process {self.process.pid} on {self.process.pid_space.split('/')[0]}"
