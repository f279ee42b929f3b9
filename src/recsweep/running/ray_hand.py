"""A worker on a node of Ray: the actor that stands for it there, and starts the process that is it.

The process is the same as on one's own machine, at the other end of a pipe from the actor: so a trial
that takes its process with it is told of by somebody who lives on. It imports no Ray.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from recsweep import __version__
from recsweep.common.errors import RecsweepError
from recsweep.common.owner import Owner
from recsweep.planning.plan import StudyPlan
from recsweep.running.child import child_main
from recsweep.running.commands import Command, Evaluate, Search
from recsweep.running.events import Event, Started
from recsweep.running.local_workers import LocalWorkers
from recsweep.running.ray_data import Fetch, data_here, outputs_here
from recsweep.running.templates import SWITCH
from recsweep.running.threads import threads_of


@dataclass(frozen=True)
class Terms:
    """All that a worker on a node is told before it starts.

    Attributes:
        number: of the worker, for its supervisor.
        owner: who answers for its trials.
        plan: the study that it is started for, with its threads.
        folder: where the supervisor runs, which relative paths are relative to.
        gpus: what Ray gives it of them.
        main: what its process runs.
    """

    number: int
    owner: Owner
    plan: StudyPlan
    folder: Path
    gpus: float
    main: Callable[..., None] = child_main
    version: str = __version__


def terms_of(plan: StudyPlan, number: int, owner: Owner, main: Callable[..., None] = child_main) -> Terms:
    """The terms of a worker of this process's for a study."""
    config = plan.sweep.workers
    own = config.model_copy(update={"threads": threads_of(config)})
    told = replace(plan, sweep=plan.sweep.model_copy(update={"workers": own}))
    return Terms(number, owner, told, Path.cwd(), config.gpus, main)


def enter(terms: Terms) -> LocalWorkers:
    """Make this process an actor's; gives those that start its worker process.

    Raises:
        RecsweepError: the node has another recsweep.
    """
    if terms.version != __version__:
        raise RecsweepError(
            f"this node has recsweep {__version__}, and the run is of {terms.version}; "
            "install the same everywhere"
        )
    if terms.folder.is_dir():
        os.chdir(terms.folder)
    if not terms.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ[SWITCH] = "0"  # one process, of which nothing is forked
    return LocalWorkers(partial(terms.main, owner=terms.owner))


class Hand:
    """The actor. `hear` may wait while `send` is called; each of them is called by one at a time.

    Args:
        terms: of its worker.
    """

    def __init__(self, terms: Terms) -> None:
        self._workers = enter(terms)
        self._workers.start(terms.number, outputs_here(terms.plan))
        self._number = terms.number

    def send(self, command: Command, fetch: Fetch | None = None) -> None:
        """Hand a command on.

        Args:
            fetch: brings the files of its study's data set to a node that does not see them.
        """
        if fetch is not None and isinstance(command, Search | Evaluate):
            command = replace(command, plan=data_here(outputs_here(command.plan), fetch))
        self._workers.send(self._number, command)

    def hear(self, seconds: float) -> list[Event]:
        """The events that the worker has told; waits so long where there is nothing yet."""
        return [_without_gpus(event) for _, event in self._workers.events(seconds)]


def _without_gpus(event: Event) -> Event:
    """Ray has given the worker its GPU, so there is none for its supervisor to give."""
    return Started(0) if isinstance(event, Started) else event
