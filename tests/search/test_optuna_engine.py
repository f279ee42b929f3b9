"""The optuna engine, held to the contract of every engine."""

from __future__ import annotations

import dataclasses
import logging
import math
import statistics
import warnings
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.engine_contract import (
    GRID,
    LINE,
    MIXED,
    MIXED_DEFAULTS,
    EngineContract,
    FakeSession,
    mixed,
    smooth,
)
from recsweep.search.engines import make_engine, optuna_
from recsweep.search.engines.base import Search
from recsweep.search.engines.optuna_ import from_optuna, to_distribution, to_optuna
from recsweep.sweeps.config import parameter_type
from recsweep.sweeps.engine_table import ENGINES
from recsweep.sweeps.space import combination_at, grid_size


class Hasty(optuna.samplers.GPSampler):
    """A Gaussian process whose proposals are sought at a few points: nine tenths of its time go there."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._n_preliminary_samples, self._n_local_search = 64, 2


class TestOptuna(EngineContract):
    row = ENGINES["optuna"]

    @pytest.fixture(autouse=True)
    def _hasty(self, request, monkeypatch):
        """Only where a proposal has to be a good one is it sought as long as users' are."""
        if "beats_a_random_one" not in request.node.name:
            monkeypatch.setattr(optuna_, "GPSampler", Hasty)

    @pytest.mark.parametrize("one", ["bayes", "gp", "nsga2", "cmaes"])
    def test_more_startup_trials_make_a_longer_random_phase(self, one):
        late, _ = self.searched(mixed(one, startup=9), smooth, 9)
        longer, _ = self.searched(mixed(one, startup=30), smooth, 9)
        early, _ = self.searched(mixed(one, startup=2), smooth, 9)
        assert late.params == longer.params
        assert early.params[2:] != longer.params[2:]

    @pytest.mark.parametrize("one", ["cmaes", "nsga2"])
    def test_many_generations_come_nearer(self, one):
        def bowl(slot, params):
            return (params["x"] - 2) ** 2 + (params["y"] + 1) ** 2

        search = Search(LINE, {"x": -4.0, "y": 4.0}, False, one, 8)
        session, _ = self.searched(search, bowl, 200)
        scores = [observation.score for observation in session.history()]
        assert min(scores) < 0.05
        assert statistics.mean(scores[-50:]) < 0.75 * statistics.mean(scores[:50])

    def test_cmaes_starts_again_where_it_has_shrunk_to_a_point(self):
        one = {"x": parameter_type({"type": "uniform", "min": 0.0, "max": 1.0})}
        search = Search(one, {"x": 0.3}, False, "cmaes", 2)
        session, _ = self.searched(search, lambda slot, params: abs(params["x"] - 0.7), 400)
        distances = [abs(params["x"] - 0.7) for params in session.params]
        shrunk = next(slot for slot in range(400) if max(distances[slot : slot + 20]) < 1e-6)
        assert max(distances[shrunk:]) > 0.1

    def test_points_of_a_sobol_sequence_fill_the_space_evenly(self):
        search = Search(LINE, {"x": 0.0, "y": 0.0}, True, "qmc", 4)
        session, _ = self.searched(search, lambda slot, params: 0.0, 65)
        cells = {(math.floor(p["x"] * 0.8), math.floor(p["y"] * 0.8)) for p in session.params[1:]}
        assert len(cells) == 64  # the first 64 points, one in each of 8 x 8 cells

    def test_two_objectives_are_traded_off(self):
        def both(slot, params):
            return (params["x"] - 1) ** 2 + params["y"] ** 2, (params["x"] + 1) ** 2 + params["y"] ** 2

        def hypervolume(algo, seed):
            search = Search(LINE, {"x": -4.0, "y": 4.0}, False, algo, 8, directions=(False, False))
            found = [o.values for o in self.searched(search, both, 60, seed=seed)[0].history()]
            front, edge, volume = sorted(v for v in found if max(v) < 10), 10.0, 0.0
            for first, second in front:
                volume += (10 - first) * max(0.0, edge - second)
                edge = min(edge, second)
            return volume

        for algo in ("bayes", "nsga2"):
            assert sum(hypervolume(algo, s) for s in range(3)) > sum(
                hypervolume("random", s) for s in range(3)
            )

    @pytest.mark.parametrize("one", ["random", "bayes", "gp", "nsga2"])
    def test_neither_logs_nor_warnings_reach_the_user(self, one, caplog):
        optuna.logging.enable_propagation()
        level = optuna.logging.get_verbosity()
        try:
            with warnings.catch_warnings(), caplog.at_level(logging.INFO):
                warnings.simplefilter("error")
                self.searched(dataclasses.replace(mixed(one), startup_trials=6), smooth, 8)
        finally:
            optuna.logging.disable_propagation()
        assert not caplog.records
        assert optuna.logging.get_verbosity() == level


def test_parameters_survive_the_way_to_optuna_and_back():
    for name, parameter in MIXED.items():
        value = to_optuna(parameter, MIXED_DEFAULTS[name])
        assert to_distribution(parameter)._contains(to_distribution(parameter).to_internal_repr(value))
        assert from_optuna(parameter, value) == MIXED_DEFAULTS[name]


@given(st.integers(0, int(grid_size(GRID)) - 1))
def test_every_point_of_a_grid_survives_the_way_to_optuna_and_back(index):
    params = combination_at(GRID, index)
    back = {name: from_optuna(GRID[name], to_optuna(GRID[name], value)) for name, value in params.items()}
    assert back == params
    assert [type(value) for value in back.values()] == [type(value) for value in params.values()]


def test_a_choice_of_numbers_alone_is_a_scale():
    numbers = parameter_type({"type": "choice", "values": [0.01, 0.0001, 0.1, 0.001]})
    assert [to_optuna(numbers, value) for value in (0.0001, 0.001, 0.01, 0.1)] == [0, 1, 2, 3]
    assert to_distribution(numbers) == optuna.distributions.IntDistribution(0, 3)
    words = parameter_type({"type": "choice", "values": [True, 1, "1", None]})
    assert to_distribution(words) == optuna.distributions.CategoricalDistribution([0, 1, 2, 3])
    assert [from_optuna(words, index) for index in range(4)] == [True, 1, "1", None]


def test_nothing_is_kept_between_two_searches_of_one_engine():
    engine = make_engine("optuna")
    first, second = (FakeSession(mixed("nsga2"), smooth, 12) for _ in range(2))
    engine.search(first)
    engine.search(FakeSession(mixed("bayes"), smooth, 6, seed=5))
    engine.search(second)
    assert first.params == second.params
