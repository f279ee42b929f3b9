"""`Pop` beside the models of a sweep, and models that have no parameters."""

from __future__ import annotations

import pytest

from helpers.workspace import Workspace, make_workspace
from recsweep.api.baselines import beside
from recsweep.api.studies import Studies
from recsweep.common.errors import InputError
from recsweep.planning.baseline import baselines
from recsweep.recbole_api import negatives
from recsweep.study import BASELINE, Store
from recsweep.study.record import StudyRecord

NOTHING = "model: Pop\nspace: {}\n"


@pytest.fixture
def space(tmp_path) -> Workspace:
    found = make_workspace(tmp_path, sweep="sweep: s\nmodels: [NARM, Other]\ndatasets: [toy]\n")
    (tmp_path / "models" / "Other.yaml").write_text(f"model: NARM\n{found.model.read_text()}")
    return found


def test_each_data_set_has_one_baseline_of_one_trial(space):
    (plan,) = baselines(space.plans(engine="optuna", algo="random", max_evals=9, epochs=7))
    assert (plan.name, plan.label, plan.budget) == ("s/toy/Pop/baseline", "toy/Pop", 1)
    assert plan.is_last
    assert plan.record().kind == BASELINE
    assert StudyRecord.from_json(plan.record().to_json()).model.space == {}


def test_settings_of_the_search_and_the_training_make_no_other_baseline(space):
    (one,) = baselines(space.plans())
    (other,) = baselines(space.plans(epochs=3, max_evals=7, pruner="median", sweep_timeout_minutes=1))
    assert one.content_hash == other.content_hash
    (third,) = baselines(space.plans(seed=5))
    assert third.content_hash != one.content_hash


def test_it_can_be_switched_off_or_be_one_of_the_models(space):
    assert baselines(space.plans(popularity="none")) == []
    (space.root / "models" / "MyPop.yaml").write_text(NOTHING)
    assert baselines(space.plans(models="NARM MyPop")) == []
    with pytest.raises(InputError, match="popularity"):
        space.plans(popularity="Popp")


def test_part_of_a_data_sets_studies_asks_for_no_baseline(space):
    plans = space.plans()
    assert [plan.label for plan in beside(Studies(space.load(), plans, plans))] == ["toy/Pop"]
    assert beside(Studies(space.load(), plans, plans[:1])) == []


def test_it_is_in_no_list_of_a_store(space, store: Store):
    (plan,) = baselines(space.plans())
    store.open_study(plan.name, plan.definition, maximize=plan.directions, record=plan.record())
    assert store.records() == []
    assert store.tallied() == []
    (record,) = store.records(kind=BASELINE)
    assert (record.study, record.model_name) == ("s/toy/Pop/baseline", "Pop")


@pytest.mark.parametrize("settings", [{}, {"phases": "coarse loss"}, {"engine": "optuna", "algo": "gp"}])
def test_a_model_without_parameters_is_one_trial_whatever_the_budget(space, settings):
    (space.root / "models" / "MyPop.yaml").write_text(NOTHING)
    (plan,) = space.plans(models="MyPop", max_evals=20, **settings)
    assert (plan.budget, plan.chain, plan.known_good) == (1, ("full",), ({},))


def test_pop_is_given_no_negatives_to_count(space):
    assert negatives.use("Pop") == "not at all"
    assert negatives.use("ItemKNN") == "never"
    (plan,) = baselines(space.plans())
    assert plan.settings({}, 1)[negatives.KEY] is None
