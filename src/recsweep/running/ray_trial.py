"""A trial as Ray Tune runs it: an actor that holds a warm worker process, and an epoch to each step.

The actor lives on where a trial takes its process with it, and tells of it. It is used again for the next
trial. All that its process tells goes with the result of a step to the process that runs the search.
"""

from __future__ import annotations

from typing import Any

from ray import tune

from recsweep.planning.plan import StudyPlan
from recsweep.running.commands import Continue, Prune, Train
from recsweep.running.events import Died, EpochDone, Event, Idle
from recsweep.running.ray_data import Fetch, data_here, outputs_here
from recsweep.running.ray_hand import Terms, enter
from recsweep.running.ray_schedulers import EPOCH, SCORE
from recsweep.study import Claim

TOLD = "told"
"""Key of a result: the events."""


class RayTrial(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Trains one slot after the other.

    No scheduler of ours pauses a trial. One that does adds `save_checkpoint` and `load_checkpoint` here.
    """

    def setup(self, config: dict[str, Any], terms: Terms | None = None, fetch: Fetch | None = None) -> None:
        if terms is None:
            raise TypeError("RayTrial is made with its terms")
        self._number = terms.number
        self._workers = enter(terms)
        self._plan: StudyPlan = data_here(outputs_here(terms.plan), fetch)
        self._lives = False
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the trial of a config; the process stays warm."""
        self._word: Continue | Prune = Continue()
        self._waits = False
        self._last: dict[str, Any] = {}
        if not self._lives:
            self._workers.start(self._number, self._plan)
            self._lives = True
        self._send(Train(self._plan, Claim(**new_config["claim"]), new_config["params"]))
        return True

    def prune(self, reason: str) -> None:
        """End the trial at the epoch that it is at."""
        self._word = Prune(reason)

    def step(self) -> dict[str, Any]:
        """Train an epoch, or what is left where there is none."""
        if self._waits:
            self._send(self._word)
        told: list[Event] = []
        done = self._waits = False
        while not (done or self._waits):
            for _, event in self._workers.events(1.0):
                told.append(event)
                match event:
                    case EpochDone(_, epoch, score):
                        self._waits, self._last = True, {EPOCH: epoch, SCORE: score}
                    case Idle(retired):
                        done = True
                        if retired:
                            self._end_process()
                    case Died():
                        done, self._lives = True, False
        return {**self._last, TOLD: told, "done": done}

    def cleanup(self) -> None:
        self._workers.close()

    def _send(self, command: Any) -> None:
        self._workers.send(self._number, command)

    def _end_process(self) -> None:
        self._workers.stop([self._number])
        self._lives = False
