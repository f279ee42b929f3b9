"""What every engine promises. Each engine's test class inherits `EngineContract`."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Callable, Collection
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from recsweep.common.errors import SweepPaused
from recsweep.common.files import canonical_json
from recsweep.search.engines import make_engine_of
from recsweep.search.engines.base import Engine, Observation, Search, SearchState
from recsweep.sweeps.engine_table import Can, EngineRow
from recsweep.sweeps.rules import Rule
from recsweep.sweeps.space import Parameter, Params, Ruled, combinations, grid_size, is_active

_SPACE: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Parameter])
Objective = Callable[[int, Params], float | tuple[float, ...] | None]

MIXED = _SPACE.validate_python(
    {
        "learning_rate": {"type": "loguniform", "min": 1e-4, "max": 1e-1},
        "momentum": {"type": "uniform", "min": 0.0, "max": 1.0},
        "width": {"type": "quniform", "min": 16, "max": 128, "q": 16},
        "dropout": {"type": "quniform", "min": 0.0, "max": 0.5, "q": 0.1},
        "layers": {"type": "randint", "min": 1, "max": 3},
        "neighbours": {"type": "lograndint", "min": 5, "max": 2000},
        "loss": {"type": "choice", "values": ["CE", "BPR", None, True]},
        "sizes": {"type": "choice", "values": [[64], [64, 32]]},
    }
)
MIXED_DEFAULTS = {
    "learning_rate": 0.001,
    "momentum": 0.5,
    "width": 48,
    "dropout": 0.3,
    "layers": 2,
    "neighbours": 100,
    "loss": "BPR",
    "sizes": [64, 32],
}
GRID = _SPACE.validate_python(
    {
        "width": {"type": "quniform", "min": 16, "max": 48, "q": 16},
        "layers": {"type": "randint", "min": 1, "max": 2},
        "loss": {"type": "choice", "values": ["CE", "BPR"]},
    }
)
RULES = (Rule("layers * 16 <= width"), Rule("loss == 'CE' or width > 16"))
GRID_DEFAULTS = {"width": 32, "layers": 2, "loss": "CE"}
LINE = _SPACE.validate_python(
    {
        "x": {"type": "uniform", "min": -5.0, "max": 5.0},
        "y": {"type": "uniform", "min": -5.0, "max": 5.0},
    }
)
# What others depend on stands below them, conditions form chains, and a list means any of its values.
CONDITIONAL = _SPACE.validate_python(
    {
        "temperature": {"type": "uniform", "min": 0.1, "max": 2.0, "when": {"negatives": [3, 4]}},
        "negatives": {"type": "randint", "min": 1, "max": 4, "when": {"loss": "BPR"}},
        "loss": {"type": "choice", "values": ["CE", "BPR", "TOP1"]},
        "smoothing": {"type": "quniform", "min": 0.0, "max": 0.3, "q": 0.1, "when": {"loss": ["CE", "TOP1"]}},
        "decay": {"type": "choice", "values": [0.5, 0.9, "none"], "when": {"smoothing": 0.3, "loss": "CE"}},
        "width": {"type": "quniform", "min": 16, "max": 64, "q": 16},
    }
)
CONDITIONAL_DEFAULTS = {"loss": "CE", "smoothing": 0.3, "decay": 0.9, "width": 32}
# BPR with 2 numbers of negatives that stand alone and 2 with 2 temperatures: 6. TOP1: 2. CE: 1 and 3.
CONDITIONAL_GRID = _SPACE.validate_python(
    {
        "temperature": {"type": "choice", "values": [0.1, 1.0], "when": {"negatives": [3, 4]}},
        "negatives": {"type": "randint", "min": 1, "max": 4, "when": {"loss": "BPR"}},
        "loss": {"type": "choice", "values": ["CE", "BPR", "TOP1"]},
        "smoothing": {"type": "quniform", "min": 0.2, "max": 0.3, "q": 0.1, "when": {"loss": ["CE", "TOP1"]}},
        "decay": {"type": "choice", "values": [0.5, 0.9, "none"], "when": {"smoothing": 0.3, "loss": "CE"}},
    }
)
CONDITIONAL_GRID_SIZE = 12


def mixed(algo: str, *, maximize: bool = True, startup: int = 4) -> Search:
    return Search(MIXED, dict(MIXED_DEFAULTS), maximize, algo, startup)


def grid(algo: str) -> Search:
    return Search(GRID, dict(GRID_DEFAULTS), True, algo, 4)


def conditional(algo: str, startup: int = 4) -> Search:
    return Search(CONDITIONAL, dict(CONDITIONAL_DEFAULTS), True, algo, startup)


_SOME_SLOTS = ([0], [0, 1, 2], [3, 6, 7, 8])
BAD = [
    pytest.param(score, slots, marks=() if (number - column) % 3 == 0 else pytest.mark.long)
    for number, score in enumerate((None, math.nan, math.inf, 0.0))
    for column, slots in enumerate(_SOME_SLOTS)
]
"""Scores that are none, and the slots that have them: each score and all slots, and at length every pair."""


class Interrupted(BaseException):
    """As if the process were killed while it trained."""


class FakeSession:
    """A study in memory: slots in order, an objective instead of training.

    Args:
        objective: score of a slot's parameters, or of each objective; None is a failed trial.
        budget: number of slots.
        known: what an earlier session came to.
        kill_in: the slot in which the process "dies".
        others: parameters of the trials that other workers run meanwhile.
        pruned: slots whose trials are stopped early.
    """

    def __init__(
        self,
        search: Search,
        objective: Objective,
        budget: int,
        past: list[Observation] | None = None,
        kill_in: int | None = None,
        seed: int = 0,
        others: list[Params] | None = None,
        pruned: Collection[int] = (),
    ) -> None:
        self.search, self._objective, self._budget = search, objective, budget
        self.found = {observation.slot: observation for observation in past or []}
        self.claimed: list[int] = []
        self.ran: list[int] = []
        self._kill_in, self._seed = kill_in, seed
        self._others, self._pruned = others or [], pruned

    def next_slot(self) -> int | None:
        free = [slot for slot in range(self._budget) if slot not in self.found and slot not in self.claimed]
        if not free:
            return None
        self.claimed.append(free[0])
        return free[0]

    def proposal_seed(self, slot: int) -> int:
        return zlib.crc32(f"{self._seed}/{slot}".encode()) % (2**31 - 1)

    def history(self) -> list[Observation]:
        return [self.found[slot] for slot in sorted(self.found)]

    def running(self) -> list[Params]:
        return self._others

    def take(self, slot: int, params: Params) -> bool:
        tried = [observation.params for observation in self.history()] + self._others
        return canonical_json(params) not in map(canonical_json, tried)

    def run(self, slot: int, params: Params) -> Observation:
        if slot == self._kill_in:
            raise Interrupted
        self.ran.append(slot)
        came_to = self._objective(slot, params)
        values = came_to if isinstance(came_to, tuple) else ()
        score = came_to[0] if isinstance(came_to, tuple) else came_to
        self.found[slot] = Observation(slot, params, score, values, slot in self._pruned)
        return self.found[slot]

    @property
    def params(self) -> list[Params]:
        return [observation.params for observation in self.history()]


def smooth(slot: int, params: Params) -> float:
    """A score with one best point; never negative."""
    rate = (math.log10(params["learning_rate"]) + 2) ** 2
    return 10 / (1 + rate + (params["width"] - 96) ** 2 / 1000 + params["dropout"])


def branching(slot: int, params: Params) -> float:
    """A score that says something of each parameter that exists."""
    score = {"CE": 1.0, "BPR": 2.0, "TOP1": 0.0}[params["loss"]] + params["width"] / 64
    return score + params.get("negatives", 0) - params.get("temperature", 0) + params.get("smoothing", 0)


def constant(slot: int, params: Params) -> float:
    return 0.5


class EngineContract:
    """The tests, for every algo of an engine's row. A subclass says which row."""

    row: ClassVar[EngineRow]

    def mixed(self, algo: str) -> Search:
        """Algos that take their time meet the same tests with more random trials and fewer examples."""
        return mixed(algo, startup=9 if self.is_slow(algo) else 4)

    def is_slow(self, algo: str) -> bool:
        found = self.row.algo(algo)
        return found is not None and found.slow

    def make_engine(self) -> Engine:
        return make_engine_of(self.row)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        grids = set(self.row.names(Can.GRID))
        for fixture, algos in {
            "algo": self.row.names(),
            "model_based_algo": self.row.names(Can.LEARN),
            "multi_objective_algo": self.row.names(Can.OBJECTIVES),
            "careful_algo": self.row.names(Can.OTHERS),
        }.items():
            if fixture in metafunc.fixturenames:
                metafunc.parametrize(fixture, [name for name in algos if name not in grids])
        if "grid_algo" in metafunc.fixturenames:
            metafunc.parametrize("grid_algo", sorted(grids))

    def searched(
        self, search: Search, objective: Objective, budget: int, **more: Any
    ) -> tuple[FakeSession, SearchState | None]:
        """A whole search by a fresh engine."""
        session = FakeSession(search, objective, budget, **more)
        return session, self.make_engine().search(session)

    def test_the_first_proposal_is_the_defaults(self, algo):
        session, _ = self.searched(self.mixed(algo), smooth, 2)
        assert session.params[0] == MIXED_DEFAULTS

    def test_exactly_the_claimed_slots_are_run_in_order(self, algo):
        session, _ = self.searched(self.mixed(algo), smooth, 7)
        assert session.ran == session.claimed == list(range(7))

    def test_nothing_is_run_where_no_slot_is_left(self, algo):
        session, state = self.searched(self.mixed(algo), smooth, 0)
        assert state is None
        assert session.ran == []

    def test_values_lie_in_the_space_and_keep_its_types(self, algo):
        session, _ = self.searched(self.mixed(algo), smooth, 12 if self.is_slow(algo) else 15)
        for params in session.params:
            assert list(params) == list(MIXED)
            for name, parameter in MIXED.items():
                assert parameter.contains(params[name]), (name, params[name])
                if parameter.grid() is not None:
                    assert canonical_json(params[name]) in map(canonical_json, parameter.grid())
            assert type(params["width"]) is int
            assert type(params["layers"]) is int
            assert type(params["learning_rate"]) is float
            assert type(params["sizes"]) is list

    def test_proposals_keep_the_constraints_of_the_space(self, algo):
        search = dataclasses.replace(self.mixed(algo), space=Ruled(MIXED, RULES))
        slots = 11 if self.is_slow(algo) else 15
        session, _ = self.searched(search, smooth, slots)
        assert len(session.params) == slots
        assert all(rule.holds(params) for rule in RULES for params in session.params)

    def test_a_grid_is_what_its_constraints_allow(self, grid_algo):
        search = dataclasses.replace(grid(grid_algo), space=Ruled(GRID, RULES))
        session, _ = self.searched(search, constant, int(grid_size(search.space)))
        left = [params for params in combinations(GRID) if all(rule.holds(params) for rule in RULES)]
        assert sorted(map(canonical_json, session.params)) == sorted(map(canonical_json, left))
        assert 0 < len(left) < grid_size(GRID)

    def test_a_search_goes_on_after_many_trials_without_progress(self, algo):
        slots = 13 if self.is_slow(algo) else 25
        session, _ = self.searched(self.mixed(algo), constant, slots)
        assert session.ran == list(range(slots))

    @pytest.mark.parametrize(("score", "bad_slots"), BAD)
    def test_bad_scores_neither_end_nor_win_a_search(self, algo, score, bad_slots):
        search = self.mixed(algo)
        session, state = self.searched(
            search, lambda slot, params: score if slot in bad_slots else smooth(slot, params), 12
        )
        assert session.ran == list(range(12))
        good = [o for o in session.history() if o.slot not in bad_slots]
        assert state is not None
        assert state.best_params == max(good, key=lambda o: o.score).params
        for params in session.params:
            assert all(parameter.contains(params[name]) for name, parameter in MIXED.items())

    def test_a_nan_score_is_as_if_the_trial_had_failed(self, algo):
        def spoiled_by(score):
            return self.searched(self.mixed(algo), lambda s, p: score if s % 3 == 1 else smooth(s, p), 14)[0]

        assert spoiled_by(math.nan).params == spoiled_by(None).params

    def test_a_score_of_zero_is_a_score(self, algo):
        scores = [0.0, -1.0, -2.0]
        session, state = self.searched(self.mixed(algo), lambda slot, params: scores[slot], 3)
        assert state is not None
        assert state.best_params == session.params[0]

    def test_a_search_in_which_every_trial_fails_ends_without_a_best(self, algo):
        session, state = self.searched(self.mixed(algo), lambda slot, params: None, 14)
        assert session.ran == list(range(14))
        assert state is not None
        assert state.best_params is None
        assert len(state.params2result) == 14

    def test_trials_with_equal_parameters_are_all_kept(self, algo):
        one = _SPACE.validate_python({"layers": {"type": "choice", "values": [1]}})
        search = Search(one, {"layers": 1}, True, algo, 4)
        session, state = self.searched(search, lambda slot, params: slot / 10, 5)
        assert session.params == [{"layers": 1}] * 5
        assert state is not None
        assert sorted(state.params2result.values()) == [0.0, 0.1, 0.2, 0.3, 0.4]

    def test_a_small_discrete_space_is_hardly_sampled_twice(self, algo):
        session, _ = self.searched(grid(algo), lambda slot, params: params["width"] * slot % 7, 6)
        assert len({canonical_json(params) for params in session.params}) == 6

    def test_the_same_search_proposes_the_same(self, algo):
        first, _ = self.searched(self.mixed(algo), smooth, 12)
        second, _ = self.searched(self.mixed(algo), smooth, 12)
        assert first.params == second.params

    def test_another_seed_proposes_something_else(self, algo):
        first, _ = self.searched(self.mixed(algo), smooth, 3)
        second, _ = self.searched(self.mixed(algo), smooth, 3, seed=1)
        assert first.params[0] == second.params[0]
        assert first.params[1] != second.params[1]

    def test_a_killed_search_goes_on_undisturbed(self, algo):
        self.check_kills(self.mixed(algo), smooth)

    def check_kills(self, search: Search, objective: Objective, slots: int = 12) -> None:
        """However often a search is killed, it proposes what it would have proposed."""

        phases = (Phase.explicit,) if self.is_slow(search.algo) else tuple(Phase)

        @settings(max_examples=5, deadline=None, phases=phases)
        @example(kills=[2, slots - 1], seed=1)
        @given(kills=st.lists(st.integers(0, slots - 1), unique=True, max_size=4), seed=st.integers(0, 99))
        def check(kills: list[int], seed: int) -> None:
            whole, _ = self.searched(search, objective, slots, seed=seed)
            past: list[Observation] = []
            for slot in sorted(kills):
                session = FakeSession(search, objective, slots, past, kill_in=slot, seed=seed)
                with pytest.raises(Interrupted):
                    self.make_engine().search(session)
                past = session.history()
            resumed, _ = self.searched(search, objective, slots, past=past, seed=seed)
            assert resumed.params == whole.params

        check()

    def test_a_pause_is_passed_on(self, algo):
        def disk_full(slot, params):
            raise SweepPaused("no space left")

        with pytest.raises(SweepPaused, match="no space left"):
            self.searched(self.mixed(algo), disk_full, 3)

    def test_slots_filled_by_others_are_learnt_from_but_not_run(self, model_based_algo):
        startup = 5 if self.is_slow(model_based_algo) else 1
        search = dataclasses.replace(mixed(model_based_algo), startup_trials=startup)
        whole, _ = self.searched(search, smooth, 8)
        others = [o for o in whole.history() if o.slot != 4]
        session, _ = self.searched(search, smooth, 8, past=others)
        assert session.ran == [4]

    @pytest.mark.parametrize("maximize", [True, False])
    def test_a_model_based_search_beats_a_random_one(self, model_based_algo, maximize):
        def bowl(slot, params):
            value = -((params["x"] - 2) ** 2) - (params["y"] + 1) ** 2
            return value if maximize else -value

        def mean_best(algo):
            search = Search(LINE, {"x": -4.0, "y": 4.0}, maximize, algo, 5)
            seeds, slots = (range(3), 15) if self.is_slow(model_based_algo) else (range(6), 25)
            runs = [self.searched(search, bowl, slots, seed=seed)[0].history() for seed in seeds]
            pick = max if maximize else min
            return sum(abs(pick(o.score for o in run)) for run in runs) / len(runs)

        assert mean_best(model_based_algo) < mean_best("random")

    def test_an_exhaustive_search_visits_every_combination_once_defaults_first(self, grid_algo):
        session, _ = self.searched(grid(grid_algo), constant, 12)
        assert session.params[0] == GRID_DEFAULTS
        visited = sorted(map(canonical_json, session.params))
        assert visited == sorted(map(canonical_json, combinations(GRID)))

    def test_an_exhaustive_search_that_was_killed_misses_nothing(self, grid_algo):
        first = FakeSession(grid(grid_algo), constant, 12, kill_in=5)
        with pytest.raises(Interrupted):
            self.make_engine().search(first)
        session, _ = self.searched(grid(grid_algo), constant, 12, past=first.history())
        assert session.ran == list(range(5, 12))
        assert len({canonical_json(params) for params in session.params}) == 12

    def test_an_exhaustive_search_visits_each_combination_of_what_exists_once(self, grid_algo):
        start = {"negatives": 2, "loss": "BPR"}
        search = Search(CONDITIONAL_GRID, start, True, grid_algo, 4)
        session, _ = self.searched(search, constant, CONDITIONAL_GRID_SIZE)
        assert session.params[0] == start
        visited = sorted(map(canonical_json, session.params))
        assert visited == sorted(map(canonical_json, combinations(CONDITIONAL_GRID)))

    def test_only_parameters_that_exist_are_proposed(self, algo):
        session, state = self.searched(conditional(algo), branching, 15)
        for params in session.params:
            assert list(params) == [name for name in CONDITIONAL if is_active(CONDITIONAL, name, params)]
            assert all(CONDITIONAL[name].contains(value) for name, value in params.items())
            assert type(params.get("negatives", 1)) is int
        assert {params["loss"] for params in session.params} >= {"CE", "BPR"}
        assert state is not None
        assert state.best_params == max(session.history(), key=lambda o: o.score).params

    def test_a_killed_search_of_a_conditional_space_goes_on_undisturbed(self, algo):
        self.check_kills(conditional(algo, 7 if self.is_slow(algo) else 4), branching, 10)

    def test_no_combination_of_what_exists_is_tried_twice(self, algo):
        search = Search(CONDITIONAL_GRID, {"negatives": 2, "loss": "BPR"}, True, algo, 4)
        session, _ = self.searched(search, lambda slot, params: len(params), CONDITIONAL_GRID_SIZE)
        assert len({canonical_json(params) for params in session.params}) == CONDITIONAL_GRID_SIZE

    def test_a_branch_with_an_end_is_not_tried_again(self, algo):
        space = _SPACE.validate_python(
            {
                "loss": {"type": "choice", "values": ["CE", "BPR"]},
                "rate": {"type": "uniform", "min": 0.0, "max": 1.0, "when": {"loss": "CE"}},
            }
        )
        search = Search(space, {"loss": "BPR"}, True, algo, 4)
        session, _ = self.searched(search, lambda slot, params: float(params["loss"] == "BPR"), 7)
        assert [params["loss"] for params in session.params] == ["BPR", *["CE"] * 6]

    def test_noise_trains_again_what_is_proposed_again(self):
        search = dataclasses.replace(grid("random"), noise=True)
        session, _ = self.searched(search, constant, 2 * int(grid_size(GRID)))
        first = session.params[: int(grid_size(GRID))]
        assert len({canonical_json(params) for params in first}) < len(first)

    def test_what_is_known_to_be_good_comes_first_and_in_order(self, algo):
        other, third = {**MIXED_DEFAULTS, "width": 64}, {**MIXED_DEFAULTS, "loss": "CE", "layers": 3}
        known_good = (dict(MIXED_DEFAULTS), other, third)
        search = dataclasses.replace(self.mixed(algo), known_good=known_good)
        session, _ = self.searched(search, smooth, 5)
        assert session.params[:3] == list(known_good)
        assert not any(params in known_good for params in session.params[3:])

    def test_an_exhaustive_search_has_the_known_good_first_and_once(self, grid_algo):
        known_good = tuple({"width": width, "layers": 2, "loss": "CE"} for width in (32, 48, 16))
        search = dataclasses.replace(grid(grid_algo), known_good=known_good)
        session, _ = self.searched(search, constant, 12)
        assert session.params[:3] == list(known_good)
        assert len({canonical_json(params) for params in session.params}) == grid_size(GRID)

    def test_a_pruned_trial_is_learnt_from_by_its_score(self, algo):
        whole, _ = self.searched(self.mixed(algo), smooth, 12)
        pruned, _ = self.searched(self.mixed(algo), smooth, 12, pruned={1, 4, 5, 6})
        assert pruned.params == whole.params

    def test_a_pruned_trial_is_best_only_where_no_other_succeeded(self, algo):
        def rising(slot, params):
            return float(slot) if slot < 3 else None

        session, state = self.searched(self.mixed(algo), rising, 5, pruned={1, 2})
        assert state is not None
        assert state.best_params == session.params[0]
        session, state = self.searched(self.mixed(algo), rising, 5, pruned={0, 1, 2})
        assert state is not None
        assert state.best_params == session.params[2]

    def test_what_other_workers_run_is_hardly_run_again(self, algo):
        others = [params for params in combinations(GRID) if params["width"] == 16]
        session, _ = self.searched(grid(algo), lambda slot, params: params["width"], 8, others=others)
        assert len({canonical_json(params) for params in session.params}) == 8
        assert not any(params in others for params in session.params)

    def test_a_search_goes_on_beside_other_workers(self, algo):
        others = [{**MIXED_DEFAULTS, "width": 80}, {**MIXED_DEFAULTS, "momentum": 0.9}]
        session, _ = self.searched(self.mixed(algo), smooth, 12, others=others)
        assert session.ran == list(range(12))
        assert all(MIXED[name].contains(params[name]) for params in session.params for name in MIXED)

    def test_late_results_are_learnt_from_like_early_ones(self, algo):
        search = dataclasses.replace(self.mixed(algo), startup_trials=6 if self.is_slow(algo) else 2)

        class Late(FakeSession):
            def history(self):
                return [o for o in super().history() if o.slot not in (1, 3) or len(self.claimed) > 8]

        late = Late(search, smooth, 9)
        self.make_engine().search(late)
        others = [o for o in late.history() if o.slot < 8]
        session, _ = self.searched(search, smooth, 9, past=others)
        assert session.params[8] == late.params[8]

    def test_a_model_keeps_away_from_what_other_workers_run(self, careful_algo):
        def bowl(slot, params):
            return -((params["x"] - 2) ** 2) - (params["y"] + 1) ** 2

        search = Search(LINE, {"x": -4.0, "y": 4.0}, True, careful_algo, 5)
        past = self.searched(search, bowl, 12)[0].history()
        alone, _ = self.searched(search, bowl, 13, past=past)
        here = alone.params[12]
        beside, _ = self.searched(search, bowl, 13, past=past, others=[here])
        assert beside.params[12] != here

    def test_several_objectives_are_searched_and_the_first_decides_on_the_best(self, multi_objective_algo):
        def both(slot, params):
            return None if slot == 2 else (smooth(slot, params), params["width"] + slot / 10)

        search = dataclasses.replace(self.mixed(multi_objective_algo), directions=(True, False))
        session, state = self.searched(search, both, 14)
        assert session.ran == list(range(14))
        assert all(MIXED[name].contains(params[name]) for params in session.params for name in MIXED)
        good = [o for o in session.history() if o.values]
        assert state is not None
        assert state.best_params == max(good, key=lambda o: o.values[0]).params
        self.check_kills(search, both)

    def test_several_objectives_of_a_conditional_space(self, multi_objective_algo):
        def both(slot, params):
            return branching(slot, params), float(params["width"])

        search = dataclasses.replace(conditional(multi_objective_algo), directions=(True, False))
        self.check_kills(search, both, 10)

    def test_a_bad_value_of_any_objective_is_like_a_failure(self, multi_objective_algo):
        def spoiled_by(second):
            def objective(slot, params):
                if slot % 3 == 1:
                    return None if second is None else (5.0, second)
                return smooth(slot, params), float(params["width"])

            search = dataclasses.replace(self.mixed(multi_objective_algo), directions=(True, False))
            return self.searched(search, objective, 12)[0]

        assert spoiled_by(math.nan).params == spoiled_by(None).params == spoiled_by(math.inf).params

    def test_an_exhaustive_search_visits_every_combination_for_several_objectives(self, grid_algo):
        search = dataclasses.replace(grid(grid_algo), directions=(True, False))
        session, state = self.searched(search, lambda slot, params: (params["layers"], params["width"]), 12)
        assert len({canonical_json(params) for params in session.params}) == 12
        assert state is not None
        assert state.best_params["layers"] == 2
