"""The hyperopt engine: RecBole's `HyperTuning` drives the search. The only importer of HyperOpt.

`HyperTuning.run()` is RecBole's own. What it does wrong is left out by what it is given: the space
as objects (it evaluates strings), an `algo` that asks the store for a slot and proposes from the
store's history (it would forget everything when it ends), no early stop of the search, and a
`trial` that survives failures, NaN, a score of 0.0 and equal parameters.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from recsweep.recbole_api.lazy import deferred

with deferred("scipy.stats"):  # for an algo that is none of ours; SciPy finds it by itself when asked
    import hyperopt
from hyperopt import anneal, hp, progress, rand, tpe
from hyperopt.base import miscs_update_idxs_vals, trials_from_docs
from hyperopt.exceptions import AllTrialsFailed

from recsweep.common.errors import EngineStateError
from recsweep.common.files import to_plain
from recsweep.recbole_api.model import hyper_tuning
from recsweep.search.engines import proposals
from recsweep.search.engines.base import Engine, Observation, Search, SearchState, Session
from recsweep.search.engines.proposals import Found, loss
from recsweep.sweeps import space as spaces
from recsweep.sweeps.space import Choice, LogRandInt, LogUniform, Params, QUniform, RandInt, Space

_EPOCH = datetime(2020, 1, 1)
_NO_LIMIT = 2**31 - 1  # the store's slots are the budget; HyperTuning's own must never end a search


class HyperoptEngine(Engine):
    """`random`, `bayes` (TPE), `anneal` and `exhaustive`."""

    def search(self, session: Session) -> SearchState | None:
        first = session.next_slot()
        if first is None:
            return None
        proposer = _Proposer(session, first)
        tuner = _make_tuner(session, proposer)
        with _no_progress_bar(), contextlib.suppress(AllTrialsFailed):  # the store has each reason
            tuner.run()
        return read_state(tuner)


@contextlib.contextmanager
def _no_progress_bar() -> Iterator[None]:
    """HyperOpt's bar would count to its own limit; `HyperTuning.run` has no way to leave it out."""
    bar = progress.default_callback
    progress.default_callback = progress.no_progress_callback
    try:
        yield
    finally:
        progress.default_callback = bar


def read_state(tuner: Any) -> SearchState:
    """The state of `HyperTuning` after `run()`.

    Raises:
        EngineStateError: it does not hold it; another version of RecBole keeps it elsewhere.
    """
    missing = [name for name in ("best_params", "params2result") if not hasattr(tuner, name)]
    if missing:
        raise EngineStateError(
            f"RecBole's HyperTuning has no {' and no '.join(missing)} after run(); the results of the search "
            "are read from there; install the RecBole of envs/requirements.lock (`make setup`)"
        )
    best = tuner.best_params
    if best is not None and not isinstance(best, dict):
        raise EngineStateError(
            f"HyperTuning.best_params must be a dict, but is a {type(best).__name__}; "
            "install the RecBole of envs/requirements.lock (`make setup`)"
        )
    return SearchState(to_plain(best), dict(tuner.params2result))


def _make_tuner(session: Session, proposer: _Proposer) -> Any:
    base: Any = hyper_tuning()
    found = Found(session.search)

    class SlotTuning(base):  # type: ignore[misc]  # RecBole has no types
        """RecBole's `HyperTuning`, one store slot to a trial."""

        def trial(self, params: Params) -> dict[str, Any]:
            typed = spaces.cast(session.search.space, params)
            observation = session.run(proposer.slot, typed)
            if found.add(observation):
                self.best_score, self.best_params = observation.score, observation.params
            self.params_list.append(self.params2str(observation.params))
            self.score_list.append(observation.score)
            return _result(session.search, observation)

    tuner = SlotTuning(
        objective_function=None,
        space=to_hyperopt(session.search.space),
        algo=proposer,
        max_evals=_NO_LIMIT,
    )
    tuner.early_stop_fn = None
    tuner.params2result = found.results
    return tuner


