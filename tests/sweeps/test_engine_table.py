"""The table of engines, and that everything that names them reads it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from helpers.workspace import run_python
from recsweep.common.errors import UserError
from recsweep.search.engines import make_engine, make_engine_of
from recsweep.sweeps import engine_table
from recsweep.sweeps.config import EvaluationConfig, SearchConfig, SweepConfig
from recsweep.sweeps.engine_table import ENGINES, Algo, Can, EngineRow, algo_names

ROOT = Path(__file__).parents[2]
EVERY = [(row.name, algo.name) for row in ENGINES.values() for algo in row.algos]
NONE = EngineRow("none", "none_:None", "no-such-library", "nothing", ())


@pytest.mark.parametrize(("engine", "algo"), EVERY)
def test_a_sweep_may_ask_for_every_algo_of_every_engine(engine, algo):
    assert SearchConfig(engine=engine, algo=algo).algo == algo


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("algo", algo_names())
def test_an_algo_of_another_engine_is_refused_with_those_that_have_it(engine, algo):
    if ENGINES[engine].algo(engine_table.known_as(engine, algo)) is not None:
        return
    others = " or ".join(name for name, row in ENGINES.items() if row.algo(algo))
    with pytest.raises(ValidationError, match=f"the engine {engine} has no algo {algo}; .*engine {others}"):
        SearchConfig(engine=engine, algo=algo)


@pytest.mark.parametrize(("engine", "algo"), EVERY)
def test_several_objectives_are_for_the_algos_that_can(engine, algo):
    def ask():
        return SweepConfig(
            sweep="s",
            models=("FPMC",),
            datasets=("toy",),
            search=SearchConfig(engine=engine, algo=algo),
            evaluation=EvaluationConfig(objectives=("NDCG@10", "training_seconds")),
        )

    if engine_table.can(engine, algo, Can.OBJECTIVES):
        assert ask().evaluation.several
    else:
        with pytest.raises(ValidationError, match=r"need search.engine optuna with random, bayes,"):
            ask()


def test_another_name_of_an_algo_is_as_good():
    for row in ENGINES.values():
        for algo in row.algos:
            for other in algo.also:
                assert SearchConfig(engine=row.name, algo=other).algo == algo.name


@pytest.mark.parametrize("name", [name for name, row in ENGINES.items() if not row.extra])
def test_the_class_of_each_row_is_there(name):
    assert type(make_engine(name)).__name__ == ENGINES[name].made_by.split(":")[1]


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "recsweep.search.engines.optuna_", raising=False)
    monkeypatch.setitem(sys.modules, "optuna.samplers", None)
    with pytest.raises(UserError, match=r"needs optuna, which is not installed; .*pip install optuna"):
        make_engine("optuna")


def test_a_row_whose_module_is_missing_is_no_matter_of_its_library():
    with pytest.raises(ModuleNotFoundError, match="none_"):
        make_engine_of(NONE)


def test_the_table_needs_no_search_library():
    code = "import sys, recsweep.sweeps.config; print(*{'hyperopt', 'optuna', 'sqlalchemy'} & {*sys.modules})"
    assert run_python(code) == ""


def test_the_page_about_the_config_has_the_table():
    page = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    made = engine_table.markdown()
    assert made in page, f"put this between the marks of config/README.md:\n{made}"


def test_the_page_of_explanation_says_how_each_algo_is_done():
    page = (ROOT / "docs" / "explanation" / "engines.md").read_text(encoding="utf-8")
    assert not [name for name in algo_names() if f"`{name}`" not in page]


def test_rows_are_looked_up_by_their_own_names():
    assert all(name == row.name for name, row in ENGINES.items())
    assert Algo("x", "").can == frozenset()
