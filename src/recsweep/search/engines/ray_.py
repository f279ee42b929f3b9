"""The ray engine: Ray Tune's searchers propose from the store's history.

A searcher is made anew for each slot, with the slot's seed, and is told the history, as the other engines
do it: so a resume needs the store alone. Nothing here starts Ray. Where Ray Tune drives a whole search
(`running/ray_tuner.py`), it asks `propose` too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search.hyperopt import HyperOptSearch
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.sample import Categorical

from recsweep.search.engines import optuna_, proposals
from recsweep.search.engines.base import Engine, Known, Observation, Search, SearchState, Session
from recsweep.search.engines.proposals import Basis, Draw, Found, loss
from recsweep.sweeps import space as spaces
from recsweep.sweeps.space import Choice, LogRandInt, Params

_ASKED = "asked"
_SCORE = "score"
_EPOCH = datetime(2020, 1, 1)
_DONE = 2
"""HyperOpt's word for a trial that is over."""


class RayEngine(Engine):
    """`random`, `exhaustive`, `bayes` (HyperOptSearch) and `tpe` (OptunaSearch)."""

    def search(self, session: Session) -> SearchState | None:
        found = Found(session.search)
        while (slot := session.next_slot()) is not None:
            found.add(session.run(slot, propose(session, slot)))
        return found.state if found.results else None


def propose(study: Known, slot: int) -> Params:
    """Parameters for a slot: the search's start, a point of the grid, or what a searcher suggests."""
    samplers: dict[str, Callable[[Search, Basis], Draw]] = {
        "random": _at_random,
        "bayes": _by_hyperopt,
        "tpe": _by_optuna,
        "exhaustive": _at_random,  # which is not asked
    }
    sampler = samplers[study.search.algo]
    return proposals.propose(study, slot, lambda basis: sampler(study.search, basis))


# -- the space as Ray Tune has it ------------------------------------------------------------------


def to_ray(parameter: Any) -> Any:
    """A parameter as Ray Tune's domain: the values of a grid by their rank, so that any type is safe."""
    if isinstance(parameter, LogRandInt):  # a real number, which is rounded
        return tune.loguniform(*map(math.exp, parameter.logs))
    if parameter.by_rank:
        size = int(parameter.size)
        if isinstance(parameter, Choice) and not parameter.ordered:
            return tune.choice(list(range(size)))
        return tune.randint(0, size)
    kind = tune.loguniform if parameter.is_log else tune.uniform
    return kind(parameter.min, parameter.max)


def from_ray(search: Search, drawn: dict[str, Any]) -> Params:
    """The point that a searcher suggested, in the types of the space, without what does not exist."""
    params: Params = {}
    for name, parameter in search.space.items():
        value = drawn.get(name, 0)  # a parameter with one value is none for a searcher
        params[name] = parameter.at_rank(round(value)) if parameter.by_rank else parameter.cast(value)
    return spaces.cast(search.space, params)


def _domains(search: Search) -> dict[str, Any]:
    """The parameters that a searcher decides on."""
    return {name: to_ray(parameter) for name, parameter in search.space.items() if parameter.size > 1}


# -- how each algo draws ---------------------------------------------------------------------------


def _at_random(search: Search, basis: Basis) -> Draw:
    domains = _domains(search)

    def draw(seed: int) -> Params:
        generator = np.random.RandomState(seed)
        return from_ray(
            search, {name: domain.sample(random_state=generator) for name, domain in domains.items()}
        )

    return draw


def _by_hyperopt(search: Search, basis: Basis) -> Draw:
    names = {name: f"p{position}" for position, name in enumerate(search.space)}  # HyperOpt nests at a "/"
    domains = {names[name]: domain for name, domain in _domains(search).items()}
    if not domains:
        return lambda seed: from_ray(search, {})
    past = [_as_document(search, names, domains, one, tid) for tid, one in enumerate(basis.history)]

    def draw(seed: int) -> Params:
        searcher = _HyperOpt(
            HyperOptSearch.convert_search_space(domains),
            metric=_SCORE,
            mode="min",
            n_initial_points=search.startup_trials,
            random_state_seed=seed,
        )
        searcher.learn(past)
        suggested = searcher.suggest(_ASKED) or {}
        return from_ray(search, {name: suggested[p] for name, p in names.items() if p in suggested})

    return draw


class _HyperOpt(HyperOptSearch):  # type: ignore[misc]  # Ray has no types
    """HyperOptSearch that is told trials which it has not suggested: parameters that exist, and losses."""

    def learn(self, documents: list[dict[str, Any]]) -> None:
        self._hpopt_trials.new_trial_ids(len(documents))  # counts them
        self._hpopt_trials.insert_trial_docs(documents)
        self._hpopt_trials.refresh()


def _as_document(
    search: Search, names: dict[str, str], domains: dict[str, Any], one: Observation, tid: int
) -> dict[str, Any]:
    """A trial as HyperOpt keeps it; numbers of a grid are reals there."""
    values: dict[str, Any] = {}
    for name, label in names.items():
        if label in domains and name in one.params:
            told = optuna_.to_optuna(search.space[name], one.params[name])
            values[label] = told if isinstance(domains[label], Categorical) else float(told)
    value = loss(search, one)
    return {
        "state": _DONE,
        "tid": tid,
        "spec": None,
        "result": {"status": "fail"} if value is None else {"status": "ok", "loss": value},
        "misc": {
            "tid": tid,
            "cmd": ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            "idxs": {label: [tid] if label in values else [] for label in domains},
            "vals": {label: [values[label]] if label in values else [] for label in domains},
        },
        "exp_key": None,
        "owner": None,
        "version": 0,
        "book_time": _EPOCH,
        "refresh_time": _EPOCH,
    }


def _by_optuna(search: Search, basis: Basis) -> Draw:
    if not _domains(search):
        return lambda seed: from_ray(search, {})

    def draw(seed: int) -> Params:
        with optuna_.quiet():
            searcher = OptunaSearch(
                optuna_.asked_by_run(search),
                metric=_SCORE,
                mode="max" if search.maximize else "min",
                study_name=_ASKED,
                storage=optuna_.remembered(search, basis, _ASKED),
                sampler=optuna_.make_sampler(search, seed, []),
            )
            return optuna_.typed(search, searcher.suggest(_ASKED) or {})

    return draw
