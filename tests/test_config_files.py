"""The files of `config/`: they load, plan, and say where their numbers come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from recsweep.common.files import to_plain
from recsweep.planning.checks import check_sweep
from recsweep.planning.plan import check_data, plan_sweep
from recsweep.recbole_api import catalog
from recsweep.sweeps import space as spaces
from recsweep.sweeps.loading import load_sweep

CONFIG = Path(__file__).parent.parent / "config"
PANEL = ("GRU4Rec", "NARM", "STAMP", "SASRec", "FPMC", "FOSSIL")
ALL_MODELS = sorted(path.stem for path in (CONFIG / "models").glob("*.yaml"))
VARIANTS = ("AnyOfSix",)
WITHOUT_PARAMETERS = ("Pop", "Random")
GENERAL = (
    *(
        "ADMMSLIM",
        "BPR",
        "CDAE",
        "DGCF",
        "DMF",
        "DiffRec",
        "EASE",
        "ENMF",
        "FISM",
        "GCMC",
        "ItemKNN",
        "LightGCN",
    ),
    *(
        "MacridVAE",
        "MultiDAE",
        "MultiVAE",
        "NCEPLRec",
        "NCL",
        "NGCF",
        "NeuMF",
        "RecVAE",
        "SGL",
        "SLIMElastic",
    ),
    *("SimpleX", "UserKNN"),
)
SEQUENTIAL = (
    *("BERT4Rec", "CORE", "Caser", "FEARec", "GCSAN", "HGN", "LightSANs", "NextItNet", "SRGNN"),
    *(*PANEL, "GRU4Rec-losses"),
)
CONTEXT = ("AutoInt", "DCNV2", "DeepFM", "FM", "xDeepFM")
KNOWLEDGE = ("CFKG", "KGAT", "KGIN", "MKR", "RippleNet")
MODELS = (*SEQUENTIAL, *GENERAL, *CONTEXT, *KNOWLEDGE)
"""What recsweep ships; a user's own files beside them need only plan."""
OF_AN_EXTRA = ("NCL", "KGAT", "KGIN")
"""Refused where the package that it needs is missing."""
OF_ANOTHER_NAME = {"UserKNN": "ItemKNN", "GRU4Rec-losses": "GRU4Rec"}
DATASETS = sorted(path.stem for path in (CONFIG / "datasets").glob("*.yaml"))


def load(sweep="config.yaml", **overrides):
    if overrides.get("models") in KNOWLEDGE:  # on the data that have a graph
        overrides.setdefault("datasets", "ml-100k-kg")
    return load_sweep(CONFIG / sweep, overrides)


def checked(model):
    """A shipped model, held against what RecBole reads of it."""
    sweep = load(models=model)
    check_sweep(sweep)
    return sweep.models[model]


@pytest.mark.parametrize(("sweep", "budget"), [("config.yaml", 20), ("smoke.yaml", 2)])
def test_a_shipped_sweep_plans_six_models_with_equal_budgets(sweep, budget):
    plans = plan_sweep(load(sweep))
    assert tuple(plan.model_name for plan in plans) == PANEL
    assert {plan.budget for plan in plans} == {budget}


def test_the_panel_is_13_general_models_without_extras():
    plans = plan_sweep(load("panel.yaml"))
    assert len(plans) == 13
    assert {catalog.models()[plan.model.model] for plan in plans} == {"general"}
    assert {plan.budget for plan in plans if plan.space} == {10}


def test_shipped_sweeps_never_share_a_study():
    sweeps = ("config.yaml", "smoke.yaml", "panel.yaml")
    names = [plan.name for sweep in sweeps for plan in plan_sweep(load(sweep))]
    assert len(set(names)) == 25


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_shipped_data_set_is_there_and_sound(dataset):
    assert check_data(load(datasets=dataset))[dataset] > 10_000


@pytest.mark.parametrize("model", sorted({*ALL_MODELS, *MODELS, *WITHOUT_PARAMETERS} - set(VARIANTS)))
def test_every_model_reads_what_it_searches(model):
    shipped = checked(model)
    assert shipped.model == OF_ANOTHER_NAME.get(model, model)
    assert set(shipped.defaults) == set(shipped.space)


@pytest.mark.parametrize("model", sorted({*MODELS, *WITHOUT_PARAMETERS} - set(OF_AN_EXTRA)))
def test_every_model_plans(model):
    (plan,) = plan_sweep(load(models=model))
    exist = {name for name in plan.space if spaces.is_active(plan.space, name, plan.model.defaults)}
    assert set(plan.defaults) == exist


@pytest.mark.parametrize("model", WITHOUT_PARAMETERS)
def test_a_model_without_parameters_is_a_study_of_one_trial(model):
    plans = plan_sweep(load(models=f"{model} FPMC", phases="coarse training", max_evals=9))
    assert [(plan.model_name, plan.budget) for plan in plans] == [(model, 1), ("FPMC", 5), ("FPMC", 4)]


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
    assert re.search(r"et al\.| and |Steck, ", comment)
    assert re.search(r"\b(19|20)\d\d\b", comment)
    assert "RecBole's published search" in comment
    assert f"properties/model/{OF_ANOTHER_NAME.get(model, model)}.yaml" in text


@pytest.mark.parametrize("model", MODELS)
def test_trial_number_one_is_what_recbole_publishes(model):
    shipped = checked(model)
    overall = yaml.safe_load((catalog.recbole_folder() / "properties" / "overall.yaml").read_text())
    published = {**overall, "embedding_size": 64, **catalog.published_defaults(shipped.model)}
    assert {
        name: value
        for name, value in to_plain(dict(shipped.defaults)).items()
        if value != published.get(name)
    } == {}


@pytest.mark.parametrize("model", MODELS)
def test_every_space_varies_every_parameter_in_it(model):
    space = load(models=model).models[model].space
    assert all(parameter.size > 1 for parameter in space.values())
    assert spaces.grid_size(space) > 20


@pytest.mark.parametrize("model", MODELS)
def test_only_models_with_a_gradient_have_a_learning_rate(model):
    shipped = checked(model)
    assert ("learning_rate" in shipped.space) is catalog.learns(shipped.model)


def test_narm_searches_the_name_that_narm_reads():
    space = load(models="NARM").models["NARM"].space
    assert "n_layers" in space
    assert "num_layers" not in space


def test_every_width_of_sasrec_is_a_multiple_of_every_number_of_heads():
    space = load(models="SASRec").models["SASRec"].space
    widths, heads = space["hidden_size"].grid(), space["n_heads"].grid()
    assert all(width % head == 0 for width in widths for head in heads)
