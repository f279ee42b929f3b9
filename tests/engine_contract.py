"""What every engine promises. Each engine's test class inherits `EngineContract`."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from recsweep.engines.base import Engine, Observation, Search, SearchState
from recsweep.errors import SweepPaused
from recsweep.files import canonical_json
from recsweep.space import Parameter, Params, combinations

_SPACE: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Parameter])
Objective = Callable[[int, Params], float | None]

MIXED = _SPACE.validate_python(
    {
        "learning_rate": {"type": "loguniform", "min": 1e-4, "max": 1e-1},
        "momentum": {"type": "uniform", "min": 0.0, "max": 1.0},
        "width": {"type": "quniform", "min": 16, "max": 128, "q": 16},
        "dropout": {"type": "quniform", "min": 0.0, "max": 0.5, "q": 0.1},
        "layers": {"type": "randint", "min": 1, "max": 3},
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
GRID_DEFAULTS = {"width": 32, "layers": 2, "loss": "CE"}
LINE = _SPACE.validate_python(
    {
        "x": {"type": "uniform", "min": -5.0, "max": 5.0},
        "y": {"type": "uniform", "min": -5.0, "max": 5.0},
    }
)


def mixed(algo: str, *, maximize: bool = True, startup: int = 4) -> Search:
    return Search(MIXED, dict(MIXED_DEFAULTS), maximize, algo, startup)


def grid(algo: str) -> Search:
    return Search(GRID, dict(GRID_DEFAULTS), True, algo, 4)


class Interrupted(BaseException):
    """As if the process were killed while it trained."""


class FakeSession:
    """A study in memory: slots in order, an objective instead of training.

    Args:
        objective: score of a slot's parameters; None is a failed trial.
        budget: number of slots.
        known: what an earlier session came to.
        kill_in: the slot in which the process "dies".
    """

    def __init__(
        self,
        search: Search,
        objective: Objective,
        budget: int,
        known: list[Observation] | None = None,
        kill_in: int | None = None,
        seed: int = 0,
    ) -> None:
        self.search, self._objective, self._budget = search, objective, budget
        self.found = {observation.slot: observation for observation in known or []}
        self.claimed: list[int] = []
        self.ran: list[int] = []
        self._kill_in, self._seed = kill_in, seed

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

    def run(self, slot: int, params: Params) -> Observation:
        if slot == self._kill_in:
            raise Interrupted
        self.ran.append(slot)
        self.found[slot] = Observation(slot, params, self._objective(slot, params))
        return self.found[slot]

    @property
    def params(self) -> list[Params]:
        return [observation.params for observation in self.history()]


def smooth(slot: int, params: Params) -> float:
    """A score with one best point; never negative."""
    rate = (math.log10(params["learning_rate"]) + 2) ** 2
    return 10 / (1 + rate + (params["width"] - 96) ** 2 / 1000 + params["dropout"])


def constant(slot: int, params: Params) -> float:
    return 0.5


class EngineContract:
    """The tests. A subclass says which engine, and how it can propose."""

    algos: ClassVar[tuple[str, ...]]
    model_based: ClassVar[tuple[str, ...]]
    exhaustive: ClassVar[bool]

    def make_engine(self) -> Engine:
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "algo" in metafunc.fixturenames:
            metafunc.parametrize("algo", self.algos)
        if "model_based_algo" in metafunc.fixturenames:
            metafunc.parametrize("model_based_algo", self.model_based)

    def searched(
        self, search: Search, objective: Objective, budget: int, **more: Any
    ) -> tuple[FakeSession, SearchState | None]:
        """A whole search by a fresh engine."""
        session = FakeSession(search, objective, budget, **more)
        return session, self.make_engine().search(session)

    def test_the_first_proposal_is_the_defaults(self, algo):
        session, _ = self.searched(mixed(algo), smooth, 2)
        assert session.params[0] == MIXED_DEFAULTS

    def test_exactly_the_claimed_slots_are_run_in_order(self, algo):
        session, _ = self.searched(mixed(algo), smooth, 7)
        assert session.ran == session.claimed == list(range(7))

    def test_nothing_is_run_where_no_slot_is_left(self, algo):
        session, state = self.searched(mixed(algo), smooth, 0)
        assert state is None
        assert session.ran == []

    def test_values_lie_in_the_space_and_keep_its_types(self, algo):
        session, _ = self.searched(mixed(algo), smooth, 15)
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

    def test_a_search_goes_on_after_many_trials_without_progress(self, algo):
        session, _ = self.searched(mixed(algo), constant, 25)
        assert session.ran == list(range(25))

    @pytest.mark.parametrize("score", [None, math.nan, math.inf, 0.0], ids=str)
    @pytest.mark.parametrize("bad_slots", [{0}, {0, 1, 2}, {3, 6, 7, 8}], ids=str)
    def test_bad_scores_neither_end_nor_win_a_search(self, algo, score, bad_slots):
        search = mixed(algo)
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
            return self.searched(mixed(algo), lambda s, p: score if s % 3 == 1 else smooth(s, p), 14)[0]

        assert spoiled_by(math.nan).params == spoiled_by(None).params

    def test_a_score_of_zero_is_a_score(self, algo):
        scores = [0.0, -1.0, -2.0]
        session, state = self.searched(mixed(algo), lambda slot, params: scores[slot], 3)
        assert state is not None
        assert state.best_params == session.params[0]

    def test_a_search_in_which_every_trial_fails_ends_without_a_best(self, algo):
        session, state = self.searched(mixed(algo), lambda slot, params: None, 14)
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

    def test_a_small_discrete_space_is_not_sampled_twice_where_it_can_be_helped(self, algo):
        session, _ = self.searched(grid(algo), lambda slot, params: params["width"] * slot % 7, 6)
        assert len({canonical_json(params) for params in session.params}) == 6

    def test_the_same_search_proposes_the_same(self, algo):
        first, _ = self.searched(mixed(algo), smooth, 12)
        second, _ = self.searched(mixed(algo), smooth, 12)
        assert first.params == second.params

    def test_another_seed_proposes_something_else(self, algo):
        first, _ = self.searched(mixed(algo), smooth, 3)
        second, _ = self.searched(mixed(algo), smooth, 3, seed=1)
        assert first.params[0] == second.params[0]
        assert first.params[1] != second.params[1]

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(kills=st.lists(st.integers(0, 11), unique=True, max_size=4), seed=st.integers(0, 99))
    def test_a_search_that_was_killed_goes_on_as_if_nothing_had_been(self, algo, kills, seed):
        whole, _ = self.searched(mixed(algo), smooth, 12, seed=seed)
        known: list[Observation] = []
        for slot in sorted(kills):
            session = FakeSession(mixed(algo), smooth, 12, known, kill_in=slot, seed=seed)
            with pytest.raises(Interrupted):
                self.make_engine().search(session)
            known = session.history()
        resumed, _ = self.searched(mixed(algo), smooth, 12, known=known, seed=seed)
        assert resumed.params == whole.params

    def test_a_pause_is_passed_on(self, algo):
        def disk_full(slot, params):
            raise SweepPaused("no space left")

        with pytest.raises(SweepPaused, match="no space left"):
            self.searched(mixed(algo), disk_full, 3)

    def test_slots_filled_by_others_are_learnt_from_but_not_run(self, model_based_algo):
        search = dataclasses.replace(mixed(model_based_algo), startup_trials=1)
        whole, _ = self.searched(search, smooth, 8)
        others = [o for o in whole.history() if o.slot != 4]
        session, _ = self.searched(search, smooth, 8, known=others)
        assert session.ran == [4]

    @pytest.mark.parametrize("maximize", [True, False])
    def test_a_model_based_search_beats_a_random_one(self, model_based_algo, maximize):
        def bowl(slot, params):
            value = -((params["x"] - 2) ** 2) - (params["y"] + 1) ** 2
            return value if maximize else -value

        def mean_best(algo):
            search = Search(LINE, {"x": -4.0, "y": 4.0}, maximize, algo, 5)
            runs = [self.searched(search, bowl, 25, seed=seed)[0].history() for seed in range(6)]
            pick = max if maximize else min
            return sum(abs(pick(o.score for o in run)) for run in runs) / len(runs)

        assert mean_best(model_based_algo) < mean_best("random")

    def test_an_exhaustive_search_visits_every_combination_once_defaults_first(self):
        if not self.exhaustive:
            pytest.skip("this engine has no exhaustive search")
        session, _ = self.searched(grid("exhaustive"), constant, 12)
        assert session.params[0] == GRID_DEFAULTS
        visited = sorted(map(canonical_json, session.params))
        assert visited == sorted(map(canonical_json, combinations(GRID)))

    def test_an_exhaustive_search_that_was_killed_misses_nothing(self):
        if not self.exhaustive:
            pytest.skip("this engine has no exhaustive search")
        first = FakeSession(grid("exhaustive"), constant, 12, kill_in=5)
        with pytest.raises(Interrupted):
            self.make_engine().search(first)
        session, _ = self.searched(grid("exhaustive"), constant, 12, known=first.history())
        assert session.ran == list(range(5, 12))
        assert len({canonical_json(params) for params in session.params}) == 12
