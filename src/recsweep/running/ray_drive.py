"""Ray Tune driving one study, in a thread of the supervisor's process.

Its searcher claims a slot in the store and asks the engine what to try there; its trials are actors
(`ray_trial.py`); its scheduler decides which of them go on. What it keeps itself is never read again: a study
that is taken up again is searched by what the store holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

from recsweep.common.errors import RecsweepError
from recsweep.common.owner import Owner
from recsweep.common.surroundings import variables
from recsweep.planning.plan import StudyPlan
from recsweep.running.events import Broken, Changeable, Claimed, Died, Event, Idle, Note, Started
from recsweep.running.ray_data import Fetch
from recsweep.running.ray_floor import Floor
from recsweep.running.ray_hand import Terms
from recsweep.running.ray_parts import FINISHED, Aborted, Slots, Telling
from recsweep.running.ray_population import RayPopulation
from recsweep.running.ray_proposals import Proposals
from recsweep.running.ray_schedulers import Scheduler
from recsweep.running.ray_seats import Doing, RaySeat, RaySeats
from recsweep.running.ray_trial import RayTrial
from recsweep.running.study_run import StudyRun
from recsweep.study import Store, Study
from recsweep.sweeps.scheduler_table import POPULATION

Tell = Callable[[int, Event], None]
"""Takes an event of a seat."""
_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # TensorBoard's files cost more than they tell
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer one prints whatever it is asked
    "TUNE_GLOBAL_CHECKPOINT_S": "60",  # all files are copied then; nobody reads them but people, later
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial may fail before its first epoch
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_GOODBYE_SECONDS = 20.0
_ASK_AGAIN_SECONDS = 1.0
"""A slot that was put back may wait for a population; the store is asked for it so often."""


@dataclass(frozen=True)
class Setting:
    """All that Ray Tune is told before it starts.

    Attributes:
        trainable: what a trial is, with its terms.
        resources: of each trial.
        results: where Ray writes.
        room: how many trials Ray has room for.
    """

    trainable: Any
    resources: dict[str, float]
    results: Path
    room: int


def trainable(terms: Terms, fetch: Fetch | None) -> Any:
    """A trial of Ray Tune with its terms, which go by Ray's object store: no file holds them."""
    return tune.with_parameters(RayTrial, terms=terms, fetch=fetch)


