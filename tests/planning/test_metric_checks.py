"""A metric fits its task, the data and the models, or is refused with those that do."""

from __future__ import annotations

import copy

import pytest
import torch

from helpers.rich import make_rich
from recsweep.common.errors import InputError
from recsweep.datasets.prepare import prepare
from recsweep.planning.baseline import baselines
from recsweep.planning.plan import check_data, plan_sweep
from recsweep.recbole_api import catalog
from recsweep.sweeps.tasks import LABELS, PREDICTED
from recsweep.training import training, users

LIKED = "path: toy\nlabel_threshold: {rating: 4}\nsplit: {type: ratio, order: random, group_by: none}\n"
RATED = LIKED.replace("label_threshold: {rating: 4}", "label_scale: {rating: [1, 5]}")
CPU = torch.device("cpu")


def load(root, metric, model="FM", dataset=LIKED, **overrides):
    workspace = make_rich(root, model, dataset=dataset)
    text = workspace.sweep.read_text().replace("search: {noise: true}\n", "")
    workspace.sweep.write_text(f"{text}search: {{engine: optuna}}\nevaluation: {{{metric}}}\n")
    return workspace.load(**overrides)


def planned(*given, **named):
    return plan_sweep(load(*given, **named))


def refusal(*given, **named):
    with pytest.raises(InputError) as caught:
        planned(*given, **named)
    return str(caught.value)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("metric: AUC, metrics: [NDCG]", "`NDCG` is no metric of predictions, which `metric: AUC` is"),
        ("metric: NDCG@10, metrics: [RMSE]", "`RMSE` is no metric of rankings, which `metric: NDCG@10` is"),
        ("metric: AUC@10", "AUC is of predictions and takes no cut-off; write `AUC`"),
        ("metric: AUC, objectives: [AUC, Hit@5]", "`Hit` is no metric of predictions"),
    ],
)
def test_a_metric_of_another_task_is_refused_with_those_that_fit(tmp_path, metric, said):
    found = refusal(tmp_path, metric)
    assert said in found
    fit = "NDCG" if "rankings, which" in said else "AUC"
    assert fit in found.rpartition(";")[2]


def test_predictions_need_labels_and_models_that_learn_them(tmp_path):
    assert "labels no row; set `label_threshold: {rating: 4}`" in refusal(
        tmp_path / "a", "metric: AUC", dataset="path: toy\n"
    )
    said = refusal(tmp_path / "b", "metric: AUC", model="BPR")
    assert "BPR ranks items and predicts no label, which AUC measures; leave the model out" in said
    assert "DeepFM" in said


def test_ratings_are_measured_by_their_own_metrics(tmp_path):
    said = refusal(tmp_path / "a", "metric: LogLoss", dataset=RATED)
    assert "LogLoss is of labels 0 and 1, and toy has ratings (`label_scale`); use MAE, RMSE" in said
    assert planned(tmp_path / "b", "metric: RMSE", dataset=RATED)[0].evaluation.metrics == ("MAE", "RMSE")


def test_a_rating_off_its_scale_is_shown_with_its_line(tmp_path):
    sweep = load(tmp_path, "metric: RMSE", dataset=RATED.replace("[1, 5]", "[1, 4]"))
    with pytest.raises(InputError, match=r"toy.inter:6:8: `rating` is a label on a scale of 1 to 4"):
        check_data(sweep)


@pytest.mark.parametrize("metric", LABELS)
def test_losses_are_minimized_and_areas_maximized(tmp_path, metric):
    (plan,) = planned(tmp_path, f"metric: {metric}, objectives: [{metric}, training_seconds]")
    less = metric in ("LogLoss", "MAE", "RMSE")
    assert plan.directions == [not less, False]
    assert PREDICTED[metric.lower()] is not less
    assert catalog.directions()[metric.lower()] is not less
    assert baselines([plan]) == []  # Pop predicts nothing


def trained(root, metric, dataset, cache, model="FM"):
    (plan,) = planned(root, metric, model=model, dataset=dataset, epochs=2, batch_size=32)
    settings = plan.settings(plan.defaults, 1)
    split = prepare(settings, plan.files, cache).split
    found = training.train(settings, split, CPU)
    return found, users.tested(copy.deepcopy(settings), split, CPU, found.best), split


def test_predictions_of_labels_are_measured_and_shared_by_users(tmp_path):
    found, tested, _ = trained(tmp_path, "metric: LogLoss, metrics: [AUC, GAUC]", LIKED, tmp_path / "cache")
    assert found.metrics.keys() == {"auc", "gauc", "logloss"}
    assert 0.3 < found.score < 1.0
    assert tested.users.means() == pytest.approx(
        {name: tested.metrics[name] for name in ("gauc", "logloss")}, abs=1e-6
    )


def test_predictions_of_ratings_are_measured_in_stars(tmp_path):
    _, tested, split = trained(tmp_path, "metric: RMSE", RATED, tmp_path / "cache")
    labels = split.parts[0].inter_feat["label"]
    assert sorted(set(labels.tolist())) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert 1.0 < tested.metrics["rmse"] < 2.0  # of a scale that is 4 wide: near its spread
    assert tested.users.means() == pytest.approx({"mae": tested.metrics["mae"]}, abs=1e-6)


@pytest.mark.parametrize("how", ["{method: ED, bucket: 5}", "{method: LD}"])
def test_numbers_become_classes(tmp_path, how):
    columns = "columns: {inter: [user_id, item_id, rating, timestamp], user: [user_id, age]}\n"
    classes = f"numerical_features: [age]\ndiscretization: {{age: {how}}}\n"
    found, _, split = trained(tmp_path, "metric: AUC", LIKED + columns + classes, tmp_path / "cache")
    ages = split.whole.user_feat["age"][1:, 1].unique()
    assert 3 < len(ages) <= (5 if "ED" in how else 24)
    assert found.score > 0


def test_a_class_is_made_of_a_numerical_feature_alone(tmp_path):
    with pytest.raises(InputError, match="discretization of `age`, which must be one of numerical_features"):
        load(tmp_path, "metric: AUC", dataset=LIKED + "discretization: {age: {method: LD}}\n")
