"""The optuna engine: Optuna's samplers propose from the store's history.

A sampler is made anew for each slot, with the slot's seed, and sees nothing but the history. What it
would keep from one proposal to the next is given up (the kernel from which the Gaussian process starts
to fit) or follows from the history (the generations of NSGA-II). Optuna's storage stays out of it: the
samplers read a study that holds the history in memory, and write nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Container, Iterator
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from recsweep.search.engines.base import Engine, Search, SearchState, Session
from recsweep.search.engines.proposals import Basis, Draw, Found, outcome, propose
from recsweep.sweeps import space as spaces
from recsweep.sweeps.space import Choice, LogRandInt, LogUniform, Params, Uniform


class OptunaEngine(Engine):
    """`random`, `bayes` (TPE), `exhaustive`, `gp`, `cmaes`, `qmc` and `nsga2`."""

    def search(self, session: Session) -> SearchState | None:
        found = Found(session.search)
        sampler = _sampler(session)
        while (slot := session.next_slot()) is not None:
            with quiet():
                params = propose(session, slot, sampler)
            found.add(session.run(slot, params))
        return found.state if found.results else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what Optuna says of its samplers: that one is experimental, or has nothing left to improve."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _sampler(session: Session) -> Callable[[Basis], Draw]:
    """How an algo draws from what its proposals follow from; a library of one algo is imported for it."""
    if session.search.algo == "qmc":
        from recsweep.search.engines.sobol import Sobol

        return Sobol(session).sampler
    if session.search.algo == "cmaes":
        from recsweep.search.engines.cmaes_ import CmaEs

        return CmaEs(session.search).sampler
    return _Sampled(session.search).sampler


class _Sampled:
    """The algos that are Optuna's: it makes a study of the history and asks a sampler what comes next."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._order = spaces.parents_first(search.space)
        self._distributions = {name: to_distribution(p) for name, p in search.space.items()}
        self._trials: dict[int, FrozenTrial | None] = {}
        self._bred: tuple[list[int], list[FrozenTrial]] = ([], [])

    def sampler(self, basis: Basis) -> Draw:
        """The sampler that draws for a slot."""
        if self._search.algo == "random":  # which follows from the seed alone
            study, asked = (
                optuna.load_study(study_name="", storage=_Past(self._search, [])),
                self._trial(0, {}),
            )
            return lambda seed: self._draw(study, make_sampler(self._search, seed, []), asked)
        complete, running = self.past(basis)
        numbers = [trial.number for trial in (*complete, *running)]
        asked = self._trial(numbers[-1] + 1 if numbers else 0, {})
        study = optuna.load_study(study_name="", storage=_Past(self._search, complete + running))
        parents = self._parents(study, complete) if self._search.algo == "nsga2" else []
        return lambda seed: self._draw(study, make_sampler(self._search, seed, parents), asked)

    def past(self, basis: Basis) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """The trials that came to something, and those that others run."""
        complete = self._complete(basis)
        number = complete[-1].number + 1 if complete else 0
        return complete, [self._trial(number + i, params) for i, params in enumerate(basis.running)]

    def _complete(self, basis: Basis) -> list[FrozenTrial]:
        """The trials that came to something; made once, as there may be many."""
        for observation in basis.history:
            if observation.slot not in self._trials:
                values = outcome(self._search, observation)
                trial = self._trial(observation.slot, observation.params, values) if values else None
                self._trials[observation.slot] = trial
        trials = [self._trials[observation.slot] for observation in basis.history]
        return [trial for trial in trials if trial is not None]

    def _trial(self, number: int, params: Params, values: tuple[float, ...] | None = None) -> FrozenTrial:
        space = self._search.space
        return FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.COMPLETE if values else TrialState.RUNNING,
            value=None,
            values=values,
            params={name: to_optuna(space[name], params[name]) for name in space if name in params},
            distributions={name: self._distributions[name] for name in space if name in params},
            datetime_start=None,
            datetime_complete=None,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )

    def _draw(self, study: Study, sampler: BaseSampler, asked: FrozenTrial) -> Params:
        """The proposal of `trial.suggest_…` without a trial: parameters together if possible, else singly."""
        sampler.before_trial(study, asked)
        together = sampler.sample_relative(study, asked, sampler.infer_relative_search_space(study, asked))
        space, params = self._search.space, Params()
        for name in self._order:
            if not spaces.is_active(space, name, params):
                continue
            distribution = self._distributions[name]
            if name in together:
                value = together[name]
            elif distribution.single():
                value = 0
            else:
                value = sampler.sample_independent(study, asked, name, distribution)
            params[name] = from_optuna(space[name], value)
        return {name: params[name] for name in space if name in params}

    def _parents(self, study: Study, complete: list[FrozenTrial]) -> list[FrozenTrial]:
        """The best of all whole generations, by NSGA-II's own choice; trials in the order of slots."""
        breeder = make_sampler(self._search, 0, [])
        size = breeder.population_size
        done, parents = self._bred
        numbers = [trial.number for trial in complete]
        if done != numbers[: len(done)]:  # a trial of another worker came late
            done, parents = [], []
        while len(complete) - len(done) >= size:
            breeder.population, breeder.parents = complete[len(done) :][:size], parents
            parents = breeder.select_parent(study, 1)
            done = numbers[: len(done) + size]
        self._bred = done, parents
        return parents