class Drive:
    """One run of Ray Tune on a study, as long as slots wait.

    Args:
        plan: the study.
        setting: how Ray runs it.
        ray: the library, connected.
        tell: takes what happens; may be called by any thread.
    """

    def __init__(self, plan: StudyPlan, setting: Setting, ray: Any, tell: Tell) -> None:
        self.plan, self._setting, self._ray, self._tell = plan, setting, ray, tell
        self._seats = RaySeats(setting.room)
        self._lock = threading.RLock()
        self._ending = False
        self._expected = False
        """True while the supervisor may put another in the seat of one that died."""
        self._scheduler: Scheduler | RayPopulation | None = None
        self._asked = float("-inf")
        """When no slot was left for the seats that members of a population wait for."""
        self._thread = threading.Thread(target=self._main, name="ray-tune", daemon=True)
        self.aborted = False

    # -- asked by the supervisor's thread --------------------------------------------------------

    def seat(self, number: int, owner: Owner) -> bool:
        """Let one more trial run at once; False where this run is about to end, and another has to do it."""
        with self._lock:
            if self._ending:
                return False
            self._seats.add(number, owner)
            self._expected = False
        if not self._thread.is_alive():
            self._thread.start()
        return True

    def leave(self, number: int) -> None:
        """Nothing is told of a seat any more; what runs there is ended."""
        if (seat := self._seats.remove(number)) is not None:
            self._kill(seat)

    def kill(self, number: int) -> None:
        """End the trial of a seat by force; its death is told."""
        if (seat := self._seats.get(number)) is not None:
            seat.killed = True
            self._kill(seat)

    def close(self, *, force: bool = False) -> None:
        """Wait for the end of a run that has nothing to do any more; by force: of any."""
        with self._lock:
            self._ending = True
            self.aborted = force
        if force:
            for seat in self._seats.all():
                self._kill(seat)
        if self._thread.is_alive():
            self._thread.join(timeout=_GOODBYE_SECONDS)

    def _kill(self, seat: RaySeat) -> None:
        actor = seat.trial.temporary_state.ray_actor if seat.trial is not None else None
        if actor is not None:
            self._ray.kill(actor)

    # -- Ray Tune's thread -----------------------------------------------------------------------

    def _main(self) -> None:
        try:
            with StudyRun.opened(self.plan, self._find, self._say) as run:
                self._tune(Proposals(run))
        except Exception as error:
            if not self.aborted:
                self._tell_any(Broken.of(error))
        finally:
            with self._lock:
                self._ending = True

    def _find(self, store: Store) -> Study:
        found = store.find_study(self.plan.name, self.plan.definition)
        if found is None:
            raise RecsweepError(f"study {self.plan.name} is not in the store; it was removed meanwhile")
        return found

    def _say(self, text: str) -> None:
        self._tell_any(Note(text))

    def _tell_any(self, event: Event) -> None:
        self._tell(self._seats.first, event)

    def _tune(self, proposals: Proposals) -> None:
        setting, scheduler = self._setting, self._scheduler_of(proposals.run)
        self._scheduler = scheduler
        at_once = {"TUNE_MAX_PENDING_TRIALS_PG": str(self.plan.sweep.workers.count)}
        with variables(_QUIET | at_once):
            tune.run(
                setting.trainable,
                name=setting.results.name,
                storage_path=str(setting.results.parent.resolve()),
                num_samples=-1,
                search_alg=Slots(lambda: self._next(proposals)),
                scheduler=scheduler,
                resources_per_trial=setting.resources,
                callbacks=[Telling(self), CSVLoggerCallback(), JsonLoggerCallback()],
                stop=Aborted(lambda: self.aborted),
                trial_name_creator=_name,
                trial_dirname_creator=_name,
                reuse_actors=True,
                raise_on_failed_trial=False,
                verbose=0,
                _remote=False,
            )
        if isinstance(scheduler, RayPopulation):
            scheduler.leave()

    def _scheduler_of(self, run: StudyRun) -> Scheduler | RayPopulation:
        if self.plan.sweep.search.scheduler == POPULATION:
            return RayPopulation(self.plan, Floor(run, self._seats, self._tell))
        scheduler = Scheduler(self.plan, _end)
        scheduler.learn(run.results())
        return scheduler

    def _next(self, proposals: Proposals) -> dict[str, Any] | str | None:
        """The config of a trial; None where no seat is free, or no slot waits."""
        seat = self._seats.next()
        if seat is None or time.monotonic() - self._asked < _ASK_AGAIN_SECONDS:
            return self._rest()
        claim = proposals.claim(seat.owner)
        if claim is None:
            return self._none_left()
        seat.take(claim.slot)
        self._tell(seat.number, Claimed(claim))
        told = {"seat": seat.number, "slot": claim.slot, "claim": asdict(claim)}
        if not isinstance(self._scheduler, RayPopulation):
            return {**told, "params": proposals.propose(claim)}
        way = self._scheduler.way_of(claim)
        params = proposals.propose(claim) if way is None else way.params
        return {**told, "params": params, "bred": self._scheduler.bred(claim, params)}

    def _none_left(self) -> str | None:
        """No slot waits: whoever searches is idle, but for those that a population needs later."""
        if self._waits():
            self._asked = time.monotonic()
            return None
        for seat in self._seats.searching():
            seat.doing = Doing.RESTING
            self._tell(seat.number, Idle())
        return self._rest()

    def _rest(self) -> str | None:
        """Nothing now; or nothing any more, where nobody searches and nobody is about to."""
        with self._lock:
            waits = self._seats.busy or self._expected or self._seats.searching() or self._waits()
            if waits and not self._ending:
                return None
            self._ending = True
        return FINISHED

    def _waits(self) -> bool:
        return self._scheduler is not None and self._scheduler.waits()

    # -- told by Ray Tune ------------------------------------------------------------------------

    def began(self, trial: Any) -> None:
        """A trial has its actor, or is about to."""
        if (seat := self._seats.get(trial.config["seat"])) is not None:
            seat.trial = trial

    def told(self, trial: Any, events: list[Event]) -> None:
        """Hand on what a worker process told, but for its own idleness."""
        number = trial.config["seat"]
        for event in events:
            match event:
                case Died():
                    self._bury(number, event)
                case Changeable(names):
                    if isinstance(self._scheduler, RayPopulation):
                        self._scheduler.changeable = names
                case Started() | Idle():
                    pass
                case _ if self._seats.get(number) is not None:
                    self._tell(number, event)

    def ended(self, trial: Any, error: str | None = None) -> None:
        """A trial is over; with an error: its actor is gone."""
        number = trial.config["seat"]
        if error is not None:
            self._bury(number, Died(error))
        seat = self._seats.get(number)
        if seat is not None and seat.slot == trial.config["slot"]:  # one that waited has none
            seat.free()

    def _bury(self, number: int, died: Died) -> None:
        with self._lock:
            seat = self._seats.remove(number)
            self._expected = self._expected or seat is not None
        if seat is not None:
            self._tell(number, Died("killed") if seat.killed else died)


def _end(trial: Any, reason: str) -> None:
    """Have the actor of a trial end it, before its next epoch is asked for."""
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        actor.prune.remote(reason)


def _name(trial: Any) -> str:
    return f"trial-{trial.config['slot']}-{trial.config['claim']['attempt']}"