class _Proposer:
    """An `algo` for `HyperTuning`: claims a slot and proposes for it from the store's history."""

    def __init__(self, session: Session, first_slot: int) -> None:
        self.slot = first_slot
        self._session = session
        self._fresh = True

    def __call__(self, new_ids: list[int], domain: Any, trials: Any, seed: int) -> list[Any]:
        if not self._fresh:
            slot = self._session.next_slot()
            if slot is None:
                return []
            self.slot = slot
        self._fresh = False
        params = propose(self._session.search, self.slot, self._session, domain)
        space = self._session.search.space
        # HyperOpt knows no conditions: what does not exist gets a value, and `trial` leaves it out again.
        raw = {name: parameter.from_unit(0.0) for name, parameter in space.items()}
        raw = to_raw(space, raw | params)
        misc = {"tid": new_ids[0], "cmd": domain.cmd, "workdir": domain.workdir}
        miscs_update_idxs_vals(
            [misc], {name: [new_ids[0]] for name in raw}, {name: [value] for name, value in raw.items()}
        )
        docs: list[Any] = trials.new_trial_docs(new_ids, [None], [domain.new_result()], [misc])
        return docs


def propose(search: Search, slot: int, session: Session, domain: Any) -> Params:
    """Parameters for a slot: what the search starts with, a point of the grid, or what HyperOpt suggests."""
    return proposals.propose(
        session, slot, lambda basis: lambda seed: _suggest(search, domain, basis.history, seed)
    )


def _suggest(search: Search, domain: Any, history: list[Observation], seed: int) -> Params:
    suggest: Callable[..., Any] = {
        "random": rand.suggest,
        "anneal": anneal.suggest,
        "bayes": partial(tpe.suggest, n_startup_jobs=search.startup_trials),
    }[search.algo]
    docs = suggest([len(history)], domain, _as_trials(search, domain, history), seed)
    values = {name: vals[0] for name, vals in docs[0]["misc"]["vals"].items()}
    return from_raw(search.space, values)


def _as_trials(search: Search, domain: Any, history: list[Observation]) -> Any:
    """The store's history as HyperOpt's own."""
    docs = []
    for tid, observation in enumerate(history):
        raw = to_raw(search.space, observation.params)
        docs.append(
            {
                "state": hyperopt.JOB_STATE_DONE,
                "tid": tid,
                "spec": None,
                "result": _result(search, observation),
                "misc": {
                    "tid": tid,
                    "cmd": domain.cmd,
                    "workdir": domain.workdir,
                    "idxs": {name: [tid] if name in raw else [] for name in search.space},
                    "vals": {name: [raw[name]] if name in raw else [] for name in search.space},
                },
                "exp_key": None,
                "owner": None,
                "version": 0,
                "book_time": _EPOCH,
                "refresh_time": _EPOCH,
            }
        )
    return trials_from_docs(docs, validate=False)


def _result(search: Search, observation: Observation) -> dict[str, Any]:
    value = loss(search, observation)
    if value is None:
        return {"status": hyperopt.STATUS_FAIL}
    return {"status": hyperopt.STATUS_OK, "loss": value}


def to_hyperopt(space: Space) -> dict[str, Any]:
    """A search space as HyperOpt's expressions."""
    expressions: dict[str, Any] = {}
    for name, parameter in space.items():
        if isinstance(parameter, Choice):
            expressions[name] = hp.choice(name, list(parameter.grid()))
        elif isinstance(parameter, LogRandInt):
            expressions[name] = hp.qloguniform(name, *parameter.logs, 1)
        elif isinstance(parameter, RandInt):
            expressions[name] = hp.randint(name, parameter.min, parameter.max + 1)
        elif isinstance(parameter, QUniform):
            expressions[name] = hp.quniform(name, parameter.min, parameter.max, parameter.q)
        elif isinstance(parameter, LogUniform):
            expressions[name] = hp.loguniform(name, math.log(parameter.min), math.log(parameter.max))
        else:
            expressions[name] = hp.uniform(name, parameter.min, parameter.max)
    return expressions


def to_raw(space: Space, params: Params) -> dict[str, Any]:
    """The parameters that exist, as HyperOpt stores them: a choice is the index of its value."""
    raw: dict[str, Any] = {}
    for name, parameter in space.items():
        if name not in params:
            continue
        value = params[name]
        if isinstance(parameter, Choice):
            raw[name] = parameter.index(value)
        else:
            whole = isinstance(parameter, RandInt) and not parameter.is_log
            raw[name] = int(value) if whole else float(value)
    return raw


def from_raw(space: Space, raw: dict[str, Any]) -> Params:
    """The inverse of `to_raw`, in the types of the space and without what does not exist."""
    params: Params = {}
    for name, parameter in space.items():
        given = raw[name]
        value = given.item() if isinstance(given, np.generic) else given
        params[name] = parameter.at(int(value)) if isinstance(parameter, Choice) else parameter.cast(value)
    return spaces.cast(space, params)