def make_sampler(search: Search, seed: int, parents: list[FrozenTrial]) -> Any:
    """Optuna's sampler of an algo, with every option that decides on its proposals."""
    conditional = any(parameter.when for parameter in search.space.values())
    several = len(search.directions) > 1
    if search.algo == "random":
        return RandomSampler(seed=seed)
    if search.algo == "gp":
        return GPSampler(
            seed=seed,
            independent_sampler=RandomSampler(seed=seed),
            n_startup_trials=search.startup_trials,
            deterministic_objective=False,
            warn_independent_sampling=False,
        )
    if search.algo == "nsga2":
        return _Generations(
            parents,
            population_size=max(2, search.startup_trials),
            mutation_prob=None,
            crossover_prob=0.9,
            swapping_prob=0.5,
            seed=seed,
        )
    return TPESampler(
        n_startup_trials=search.startup_trials,
        n_ei_candidates=24,
        seed=seed,
        multivariate=conditional or not several,  # `group` needs it
        group=conditional,
        constant_liar=True,
    )


class _Generations(NSGAIISampler):
    """NSGA-II whose generations are counted from the history instead of noted in the study.

    A generation has as many trials as there are `startup_trials`. Parameters with a condition, unless
    all trials have them, are drawn at random.
    """

    def __init__(self, parents: list[FrozenTrial], **options: Any) -> None:
        super().__init__(**options)
        self.population: list[FrozenTrial] = []
        self.parents = parents

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        return 1

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return self.population

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return self.parents


class _Past(InMemoryStorage):
    """A study that is already there, for samplers to read."""

    def __init__(self, search: Search, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._found = trials
        self._ways = [
            StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
            for maximize in search.directions or (search.maximize,)
        ]

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._ways

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._found if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Drop what samplers note for other processes; ours learn of each other's trials from the session."""


def to_distribution(parameter: Any) -> BaseDistribution:
    """A parameter as Optuna samples it: the values of a grid by their rank, so that any type is safe."""
    if isinstance(parameter, Uniform | LogUniform):
        return FloatDistribution(parameter.min, parameter.max, log=parameter.is_log)
    if isinstance(parameter, LogRandInt):
        return IntDistribution(parameter.min, parameter.max, log=True)
    if isinstance(parameter, Choice) and not parameter.ordered:
        return CategoricalDistribution(range(int(parameter.size)))
    return IntDistribution(0, int(parameter.size) - 1)


def to_optuna(parameter: Any, value: Any) -> Any:
    """A value in terms of `to_distribution`."""
    return parameter.rank(value) if parameter.by_rank else value


def from_optuna(parameter: Any, value: Any) -> Any:
    """The inverse of `to_optuna`."""
    return parameter.at_rank(int(value)) if parameter.by_rank else parameter.cast(value)


# -- for a library that asks Optuna itself ---------------------------------------------------------


def remembered(search: Search, basis: Basis, name: str) -> InMemoryStorage:
    """A storage with a study in which the history has been, and the trials of others run."""
    storage = InMemoryStorage()
    way = StudyDirection.MAXIMIZE if search.maximize else StudyDirection.MINIMIZE
    study = optuna.create_study(storage=storage, study_name=name, direction=way)
    for trial in itertools.chain(*_Sampled(search).past(basis)):
        trial.datetime_start = datetime.min
        trial.datetime_complete = datetime.min if trial.state.is_finished() else None
        study.add_trial(trial)
    return storage


def asked_by_run(search: Search) -> Callable[[Trial], None]:
    """A space as a function that asks a trial for its values, in terms of `to_distribution`."""
    order = spaces.parents_first(search.space)

    def ask(trial: Trial) -> None:
        params = Params()
        for name in order:
            if spaces.is_active(search.space, name, params):
                params[name] = from_optuna(search.space[name], _suggested(trial, name, search.space[name]))

    return ask


def _suggested(trial: Trial, name: str, parameter: Any) -> Any:
    distribution = to_distribution(parameter)
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    return trial.suggest_float(name, parameter.min, parameter.max, log=parameter.is_log)


def typed(search: Search, suggested: dict[str, Any]) -> Params:
    """The values that a trial was told, in the types of the space."""
    space = search.space
    return {name: from_optuna(space[name], suggested[name]) for name in space if name in suggested}
