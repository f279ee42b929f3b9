"""Ray Tune driving one study, in a thread of the supervisor's process.

Its searcher claims a slot in the store and asks the engine what to try there; its trials are actors
(`ray_trial.py`); its scheduler decides which of them go on. What it keeps itself is never read again: a study
that is taken up again is searched by what the store holds.
"""

from __future__ import annotations

import threading
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
from recsweep.running.events import Broken, Claimed, Died, Event, Idle, Note, Started
from recsweep.running.history import observations, running_beside, search_of
from recsweep.running.ray_data import Fetch
from recsweep.running.ray_hand import Terms
from recsweep.running.ray_parts import FINISHED, Aborted, Slots, Telling
from recsweep.running.ray_schedulers import Scheduler
from recsweep.running.ray_trial import RayTrial
from recsweep.running.study_run import StudyRun
from recsweep.search.engines.base import Observation
from recsweep.search.engines.ray_ import propose
from recsweep.study import Claim, Store, Study
from recsweep.sweeps.space import Params

Tell = Callable[[int, Event], None]
"""Takes an event of a seat."""
_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # TensorBoard's files cost more than they tell
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer one prints whatever it is asked
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_GOODBYE_SECONDS = 20.0


@dataclass
class _Seat:
    """One trial at once."""

    number: int
    owner: Owner
    searching: bool = True
    trial: Any = None
    """Ray Tune's, from its claim on."""
    killed: bool = False
    busy: bool = False


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
        self._seats: dict[int, _Seat] = {}
        self._lock = threading.RLock()
        self._ending = False
        self._expected = False
        """True while the supervisor may put another in the seat of one that died."""
        self._thread = threading.Thread(target=self._main, name="ray-tune", daemon=True)
        self.aborted = False

    # -- asked by the supervisor's thread --------------------------------------------------------

    def seat(self, number: int, owner: Owner) -> bool:
        """Let one more trial run at once; False where this run is about to end, and another has to do it."""
        with self._lock:
            if self._ending:
                return False
            self._seats[number] = _Seat(number, owner)
            self._expected = False
        if not self._thread.is_alive():
            self._thread.start()
        return True

    def leave(self, number: int) -> None:
        """Nothing is told of a seat any more; what runs there is ended."""
        with self._lock:
            seat = self._seats.pop(number, None)
        if seat is not None and seat.busy:
            self._kill(seat)

    def kill(self, number: int) -> None:
        """End the trial of a seat by force; its death is told."""
        with self._lock:
            seat = self._seats.get(number)
        if seat is not None:
            seat.killed = True
            self._kill(seat)

    def close(self, *, force: bool = False) -> None:
        """Wait for the end of a run that has nothing to do any more; by force: of any."""
        with self._lock:
            self._ending = True
            self.aborted = force
            seats = list(self._seats.values())
        if force:
            for seat in seats:
                self._kill(seat)
        if self._thread.is_alive():
            self._thread.join(timeout=_GOODBYE_SECONDS)

    def _kill(self, seat: _Seat) -> None:
        actor = seat.trial.temporary_state.ray_actor if seat.trial is not None else None
        if actor is not None:
            self._ray.kill(actor)

    # -- Ray Tune's thread -----------------------------------------------------------------------

    def _main(self) -> None:
        try:
            with StudyRun.opened(self.plan, self._find, self._say) as run:
                self._tune(_Proposals(run))
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
        with self._lock:
            number = next(iter(self._seats), 0)
        self._tell(number, event)

    def _tune(self, proposals: _Proposals) -> None:
        run, setting = proposals.run, self._setting
        scheduler = Scheduler(self.plan, _end)
        scheduler.learn(run.results())
        with variables(_QUIET):
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

    def _next(self, proposals: _Proposals) -> dict[str, Any] | str | None:
        """The config of a trial; None where no seat is free, or no slot waits."""
        with self._lock:
            free = [seat for seat in self._seats.values() if seat.searching and not seat.busy]
            busy = sum(seat.busy for seat in self._seats.values())
            if not free or busy >= self._setting.room:
                return self._rest(busy)
        claim = proposals.claim(free[0].owner)
        if claim is None:
            for seat in free:
                seat.searching = False
                self._tell(seat.number, Idle())
            with self._lock:
                return self._rest(busy)
        seat = free[0]
        seat.busy = True
        self._tell(seat.number, Claimed(claim))
        params = proposals.propose(claim)
        return {"seat": seat.number, "slot": claim.slot, "params": params, "claim": asdict(claim)}

    def _rest(self, busy: int) -> str | None:
        """Nothing now; or nothing any more, where nobody searches and nobody is about to."""
        waits = busy or self._expected or any(seat.searching for seat in self._seats.values())
        if waits and not self._ending:
            return None
        self._ending = True
        return FINISHED

    # -- told by Ray Tune ------------------------------------------------------------------------

    def began(self, trial: Any) -> None:
        """A trial has its actor, or is about to."""
        if (seat := self._seats.get(trial.config["seat"])) is not None:
            seat.trial = trial

    def told(self, trial: Any, events: list[Event]) -> None:
        """Hand on what a worker process told, but for its own idleness."""
        number = trial.config["seat"]
        for event in events:
            if isinstance(event, Died):
                self._bury(number, event)
            elif not isinstance(event, Started | Idle) and number in self._seats:
                self._tell(number, event)

    def ended(self, trial: Any, error: str | None = None) -> None:
        """A trial is over; with an error: its actor is gone."""
        number = trial.config["seat"]
        if error is not None:
            self._bury(number, Died(f"its node or its actor is gone ({error})"))
        if (seat := self._seats.get(number)) is not None:
            seat.busy, seat.trial = False, None

    def _bury(self, number: int, died: Died) -> None:
        with self._lock:
            seat = self._seats.pop(number, None)
            self._expected = self._expected or seat is not None
        if seat is not None:
            self._tell(number, Died("killed") if seat.killed else died)


class _Proposals:
    """A study as the engine sees it from Ray Tune's thread (`engines.base.Session`, without its training)."""

    def __init__(self, run: StudyRun) -> None:
        self.run = run
        self.search = search_of(run.plan, run.study)
        self._claim: Claim | None = None

    def claim(self, owner: Owner) -> Claim | None:
        """A slot, where one waits and nothing speaks against it."""
        if self.run.stop_asked() is not None or self.run.closed() is not None:
            return None
        self._claim = self.run.claim(owner)
        return self._claim

    def propose(self, claim: Claim) -> Params:
        return propose(self, claim.slot)  # type: ignore[arg-type]

    def proposal_seed(self, slot: int) -> int:
        return self.run.plan.proposal_seed(slot)

    def history(self) -> list[Observation]:
        return observations(self.run)

    def running(self) -> list[Params]:
        return running_beside(self.run, self._claim)


def _end(trial: Any, reason: str) -> None:
    """Have the actor of a trial end it, before its next epoch is asked for."""
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        actor.prune.remote(reason)


def _name(trial: Any) -> str:
    return f"trial-{trial.config['slot']}-{trial.config['claim']['attempt']}"
