"""A worker without training: the real store and the real engine, and an objective that only sleeps.

It does what a worker and its supervisor do to the store, in one process that starts within a second, so
that many of them can be run, stopped and killed.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any

from pydantic import TypeAdapter

from recsweep.common.owner import this_process
from recsweep.search.engines import make_engine
from recsweep.search.engines.base import Observation, Search
from recsweep.study import Claim, Result, Store, Study
from recsweep.sweeps.space import Parameter, Params

DEFINITION = {"objective": "a pause"}
SPACE = TypeAdapter(dict[str, Parameter]).validate_python(
    {
        "learning_rate": {"type": "loguniform", "min": 1e-4, "max": 1e-1},
        "dropout": {"type": "quniform", "min": 0.0, "max": 0.5, "q": 0.1},
        "layers": {"type": "randint", "min": 1, "max": 3},
        "width": {"type": "choice", "values": [32, 64, 128]},
    }
)
DEFAULTS = {"learning_rate": 0.001, "dropout": 0.1, "layers": 1, "width": 64}
# Of the length of a real one.
ENVIRONMENT = {
    "device": "cpu",
    "threads": 1,
    "commit": "0" * 40,
    "versions": {str(i): "1.2.3" for i in range(12)},
}


@dataclass(frozen=True)
class Job:
    """What light workers work on.

    Attributes:
        seconds: how long a trial takes.
        reports: scores that it reports on the way.
        log: a file that gets a line for each trial that ended, or None.
        patience: seconds that the store may be away.
    """

    url: str
    study: str = "light"
    budget: int = 40
    seconds: float = 0.05
    reports: int = 1
    engine: str = "optuna"
    algo: str = "random"
    patience: float = 120.0
    said: list[str] = field(default_factory=list)

    def open(self, *, wait: bool = True) -> tuple[Store, Study]:
        store = Store(self.url, self.patience, self.said.append, wait_to_open=wait)
        return store, store.open_study(self.study, DEFINITION, maximize=True)


class LightSession:
    """A worker's view of the study (`engines.base.Session`)."""

    def __init__(self, job: Job, study: Study) -> None:
        self.search = Search(SPACE, dict(DEFAULTS), True, job.algo, 8)
        self._job, self._study, self._me = job, study, this_process()
        self._claim: Claim | None = None
        self.trials = 0

    def next_slot(self) -> int | None:
        self._claim = self._study.claim(self._job.budget, self._me)
        return self._claim.slot if self._claim else None

    def proposal_seed(self, slot: int) -> int:
        return slot

    def history(self) -> list[Observation]:
        return [Observation(t.slot, t.params, t.score) for t in self._study.results()]

    def running(self) -> list[Params]:
        return []

    def take(self, slot: int, params: Params) -> bool:
        assert self._claim is not None
        return self._study.points.take(self._claim, params, SPACE) is None

    def run(self, slot: int, params: Params) -> Observation:
        claim = self._claim
        assert claim is not None
        score = 1 / (1 + (math.log10(params["learning_rate"]) + 2) ** 2)
        self._study.start(claim, params, SPACE, slot, ENVIRONMENT)
        for epoch in range(1, self._job.reports + 1):
            time.sleep(self._job.seconds / self._job.reports)
            if not self._study.report(claim, epoch, score):
                return Observation(slot, params, None)
        result = Result({"ndcg@10": score}, 1, 1, self._job.seconds)
        self._study.finish(claim, score, result)
        self.trials += 1
        return Observation(slot, params, score)


def work(job: Job, until_closed: bool = True, barrier: Barrier | None = None, ended: Any = None) -> None:
    """Fill slots; `until_closed`: wait for those that others run, and take over what dies."""
    store, study = job.open()
    session = LightSession(job, study)
    engine = make_engine(job.engine)
    if barrier is not None:
        study.claim(0, this_process())  # connected, statements compiled
        barrier.wait()
    while True:
        engine.search(session)
        if not until_closed or not study.ensure_slots(job.budget):
            break
        study.put_back_orphans()
        time.sleep(0.1)
    if ended is not None:
        ended.put((time.monotonic(), session.trials))
    store.close()


_OF_STORES = ("alembic.command", "alembic.script", "psycopg", "sqlalchemy.dialects.postgresql.psycopg")
"""What is imported where a store is opened: more than half of what such a worker would compute."""


def fork_context() -> Any:
    """Processes that fork from one that has imported all this: they start in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_OF_STORES])
    return context


def start(job: Job, count: int, *arguments: Any) -> list[BaseProcess]:
    """Light workers, each in a process of its own."""
    context = fork_context()
    processes = [context.Process(target=work, args=(job, *arguments), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    return processes


def problems(job: Job) -> list[str]:
    """What is wrong with a study that should be closed: every slot counted once, nothing open."""
    store, study = job.open()
    trials, results = study.trials(), study.results()
    store.close()
    found = []
    if [trial.slot for trial in results] != list(range(job.budget)):
        found.append(f"{len(results)} of {job.budget} slots are counted")
    counted = [trial for trial in trials if trial.counted]
    if len(counted) != job.budget:
        found.append(f"{len(counted)} trials count for {job.budget} slots")
    if open_ := [trial for trial in trials if trial.state in ("waiting", "running")]:
        found.append(f"{len(open_)} trials wait or run")
    if doubled := [trial for trial in trials if trial.failure and trial.failure.kind == "duplicate"]:
        found.append(f"{len(doubled)} slots were doubled")
    return found
