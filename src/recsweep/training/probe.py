"""One configuration trained for a moment, on the very path of a trial, to see what an epoch of it takes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from recsweep.estimating.probe import Point, Probe
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.data import Split
from recsweep.training.live import Live
from recsweep.training.run import EpochEnd, Run

MOST_VALIDATED = 20_000
"""Rows of a validation that are ranked; the time for more is taken in proportion."""
_EPOCH_SECONDS, _EPOCH_SHARE = 5.0, 0.3
"""An epoch is cut after so many seconds, or so much of the time that there is."""
_LEAST_BATCHES = 3
_WARM_EPOCHS = 2
"""Epochs from which on one of them tells what all others take."""


class _Enough(Exception):
    """All is seen that there is time for."""


def probe(
    settings: Mapping[str, Any],
    split: Split,
    device: torch.device,
    point: Point,
    seconds: float,
    *,
    to_its_end: bool,
) -> Probe:
    """Train a configuration for about so many seconds; it may be done by then.

    Args:
        settings: the complete RecBole config of the point.
        split: the prepared data.
        device: where to train.
        to_its_end: go on while there is time, to see when it stops; else two epochs will do.

    Raises:
        Exception: whatever a trial of it would fail with.
    """
    sample, share = _sampled(split)
    started = time.perf_counter()
    with recbole.clean_globals(), tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
        live = Live(settings, sample, device, Path(scratch))
        made = time.perf_counter()
        clock = _Clock(live, made + seconds, share, to_its_end=to_its_end)
        run = Run(live, clock.after_epoch, None, None, started)
        try:
            run.fit()
            clock.finished = share == 1.0
        except _Enough:
            pass
        live.steps.close()
        run.checkpoints()  # a trial holds them in memory too
    found = Probe(point.name, dict(point.params), setup_seconds=made - started, path=str(live.path))
    return clock.told(found, run.epoch)


def _sampled(split: Split) -> tuple[Split, float]:
    """The split with no more than so many validation rows, and how many times more work all of them are."""
    train, valid, test = split.parts
    rows = valid.inter_feat
    if len(rows) <= MOST_VALIDATED:
        return split, 1.0
    some = valid.copy(rows[:MOST_VALIDATED])
    if hasattr(valid, "item_list_length_field"):  # sequences: each row is a case of its own
        return replace(split, parts=(train, some, test)), len(rows) / MOST_VALIDATED
    users, all_users = (int(one[valid.uid_field].unique().numel()) for one in (some.inter_feat, rows))
    return replace(split, parts=(train, some, test)), all_users / users


class _Clock:
    """Measures the epochs of a trial, cuts those that are long, and ends it when enough is seen.

    Args:
        live: the trial; changed in place.
        deadline: when to end, by `time.perf_counter`.
        share: how many times more work a validation is than what is validated here.
        to_its_end: go on until then.
    """

    def __init__(self, live: Live, deadline: float, share: float, *, to_its_end: bool) -> None:
        self._deadline, self._share, self._to_its_end = deadline, share, to_its_end
        self._left_out = 0.0
        """Seconds that the rest of this epoch's batches would take."""
        self._validation = 0.0
        self._epochs: list[float] = []
        self._validations: list[float] = []
        self.cut = self.finished = False
        live.limit(self._limited)
        self._watch_validation(live.trainer)
        self._began = time.perf_counter()
        self._longest = min(_EPOCH_SECONDS, _EPOCH_SHARE * (deadline - self._began))

    def _watch_validation(self, trainer: Any) -> None:
        validate = trainer._valid_epoch

        def watched(*given: Any, **named: Any) -> Any:
            started = time.perf_counter()
            found = validate(*given, **named)
            self._validation = time.perf_counter() - started
            return found

        trainer._valid_epoch = watched

    def _limited(self, batches: Iterable[Any], total: int) -> Iterator[Any]:
        """The batches of an epoch, as many as there is time for."""
        started = last = time.perf_counter()
        taken: list[float] = []
        source = iter(batches)
        while True:
            try:
                batch = next(source)
            except StopIteration:
                return
            yield batch
            now = time.perf_counter()
            taken.append(now - last)
            last = now
            if now - started > self._longest and _LEAST_BATCHES <= len(taken) < total:
                warm = taken[1:]  # the first one waits for memory and threads
                self._left_out += (total - len(taken)) * sum(warm) / len(warm)
                self.cut = True
                return

    def after_epoch(self, end: EpochEnd) -> None:
        """Note what an epoch took.

        Raises:
            _Enough: there is no time for another one, or none is needed.
        """
        now = time.perf_counter()
        self._epochs.append(now - self._began + self._left_out + self._validation * (self._share - 1))
        self._validations.append(self._validation * self._share)
        self._began, self._left_out = now, 0.0
        enough = self.cut or (not self._to_its_end and len(self._epochs) >= _WARM_EPOCHS)
        if enough or now + self._epochs[-1] > self._deadline:
            raise _Enough

    def told(self, found: Probe, epochs: int) -> Probe:
        """The numbers. The first epoch waits for memory and threads, and counts where there is no other."""
        now = time.perf_counter()
        whole = self._epochs[1:] or self._epochs or [now - self._began]
        validations = self._validations[1:] or self._validations or [self._validation]
        return replace(
            found,
            epoch_seconds=sum(whole) / len(whole),
            validation_seconds=sum(validations) / len(validations),
            epochs=max(1, epochs),
            finished=self.finished and not self.cut,
        )
