"""The hyperopt engine: RecBole's `HyperTuning`, held to the contract of every engine.

HyperOpt is imported by way of the engine, which leaves out SciPy's statistics: two seconds of each process
that collects tests.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.engine_contract import GRID, GRID_DEFAULTS, MIXED, MIXED_DEFAULTS, EngineContract, mixed, smooth
from recsweep.common.errors import EngineStateError, UserError
from recsweep.recbole_api.model import hyper_tuning
from recsweep.search.engines import make_engine
from recsweep.search.engines.base import Search
from recsweep.search.engines.hyperopt_ import from_raw, hp, hyperopt, read_state, to_hyperopt, to_raw
from recsweep.sweeps.engine_table import ENGINES
from recsweep.sweeps.space import combination_at, grid_size


class TestHyperopt(EngineContract):
    row = ENGINES["hyperopt"]

    def test_recboles_own_tuner_drives_the_search(self, monkeypatch):
        runs = []
        original = hyper_tuning().run
        monkeypatch.setattr(hyper_tuning(), "run", lambda self: (runs.append(self), original(self))[1])
        session, state = self.searched(mixed("bayes"), smooth, 3)
        (tuner,) = runs
        assert state is not None
        assert state.best_params == tuner.best_params
        assert list(state.params2result.values()) == tuner.score_list == [o.score for o in session.history()]

    def test_more_startup_trials_make_a_longer_random_phase(self):
        late, _ = self.searched(mixed("bayes", startup=12), smooth, 12)
        random, _ = self.searched(mixed("random"), smooth, 12)
        early, _ = self.searched(mixed("bayes", startup=3), smooth, 12)
        assert late.params == random.params
        assert early.params[3:] != random.params[3:]


@pytest.mark.parametrize("missing", ["best_params", "params2result"])
def test_a_tuner_without_its_state_is_refused_by_name(missing):
    state = {"best_params": {"a": 1}, "params2result": {}}
    del state[missing]
    with pytest.raises(EngineStateError, match=rf"no {missing} after run\(\).*make setup"):
        read_state(SimpleNamespace(**state))


def test_a_best_that_is_no_dict_is_refused():
    with pytest.raises(EngineStateError, match="must be a dict, but is a str"):
        read_state(SimpleNamespace(best_params="a:1", params2result={}))


def test_the_state_is_read_as_plain_python():
    state = read_state(SimpleNamespace(best_params={"a": (1, 2)}, params2result={"slot 0": 0.5}))
    assert state.best_params == {"a": [1, 2]}
    assert state.params2result == {"slot 0": 0.5}


def test_an_unknown_engine_is_named_with_those_there_are():
    with pytest.raises(UserError, match="no engine grid; the engines are: hyperopt, optuna"):
        make_engine("grid")


def test_the_space_is_handed_over_as_objects_and_never_as_text():
    expressions = to_hyperopt(MIXED)
    assert list(expressions) == list(MIXED)
    assert all(isinstance(expression, type(hp.uniform("x", 0, 1))) for expression in expressions.values())
    drawn = hyperopt.pyll.stochastic.sample(expressions)
    assert set(drawn) == set(MIXED)


def test_parameters_survive_the_way_to_hyperopt_and_back():
    assert from_raw(MIXED, to_raw(MIXED, MIXED_DEFAULTS)) == MIXED_DEFAULTS


@given(st.integers(0, int(grid_size(GRID)) - 1))
def test_every_point_of_a_grid_survives_the_way_to_hyperopt_and_back(index):
    params = combination_at(GRID, index)
    back = from_raw(GRID, to_raw(GRID, params))
    assert back == params
    assert [type(value) for value in back.values()] == [type(value) for value in params.values()]


def test_the_defaults_come_first_wherever_they_lie_in_the_grid():
    engine_test = TestHyperopt()
    for index in (0, 5, 11):
        search = Search(GRID, combination_at(GRID, index), True, "exhaustive", 4)
        session, _ = engine_test.searched(search, lambda slot, params: 0.0, 12)
        assert session.params[0] == combination_at(GRID, index)
        assert all(session.params.count(params) == 1 for params in session.params)
    assert GRID_DEFAULTS in session.params
