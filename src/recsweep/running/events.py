"""The events that a worker tells its supervisor, and what is told of it. Small, picklable, free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from recsweep.common.errors import RecsweepError
from recsweep.common.files import counted
from recsweep.common.masking import mask, mask_traceback
from recsweep.estimating.probe import Probe
from recsweep.running.gpus import Memory
from recsweep.study import Claim
from recsweep.sweeps.space import Params


@dataclass(frozen=True)
class Started:
    """The process stands and waits for work."""

    gpus: int
    """How many torch sees."""


@dataclass(frozen=True)
class Ready:
    """The worker has its data and goes on to search."""

    device: str
    prepared: str
    """`cached`, or `made in 3.2 s`"""


@dataclass(frozen=True)
class Note:
    """A line for the log."""

    text: str


@dataclass(frozen=True)
class Claimed:
    """A slot was taken."""

    claim: Claim


@dataclass(frozen=True)
class EpochDone:
    """A validation."""

    slot: int
    epoch: int
    score: float
    batches: int = field(default=0, compare=False)
    """That it was trained on; 0: not known."""


@dataclass(frozen=True)
class Left:
    """A trial was left at its epoch's end; its state is in a file, its slot stays taken."""

    slot: int
    path: str


@dataclass(frozen=True)
class Changeable:
    """The parameters of the study that may change while its model trains."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class TrialDone:
    """A trial ended; a score of None: it failed, `reason` says why."""

    slot: int
    score: float | None
    epochs: int
    seconds: float
    reason: str = ""
    pruned: bool = False
    """It was stopped early, `reason` says when and why; its score is its best until then."""
    params: Params = field(default_factory=dict)
    traceback: str = ""
    """Name of the file that holds it, where the trial failed."""


@dataclass(frozen=True)
class Measured:
    """The memory of a GPU that its first trial took."""

    device: str
    memory: Memory


@dataclass(frozen=True)
class PutBack:
    """A trial that shared its GPU ran out of memory; its slot waits for a GPU to itself."""

    slot: int
    reason: str


@dataclass(frozen=True)
class Interrupted:
    """A trial ended with its epoch, as its worker was told to stop; its slot waits again."""

    slot: int
    reason: str


@dataclass(frozen=True)
class Cooling:
    """The worker rests."""

    seconds: float


@dataclass(frozen=True)
class Idle:
    """No slot is left for this worker. `retired`: it has run its share of trials and ends."""

    retired: bool = False


@dataclass(frozen=True)
class Evaluated:
    """The winner was evaluated on the test split."""

    metrics: dict[str, float]


@dataclass(frozen=True)
class Gauged:
    """A configuration was trained for a moment."""

    probe: Probe
    memory: int
    """Most bytes that the worker has held until now."""
    gpu_memory: int | None = None


@dataclass(frozen=True)
class Broken:
    """The worker cannot go on, and it is no trial's fault."""

    kind: str
    """Name of our error class; `bug` for anything else."""
    message: str
    traceback: str = ""
    """The text."""

    @classmethod
    def of(cls, error: Exception, where: str = "") -> Broken:
        """An error as a supervisor is told of it, masked.

        Args:
            where: said of one that is none of ours.
        """
        if isinstance(error, RecsweepError):
            return cls(type(error).__name__, str(error), mask_traceback(error))
        return cls("bug", mask(f"{type(error).__name__}: {error}{where}"), mask_traceback(error))


@dataclass(frozen=True)
class Died:
    """The worker is gone, and tells nothing any more. Whoever holds the workers says so."""

    reason: str
    """`killed by SIGKILL`, `exit code 1`"""


Event = (
    Started
    | Ready
    | Note
    | Claimed
    | EpochDone
    | Left
    | Changeable
    | TrialDone
    | Measured
    | PutBack
    | Interrupted
    | Cooling
    | Idle
    | Evaluated
    | Gauged
    | Broken
    | Died
)


def said(event: Event) -> str:
    """An event in words, for the log of the worker that it is from; empty where it is none for a log."""
    match event:
        case Ready(device, prepared):
            return f"on {device}, data {prepared}"
        case Note(text):
            return text
        case Claimed(claim):
            again = f", attempt {claim.attempt}" if claim.attempt else ""
            return f"trial {claim.slot}{again}"
        case TrialDone():
            return _said_of_trial(event)
        case PutBack(slot, reason) | Interrupted(slot, reason):
            return f"trial {slot} is put back: {reason}"
        case Evaluated(metrics):
            return "the winner on the test split: " + ", ".join(f"{k} {v:.4f}" for k, v in metrics.items())
        case Broken(kind, message):
            return f"{kind}: {message}"
        case _:
            return ""


def _said_of_trial(done: TrialDone) -> str:
    came_to = "failed" if done.score is None else f"{done.score:.4f}"
    why = f": {done.reason}" if done.reason else ""
    where = f"; traceback in {done.traceback}" if done.traceback else ""
    how = f"{counted(done.epochs, 'epoch')}, {done.seconds:.1f} s, {done.params}"
    return f"trial {done.slot} {came_to}{why}{where}; {how}"
