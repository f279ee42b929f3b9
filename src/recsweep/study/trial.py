"""A trial as the store has it, to and from Optuna."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from optuna.trial import FrozenTrial, TrialState, create_trial

from recsweep.common.files import to_plain
from recsweep.common.owner import Owner
from recsweep.study.details import Failure, Holder, Inherited, Result
from recsweep.study.distributions import in_optunas_terms
from recsweep.study.outcomes import fills_its_slot
from recsweep.study.states import Reason, State
from recsweep.study.wholeness import check_trial
from recsweep.sweeps.space import Params, Space

_Part = TypeVar("_Part")

ENDED, ENDS = "ended", "trials_ended"
"""Attributes: of a trial its place among those of its study that ended, of the study how many these are."""

SEEN = "epoch:"
"""Start of the names of the attributes with all metrics and the loss of an epoch, which trackers read."""
_ENVIRONMENTS = 64
BID = "bid:"
"""Start of the names of the attributes in which processes say that they want a trial."""


@dataclass(frozen=True)
class Trial:
    """One trial as the store has it."""

    id: int
    number: int
    slot: int
    state: State
    attempt: int = 0
    crashes: int = 0
    alone: bool = False
    """To be run with a GPU to itself: it ran out of memory when it shared one."""
    params: Params = field(default_factory=dict)
    seed: int | None = None
    score: float | None = None
    """The value of the first objective; of a pruned trial, its best until then."""
    values: tuple[float, ...] = ()
    """The values of all objectives."""
    inherited: Inherited | None = None
    """Where its result is from, if it was not trained here."""
    result: Result = field(default_factory=Result)
    failure: Failure | None = None
    """Of a trial that failed or was pruned."""
    curve: dict[int, float] = field(default_factory=dict)
    """Validation score by epoch."""
    environment: dict[str, Any] = field(default_factory=dict)
    owner: Holder | None = None
    bids: tuple[Owner, ...] = ()
    """Processes that wanted the trial, should the one that got it have died before it said so."""
    started: datetime | None = None
    finished: datetime | None = None
    ended: int | None = None
    """Its place among the trials of its study that ended, from 1; None where an earlier version closed it."""

    @property
    def reason(self) -> Reason | None:
        """Why it failed or was stopped early, in a word."""
        return None if self.failure is None else self.failure.kind

    @property
    def counted(self) -> bool:
        """True where this trial fills its slot."""
        return fills_its_slot(self.state, self.reason)


def by_end(trial: Trial) -> tuple[bool, int, datetime, int]:
    """Sorts trials into the order in which they ended, as the store wrote it: clocks may be set meanwhile.

    Those that ended before that was written, or in another store, come first, by time.
    """
    if trial.ended is not None:
        return True, trial.ended, datetime.min, trial.slot
    return False, 0, trial.finished or trial.started or datetime.min, trial.slot


@dataclass(frozen=True)
class Claim:
    """A slot that this process alone may fill."""

    trial_id: int
    slot: int
    attempt: int
    crashes: int
    alone: bool = False


def claim_of(trial: Trial) -> Claim:
    """The claim under which a trial runs."""
    return Claim(trial.id, trial.slot, trial.attempt, trial.crashes, trial.alone)


STATES = {
    TrialState.WAITING: State.WAITING,
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}

OPEN = (TrialState.WAITING, TrialState.RUNNING)
"""Optuna's states of a trial that is not over."""
CLOSED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
"""Optuna's states of a trial that is over."""


def owner_alive(trial: Trial) -> bool | None:
    """True where the process that runs a trial lives; None where that cannot be told from here."""
    if trial.owner is not None:
        return trial.owner.process.alive()
    bidders = [bid.alive() for bid in trial.bids]
    # It died between taking the trial and saying so, if nobody who wanted it lives.
    return False if bidders and all(alive is False for alive in bidders) else None


def from_optuna(trial: FrozenTrial) -> Trial:
    """A trial as Optuna reads it."""
    return from_attributes(
        trial._trial_id,
        trial.number,
        STATES[trial.state],
        trial.user_attrs,
        values=tuple(trial.values or ()),
        curve=trial.intermediate_values,
        started=trial.datetime_start,
        finished=trial.datetime_complete,
    )


def from_attributes(
    trial_id: int,
    number: int,
    state: State,
    attributes: Mapping[str, Any],
    *,
    values: tuple[float, ...] = (),
    curve: Mapping[int, float] | None = None,
    started: datetime | None = None,
    finished: datetime | None = None,
) -> Trial:
    """A trial from what Optuna keeps of it; most of it are attributes that we wrote."""
    check_trial(number, attributes, BID)
    setup = attributes.get("setup", {})
    failed = state in (State.FAILED, State.PRUNED)
    return Trial(
        id=trial_id,
        number=number,
        slot=int(attributes.get("slot", number)),
        state=state,
        attempt=int(attributes.get("attempt", 0)),
        crashes=int(attributes.get("crashes", 0)),
        alone=bool(attributes.get("alone", False)),
        params=dict(setup.get("params", {})),
        seed=setup.get("seed"),
        score=values[0] if values else None,
        values=values,
        inherited=_read(Inherited.from_dict, attributes, "inherited"),
        result=Result.from_dict(attributes.get("result", {})),
        failure=_read(Failure.from_dict, attributes, "failure") if failed else None,
        curve=dict(sorted((curve or {}).items())),
        environment=_environment(json.dumps(setup.get("environment", {}))),
        owner=_read(Holder.from_dict, attributes, "owner"),
        bids=tuple(Owner.from_dict(bid) for name, bid in attributes.items() if name.startswith(BID)),
        started=started,
        finished=finished,
        ended=attributes.get(ENDED),
    )


def inheriting(origin: Trial, phase: str, space: Space, params: Params) -> FrozenTrial:
    """The trial in Optuna's terms that fills slot 0 with the result of another one.

    Args:
        phase: where that one was trained.
        params: of the slot.
    """
    setup = {"params": params, "seed": origin.seed, "environment": origin.environment}
    source = origin.inherited or Inherited(phase, origin.slot)
    parts = {"result": origin.result.to_dict(), "inherited": source.to_dict()}
    written = in_optunas_terms(space, params)
    return create_trial(
        state=TrialState.COMPLETE,
        values=list(origin.values),
        params={name: value for name, (_, value) in written.items()},
        distributions={name: distribution for name, (distribution, _) in written.items()},
        user_attrs=to_plain({"slot": 0, "setup": setup, **parts}),
        intermediate_values=origin.curve,
    )


@lru_cache(_ENVIRONMENTS)
def _environment(text: str) -> dict[str, Any]:
    """Where trials ran: hundreds of a study share what is the same for all of them."""
    found: dict[str, Any] = json.loads(text)
    return found


def _read(
    read: Callable[[Mapping[str, Any]], _Part], attributes: Mapping[str, Any], name: str
) -> _Part | None:
    found = attributes.get(name)
    return read(found) if found else None
