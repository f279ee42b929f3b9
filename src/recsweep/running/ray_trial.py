"""A trial as Ray Tune runs it: an actor that holds a warm worker process, and an epoch to each step.

The actor lives on where a trial takes its process with it, and tells of it. It is used again for the next
trial. All that its process tells goes with the result of a step to the process that runs the search. A member
of a population is left at the epoch where all are compared, and goes on from a file, in whichever actor.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ray import tune

from recsweep.common.errors import RecsweepError
from recsweep.planning.plan import StudyPlan
from recsweep.running.commands import Bred, Continue, Prune, Save, Train
from recsweep.running.events import Died, EpochDone, Event, Idle, Left
from recsweep.running.population import state_file
from recsweep.running.ray_data import Fetch, data_here, outputs_here
from recsweep.running.ray_hand import Terms, enter
from recsweep.running.ray_population import LEFT, pointer
from recsweep.running.ray_schedulers import EPOCH, SCORE
from recsweep.study import Claim, Lineage
from recsweep.sweeps.scheduler_table import NO_SCHEDULER, POPULATION

TOLD = "told"
"""Key of a result: the events."""


class RayTrial(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Trains one slot after the other."""

    def setup(self, config: dict[str, Any], terms: Terms | None = None, fetch: Fetch | None = None) -> None:
        if terms is None:
            raise TypeError("RayTrial is made with its terms")
        self._number = terms.number
        self._workers = enter(terms)
        _require_shared(terms.plan)
        self._plan: StudyPlan = data_here(outputs_here(terms.plan), fetch)
        self._decides = terms.plan.sweep.search.scheduler not in (NO_SCHEDULER, POPULATION)
        self._lives = False
        self._heard: deque[Event] = deque()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be the trial of a config; the process stays warm.

        A member of a population begins with its first step: what it goes on from may be loaded before.
        """
        self._trial = new_config
        self._word: Continue | Prune = Continue()
        self._begun = self._waits = False
        self._last: dict[str, Any] = {}
        self._state: str | None = new_config.get("bred", {}).get("state")
        if "bred" not in new_config:
            self._begin()
        return True

    def prune(self, reason: str) -> None:
        """End the trial at the epoch that it is at."""
        self._word = Prune(reason)

    def step(self) -> dict[str, Any]:
        """Train an epoch, or what is left where there is none.

        Only where a scheduler decides on each epoch does the process wait for its word.
        """
        if not self._begun:
            self._begin()
        elif self._waits:
            self._send(self._word)
        told: list[Event] = []
        over = ended_epoch = self._waits = False
        while not (over or ended_epoch):
            event = self._next_event()
            told.append(event)
            match event:
                case EpochDone(_, epoch, score):
                    self._last = {EPOCH: epoch, SCORE: score}
                    ended_epoch = not self._leave_at(epoch)
                    self._waits = ended_epoch and self._decides
                    if ended_epoch and not self._decides:
                        self._send(Continue())
                case Idle(retired):
                    over = True
                    if retired:
                        self._end_process()
                case Died():
                    over, self._lives = True, False
        left = any(isinstance(event, Left) for event in told)
        return {**self._last, TOLD: told, LEFT: left, "done": over and not left}

    def _next_event(self) -> Event:
        while not self._heard:
            self._heard += (event for _, event in self._workers.events(1.0))
        return self._heard.popleft()

    def _begin(self) -> None:
        if not self._lives:
            self._workers.start(self._number, self._plan)
            self._lives = True
        self._begun, bred = True, self._trial.get("bred")
        told = bred and Bred(Lineage.from_dict(bred["lineage"]), self._state, bred["since"], bred["asks"])
        self._send(Train(self._plan, Claim(**self._trial["claim"]), self._trial["params"], told))

    def _leave_at(self, epoch: int) -> bool:
        """Have the process leave a member at the epoch where all are compared; False where it is another."""
        bred = self._trial.get("bred")
        if bred is None or not bred["until"] <= epoch < self._plan.sweep.training.epochs:
            return False
        self._state = str(state_file(self._plan, Lineage.from_dict(bred["lineage"]), epoch))
        self._send(Save(self._state))
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> str:
        """Name the file in which the trial was left: Ray hands that on to whoever takes it up."""
        pointer(checkpoint_dir).write_text(str(self._state), encoding="utf-8")
        return checkpoint_dir

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from the file that a checkpoint names."""
        self._state = pointer(checkpoint).read_text(encoding="utf-8")

    def cleanup(self) -> None:
        self._workers.close()

    def _send(self, command: Any) -> None:
        self._workers.send(self._number, command)

    def _end_process(self) -> None:
        self._workers.stop([self._number])
        self._lives = False


def _require_shared(plan: StudyPlan) -> None:
    """A population hands its states on in files.

    Raises:
        RecsweepError: this node does not see the folder that they are in.
    """
    if plan.sweep.search.scheduler == POPULATION and not plan.sweep.outputs.is_dir():
        raise RecsweepError(
            f"this node does not see the folder {plan.sweep.outputs} of the run, and scheduler {POPULATION} "
            "hands trials on in files; give `outputs` in a folder that all nodes share, or take another one"
        )
