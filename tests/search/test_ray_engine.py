"""The ray engine, held to the contract of every engine; `make test-ray` runs what needs Ray."""

from __future__ import annotations

import sys

import pytest

from helpers.engine_contract import (
    CONDITIONAL,
    MIXED,
    MIXED_DEFAULTS,
    EngineContract,
    conditional,
    mixed,
    smooth,
)
from helpers.ray import needs_ray
from helpers.workspace import run_python
from recsweep.common.errors import UserError
from recsweep.search.engines import make_engine
from recsweep.search.engines.base import Observation, Search
from recsweep.sweeps.config import SearchConfig
from recsweep.sweeps.engine_table import ENGINES


@needs_ray
class TestRay(EngineContract):
    row = ENGINES["ray"]

    @pytest.mark.parametrize("one", ["bayes", "tpe"])
    def test_more_startup_trials_make_a_longer_random_phase(self, one):
        late, _ = self.searched(mixed(one, startup=9), smooth, 9)
        longer, _ = self.searched(mixed(one, startup=30), smooth, 9)
        early, _ = self.searched(mixed(one, startup=2), smooth, 9)
        assert late.params == longer.params
        assert early.params[2:] != longer.params[2:]

    def test_what_does_not_exist_is_told_to_no_searcher(self):
        from recsweep.search.engines import ray_

        search = conditional("bayes")
        params = {"loss": "TOP1", "smoothing": 0.1, "width": 16}
        names = {name: name for name in CONDITIONAL}
        one = Observation(0, params, 0.5)
        document = ray_._as_document(search, names, ray_._domains(search), one, 0)
        told = {name for name, values in document["misc"]["vals"].items() if values}
        assert told == set(params)

    def test_the_engine_asks_for_no_ray_that_runs(self):
        import ray

        self.searched(self.mixed("bayes"), smooth, 3)
        assert not ray.is_initialized()


@needs_ray
def test_parameters_survive_the_way_to_ray_and_back():
    from recsweep.search.engines import ray_
    from recsweep.search.engines.optuna_ import to_optuna

    search = Search(MIXED, MIXED_DEFAULTS, True, "bayes", 4)
    drawn = {name: to_optuna(parameter, MIXED_DEFAULTS[name]) for name, parameter in MIXED.items()}
    assert ray_.from_ray(search, drawn) == MIXED_DEFAULTS
    assert all(ray_.to_ray(MIXED[name]).is_valid(value) for name, value in drawn.items())


@needs_ray
def test_a_supervisor_that_proposes_holds_no_torch():
    code = "import sys, recsweep.search.engines.ray_; print(*{'torch', 'recbole'} & {*sys.modules})"
    assert run_python(code) == ""


def test_without_ray_the_one_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "recsweep.search.engines.ray_", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^the engine ray needs ray, .*; run `make setup-ray`") as refused:
        make_engine("ray")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("engine", "algo"), [("ray", "tpe"), ("optuna", "bayes"), ("hyperopt", "bayes")])
def test_tpe_is_an_algo_of_ray_and_another_name_elsewhere(engine, algo):
    assert SearchConfig(engine=engine, algo="tpe").algo == algo
