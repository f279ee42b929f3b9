"""One run of RecBole's loop under one set of settings: sees every epoch, keeps the best, gives its state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recsweep.common.errors import TrialDiverged
from recsweep.training.live import Live
from recsweep.training.state import TrialState


@dataclass(frozen=True)
class EpochEnd:
    """An epoch of a trial that was validated."""

    epoch: int
    """From 1."""
    score: float
    state: Callable[[], TrialState]
    """All that is needed to go on from here; TrialError where the model keeps what cannot be written."""
    seen: Mapping[str, float] = field(default_factory=dict)
    """All metrics of the validation, and the training `loss`."""
    batches: int = 0
    """That it was trained on."""


class PartDone(Exception):
    """The last epoch under these settings is over: others hold from here."""

    def __init__(self, state: TrialState) -> None:
        super().__init__()
        self.state = state


class Run:
    """RecBole's loop on a trial.

    Args:
        live: the trial, as it was made.
        told: is told of each validation; may raise to stop the trial.
        state: what to go on from; None from the start.
        last: the epoch after which PartDone is raised; None for the end of the training.
        started: when the trial was begun here, by the clock of `time.perf_counter`.
    """

    def __init__(
        self,
        live: Live,
        told: Callable[[EpochEnd], None],
        state: TrialState | None,
        last: int | None,
        started: float,
    ) -> None:
        self._live, self._told, self._last = live, told, last
        self._started = started
        self._before = state.seconds if state is not None else 0.0
        self.epoch = state.epoch if state is not None else 0
        self.curve = dict(state.curve) if state is not None else {}
        self._best = state.best if state is not None else None
        if state is not None:
            live.take_up(state)

    def fit(self) -> tuple[float, dict[str, Any]]:
        """Train to the end.

        Returns:
            The best validation score, and all metrics of that validation.

        Raises:
            TrialDiverged: the loss or the validation score became NaN or infinite.
            PartDone: the last epoch under these settings is over.
        """
        try:
            score, metrics = self._live.fit(self._after_epoch)
        except ValueError as error:
            if "loss is nan" in str(error):
                raise TrialDiverged(f"the training loss is NaN in epoch {self.epoch + 1}") from None
            raise
        _require_finite(score, "validation score", self.epoch)
        return score, metrics or {}

    @property
    def seconds(self) -> float:
        """That the trial took until now."""
        return self._before + time.perf_counter() - self._started

    @property
    def best_epoch(self) -> int:
        """From 1; 0 where none was validated."""
        return 0 if self._best is None else int(self._best["epoch"])

    def checkpoints(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Those of the best and the last epoch."""
        live, best = self._live, self._best
        # Models that are computed rather than trained report no epoch.
        kept = (best["weights"], best["other"]) if best is not None else live.weights()
        last = kept if self.best_epoch in (0, self.epoch) else live.weights()
        settings = best["settings"] if best is not None else live.settings
        return (
            live.checkpoint(kept, self.best_epoch, settings),
            live.checkpoint(last, self.epoch, live.settings),
        )

    def _after_epoch(self, index: int, score: float) -> None:
        self.epoch, score = index + 1, float(score)
        _require_finite(self._live.trainer.train_loss_dict.get(index, 0.0), "training loss", self.epoch)
        _require_finite(score, "validation score", self.epoch)
        self.curve[self.epoch] = score
        self._keep_if_best(score)
        self._told(EpochEnd(self.epoch, score, self._state, self._live.seen(index), self._live.batches))
        if self.epoch == self._last:
            raise PartDone(self._state())

    def _keep_if_best(self, score: float) -> None:
        before = None if self._best is None else self._best["score"]
        # RecBole's early stop takes an equal score as progress too.
        if before is None or (score >= before if self._live.bigger else score <= before):
            weights, other = self._live.weights()
            self._best = {"epoch": self.epoch, "score": score, "weights": weights, "other": other}
            self._best["settings"] = self._live.settings

    def _state(self) -> TrialState:
        return self._live.state(self.epoch, self.seconds, self.curve, self._best)


def _require_finite(value: float, what: str, epoch: int) -> None:
    if not math.isfinite(value):
        raise TrialDiverged(f"the {what} is {value} in epoch {epoch}")
