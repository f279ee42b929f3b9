"""The files of `config/`: they load, plan, and say where their numbers come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recsweep.planning.plan import check_data, plan_sweep
from recsweep.recbole_api import catalog
from recsweep.sweeps import space as spaces
from recsweep.sweeps.loading import load_sweep

CONFIG = Path(__file__).parent.parent / "config"
PANEL = ("GRU4Rec", "NARM", "STAMP", "SASRec", "FPMC", "FOSSIL")
ALL_MODELS = sorted(path.stem for path in (CONFIG / "models").glob("*.yaml"))
VARIANTS = ("AnyOfSix",)
MODELS = (*PANEL, "GRU4Rec-losses")
"""What recsweep ships; a user's own files beside them need only plan."""
DATASETS = sorted(path.stem for path in (CONFIG / "datasets").glob("*.yaml"))


def load(sweep="config.yaml", **overrides):
    return load_sweep(CONFIG / sweep, overrides)


@pytest.mark.parametrize(("sweep", "budget"), [("config.yaml", 20), ("smoke.yaml", 2)])
def test_a_shipped_sweep_plans_six_models_with_equal_budgets(sweep, budget):
    plans = plan_sweep(load(sweep))
    assert tuple(plan.model_name for plan in plans) == PANEL
    assert {plan.budget for plan in plans} == {budget}


def test_the_two_shipped_sweeps_never_share_a_study():
    names = [plan.name for sweep in ("config.yaml", "smoke.yaml") for plan in plan_sweep(load(sweep))]
    assert len(set(names)) == 12


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_shipped_data_set_is_there_and_sound(dataset):
    assert check_data(load(datasets=dataset))[dataset] > 10_000


@pytest.mark.parametrize("model", sorted({*ALL_MODELS, *MODELS} - set(VARIANTS)))
def test_every_model_plans(model):
    (plan,) = plan_sweep(load(models=model))
    assert plan.model.model == model.split("-")[0]
    assert set(plan.model.defaults) == set(plan.model.space)
    assert set(plan.defaults) == {name for name, p in plan.space.items() if not p.when}


@pytest.mark.parametrize("model", VARIANTS)
def test_every_shipped_study_over_models_plans(model):
    (plan,) = plan_sweep(load(models=model))
    assert tuple(plan.variants) == PANEL
    assert [params["model"] for params in plan.known_good] == list(PANEL)


@pytest.mark.parametrize("model", MODELS)
def test_the_phases_of_a_shipped_model_search_all_of_its_space_together(model):
    shipped = load(models=model).models[model]
    assert "coarse" in shipped.phases
    assert {name for names in shipped.phases.values() for name in names} == set(shipped.space)


@pytest.mark.parametrize("model", MODELS)
def test_every_space_tells_its_source_in_a_comment(model):
    text = (CONFIG / "models" / f"{model}.yaml").read_text(encoding="utf-8")
    comment = text[: text.index("model:")]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert "et al." in comment or " and " in comment
    assert "RecBole's published search" in comment
    assert "properties/model" in text


@pytest.mark.parametrize("model", MODELS)
def test_trial_number_one_is_what_recbole_publishes(model):
    (plan,) = plan_sweep(load(models=model))
    overall = yaml.safe_load((catalog.recbole_folder() / "properties" / "overall.yaml").read_text())
    published = {**overall, "embedding_size": 64, **catalog.published_defaults(plan.model.model)}
    assert {name: value for name, value in plan.defaults.items() if value != published.get(name)} == {}


@pytest.mark.parametrize("model", MODELS)
def test_every_space_varies_every_parameter_in_it(model):
    space = load(models=model).models[model].space
    assert all(parameter.size > 1 for parameter in space.values())
    assert spaces.grid_size(space) > 20


def test_narm_searches_the_name_that_narm_reads():
    space = load(models="NARM").models["NARM"].space
    assert "n_layers" in space
    assert "num_layers" not in space


def test_every_width_of_sasrec_is_a_multiple_of_every_number_of_heads():
    space = load(models="SASRec").models["SASRec"].space
    widths, heads = space["hidden_size"].grid(), space["n_heads"].grid()
    assert all(width % head == 0 for width in widths for head in heads)
