"""A worker: a warm process that takes slots and trains them until none is left.

It prepares a data set once and keeps it. Whatever a trial does wrong becomes a result with its
reason; what is not a trial's fault (disk full, store unreachable) ends the worker, not the trial.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from recsweep.checkpoints.keeper import Hands
from recsweep.common.address import StoreAddress
from recsweep.common.devices import resolve_device
from recsweep.common.errors import RecsweepError, disk_trouble
from recsweep.common.owner import Owner
from recsweep.datasets.prepare import Prepared, prepare
from recsweep.planning.plan import StudyPlan
from recsweep.running import gpu_memory
from recsweep.running.bench import Bench
from recsweep.running.changing import changeable
from recsweep.running.commands import Gauge, Stop, Train, Word
from recsweep.running.evaluate import evaluate_winner
from recsweep.running.events import Changeable, Evaluated, Event, Idle, Note, Ready
from recsweep.running.gauging import gauge
from recsweep.running.gpus import Seat
from recsweep.running.session import StudySession
from recsweep.running.study_run import StudyRun
from recsweep.running.trial_run import TrialRun
from recsweep.search.engines import make_engine
from recsweep.study import DATA_ATTRIBUTE, Store
from recsweep.sweeps.engine_table import OPTUNA
from recsweep.sweeps.space import Params

_KEPT_SPLITS = 2
LAST_SECONDS = 2.0
"""How long each thread has to end what it does, of a worker that is told to end."""


class Worker:
    """One process's work on any number of studies.

    Args:
        owner: who answers for this worker's trials; the supervisor, which outlives it.
        send: takes every event.
        stop: asked before each claim, and after each epoch; None: go on.
        word: waited for after each epoch of a trial that somebody else decides on; None: all is to stop.
    """

    def __init__(
        self,
        owner: Owner,
        send: Callable[[Event], None],
        stop: Callable[[], Stop | None] = lambda: None,
        word: Callable[[], Word | None] = lambda: None,
    ) -> None:
        self.owner, self.send, self.stop, self._word = owner, send, stop, word
        self._bench: Bench | None = None
        self._stores: dict[StoreAddress, Store] = {}
        self._splits: dict[str, Prepared] = {}
        self._trials_run = 0
        self.hands = Hands.made()
        """The threads that write and send checkpoints."""
        self.last_study = ""
        """Name of the study that this worker last trained for."""
        self.dropped = 0
        """Results in a row that were dropped, as another process had put their slots back."""

    def search(self, plan: StudyPlan, seat: Seat | None = None) -> None:
        """Fill slots of a study until none waits, or until the seat's terms end the search.

        Args:
            seat: a GPU and the terms on which it may be used; None: the config's device, unshared.
        """
        bench = self._bench_for(plan, seat)
        session = StudySession(bench)
        # Where nothing is searched nothing is proposed, whatever the engine.
        make_engine(plan.sweep.search.engine if plan.space else OPTUNA).search(session)
        gpu_memory.release(bench.device)  # for those that train on while this worker waits
        self.send(Idle(retired=session.retired))

    def train(self, command: Train) -> None:
        """Train a slot that was claimed for this worker, and wait for a word after each of its epochs."""
        plan, bred, bench = command.plan, command.bred, self._bench
        if bench is None or bench.run.plan.name != plan.name:
            bench = self._bench = self._bench_for(plan, None)
            bench.judge = self._word
        elif bred is None or bred.state is None:  # a trial that goes on has rested
            bench.rest()
        if bred is not None and bred.asks:
            self.send(Changeable(changeable(plan, bench.split_for(command.params, command.claim.slot))))
        trial = TrialRun(bench, command.claim, command.params, bred)
        trial.train()
        gpu_memory.release(bench.device)
        self.send(Idle(retired=not trial.left and self.count_trial(plan.sweep.workers.trials_per_worker)))

    def gauge(self, command: Gauge) -> None:
        """Train configurations of a study for a moment each."""
        device = _device(command.plan, None)
        for gauged in gauge(self, command, device):
            self.send(gauged)
        gpu_memory.release(device)
        self.send(Idle())

    def _bench_for(self, plan: StudyPlan, seat: Seat | None) -> Bench:
        """Where the trials of a study are trained; the store is told of its data."""
        device = _device(plan, seat)
        gpu_memory.wake(device)
        prepared = self.prepared(plan, device)
        run = self.run(plan)
        if DATA_ATTRIBUTE not in run.study.attributes:
            run.study.set_attribute(DATA_ATTRIBUTE, prepared.split.statistics)
        return Bench(self, run, prepared, device, seat)

    def evaluate(self, plan: StudyPlan, seat: Seat | None = None, *, users: bool = False) -> None:
        """Evaluate the winner of a closed study on the test split.

        Args:
            users: its scores per user are made again, where it was evaluated before.
        """
        device = _device(plan, seat)
        run = self.run(plan)
        try:
            metrics = evaluate_winner(run, device, users=users)
        except Exception as error:
            if isinstance(error, RecsweepError) or disk_trouble(error):
                raise
            found = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            raise RecsweepError(f"{plan.label}: the test of the winner failed; {found}") from error
        gpu_memory.release(device)
        self.send(Evaluated(metrics))

    def run(self, plan: StudyPlan) -> StudyRun:
        """A study to work on. One that was opened from another config is left as it is."""
        store = self._store(plan)
        found = store.find_study(plan.name, plan.definition)
        study = found or store.open_study(plan.name, plan.definition, maximize=plan.directions)
        return StudyRun(plan, study, self._say)

    def _say(self, text: str) -> None:
        self.send(Note(text))

    def _store(self, plan: StudyPlan) -> Store:
        """The store of a study, opened once."""
        url, patience = plan.storage_url, plan.sweep.workers.store_patience_seconds
        if url not in self._stores:
            self._stores[url] = Store(url, patience, self._say, wait_to_open=True)
        return self._stores[url]

    def close(self) -> None:
        """Give back the connections to the stores. What is not sent by then is sent later, by others."""
        self.hands.writer.settle(LAST_SECONDS)
        self.hands.sender.settle(LAST_SECONDS)
        for store in self._stores.values():
            store.close()

    def prepared(
        self,
        plan: StudyPlan,
        device: torch.device,
        params: Params | None = None,
        split_seed: int | None = None,
    ) -> Prepared:
        """The study's data, kept from one study to the next where it is the same.

        Args:
            params: of a trial, where what a model needs depends on them.
            split_seed: of another split than the search's.
        """
        started = time.perf_counter()
        chosen = plan.defaults if params is None else params
        settings = plan.settings(chosen, plan.sweep.seed, split_seed)
        found = prepare(settings, plan.files, plan.outputs.cache, self._splits)
        self._splits.pop(found.key, None)
        self._splits[found.key] = found  # the last one
        while len(self._splits) > _KEPT_SPLITS:
            self._splits.pop(next(iter(self._splits)))
        how = "cached" if found.cached else f"made in {time.perf_counter() - started:.1f} s"
        if not found.kept:
            how += "; the cache cannot be written"
        self.send(Ready(str(device), how))
        return found

    def count_trial(self, limit: int) -> bool:
        """True where the worker has run its share of trials and is to be replaced."""
        self._trials_run += 1
        return self._trials_run >= limit


def _device(plan: StudyPlan, seat: Seat | None) -> torch.device:
    device = resolve_device(seat.device if seat else plan.sweep.training.device)
    if seat and device.type == "cuda":
        torch.cuda.set_device(device)  # some of RecBole's models say `.cuda()`, which is the current one
    return device
