from __future__ import annotations

import pytest

from helpers.workspace import run_python
from recsweep.recbole_api import catalog
from recsweep.recbole_api.settings import (
    columns,
    eval_args,
    metric_names,
    precision_settings,
    trial_settings,
)
from recsweep.sweeps.config import DatasetConfig, EvaluationConfig, ModelConfig, SplitConfig, TrainingConfig


def test_all_models_of_recbole_are_known_with_their_families():
    models = catalog.models()
    assert len(models) == 94
    assert {"GRU4Rec", "NARM", "STAMP", "SASRec", "FPMC", "FOSSIL"} <= {
        name for name, family in models.items() if family == "sequential"
    }
    assert (models["BPR"], models["DeepFM"], models["KGAT"]) == ("general", "context", "knowledge")
    assert models["XGBoost"] == "exlib"


@pytest.mark.parametrize(
    ("model", "reads", "ignores"),
    [
        ("NARM", {"n_layers", "hidden_size", "dropout_probs"}, {"num_layers", "dropout_prob"}),
        ("GRU4Rec", {"num_layers", "dropout_prob", "hidden_size"}, {"n_layers", "dropout_probs"}),
        ("SASRec", {"n_heads", "n_layers", "hidden_size", "attn_dropout_prob"}, {"embedding_size"}),
        ("FOSSIL", {"order_len", "reg_weight", "alpha"}, {"hidden_size"}),
        ("STAMP", {"embedding_size"}, {"hidden_size"}),
        ("BPR", {"embedding_size"}, {"hidden_size"}),
        ("DeepFM", {"mlp_hidden_size", "dropout_prob", "embedding_size"}, {"hidden_size"}),
    ],
)
def test_a_model_reads_its_own_parameters_and_no_others(model, reads, ignores):
    found = catalog.parameters(model)
    assert reads <= found
    assert not ignores & found


def test_the_settings_that_recbole_ships_for_a_model_are_hardly_ever_unknown():
    """Nearly all of what RecBole ships for its models is found; the rest it never reads itself."""
    unknown = {
        (model, name)
        for model in catalog.models()
        for name in catalog.published_defaults(model)
        if name not in catalog.searchable(model) | catalog.settings()
    }
    assert ("DMF", "embedding_size") in unknown  # shipped, but DMF reads `user_embedding_size`
    assert len(unknown) <= 12


def test_models_trained_by_gradients_have_a_learning_rate():
    without = {model for model in catalog.models() if "learning_rate" not in catalog.searchable(model)}
    solved = {"ADMMSLIM", "AsymKNN", "EASE", "ItemKNN", "NCEPLRec", "Pop", "Random", "SLIMElastic"}
    assert without == solved | {"LightGBM", "XGBoost"}


def test_keys_of_the_data_set_are_no_parameters_of_a_model():
    for model in ("NARM", "SASRec", "BPR"):
        assert not catalog.searchable(model) & (catalog.data_keys() | {"USER_ID_FIELD", "device", "epochs"})


def test_published_defaults_are_numbers_where_yaml_1_1_would_see_text():
    assert catalog.published_defaults("SASRec")["layer_norm_eps"] == 1e-12
    assert catalog.published_defaults("NARM")["dropout_probs"] == [0.25, 0.5]
    assert catalog.published_defaults("NoSuchModel") == {}


def test_metrics_know_whether_larger_is_better():
    metrics = catalog.metrics()
    assert all(metrics[name] for name in ("ndcg", "mrr", "recall", "hit", "precision", "map"))
    assert metrics["averagepopularity"] is False
    assert not {"auc", "rmse", "mae", "gauc"} & metrics.keys()


def test_looking_models_up_loads_neither_recbole_nor_torch():
    code = (
        "import sys\nfrom recsweep.recbole_api import catalog\n"
        "catalog.models(), catalog.metrics()\n"
        "catalog.searchable('NARM'), catalog.published_defaults('NARM')\n"
        "print([m for m in ('recbole', 'torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert run_python(code) == "[]"


def settings(tmp_path, model="NARM", params=None, fixed=None, **dataset):
    return trial_settings(
        DatasetConfig(name="toy", **dataset),
        tmp_path / "toy",
        ModelConfig(model=model, fixed=fixed or {}, space={"n": {"type": "randint", "min": 1, "max": 2}}),
        TrainingConfig(epochs=3),
        EvaluationConfig(metric="NDCG@5", topk=(20, 10)),
        params or {},
        seed=11,
        split_seed=7,
    )


def test_a_trial_gets_one_flat_config_in_which_its_parameters_win(tmp_path):
    flat = settings(tmp_path, params={"n_layers": 2, "train_batch_size": 7}, fixed={"n_layers": 1, "a": "b"})
    assert (flat["n_layers"], flat["train_batch_size"], flat["a"]) == (2, 7, "b")
    assert (flat["model"], flat["dataset"], flat["data_path"]) == ("NARM", "toy", str(tmp_path))
    assert (flat["epochs"], flat["seed"], flat["reproducibility"]) == (3, 11, True)


def test_only_mixed_precision_adds_the_keys_that_recbole_has_for_it():
    assert precision_settings(TrainingConfig()) == {}
    mixed = precision_settings(TrainingConfig(precision="mixed"))
    assert mixed == {"enable_amp": True, "enable_scaler": True}
    assert mixed.keys() <= catalog.settings(), "`recsweep train` takes them too"


def test_the_searched_metric_and_its_cutoff_are_always_measured(tmp_path):
    flat = settings(tmp_path)
    assert flat["topk"] == [5, 10, 20]
    assert flat["valid_metric"] == "NDCG@5"
    assert metric_names(EvaluationConfig(metric="MRR@10", metrics=("Recall",))) == ("Recall", "MRR")
    assert metric_names(EvaluationConfig(metric="mrr@10", metrics=("MRR",))) == ("MRR",)


def test_ml_100k_from_the_wheel_needs_no_path(tmp_path):
    flat = trial_settings(
        DatasetConfig(name="ml"),
        None,
        ModelConfig(model="FPMC", space={"n": {"type": "randint", "min": 1, "max": 2}}),
        TrainingConfig(),
        EvaluationConfig(),
        {},
        seed=1,
        split_seed=2,
    )
    assert flat["dataset"] == "ml-100k"
    assert "data_path" not in flat


@pytest.mark.parametrize(
    ("model", "fixed", "sampled"),
    [
        ("NARM", {}, False),
        ("NARM", {"loss_type": "BPR"}, True),
        ("GRU4Rec", {"loss_type": "CE"}, False),
        ("FPMC", {"loss_type": "BPR"}, True),
        ("BPR", {}, True),
    ],
)
def test_negatives_are_sampled_exactly_where_the_loss_wants_them(tmp_path, model, fixed, sampled):
    flat = settings(tmp_path, model=model, fixed=fixed)
    assert ("train_neg_sample_args" not in flat) is sampled


def test_a_searched_loss_decides_on_negatives_trial_by_trial(tmp_path):
    assert settings(tmp_path, params={"loss_type": "CE"})["train_neg_sample_args"] is None
    assert "train_neg_sample_args" not in settings(tmp_path, params={"loss_type": "BPR"})


def test_only_the_columns_that_are_needed_are_loaded():
    assert columns(DatasetConfig(name="a", keep={"rating": "[4,5]"})) == {
        "inter": ["user_id", "item_id", "timestamp", "rating"]
    }
    own = {"inter": ("user_id", "item_id"), "item": ("item_id", "genre")}
    assert columns(DatasetConfig(name="a", columns=own)) == {k: list(v) for k, v in own.items()}


def test_a_split_is_written_in_the_words_of_recbole(tmp_path):
    assert eval_args(DatasetConfig(name="a")) == {
        "split": {"LS": "valid_and_test"},
        "order": "TO",
        "group_by": "user",
        "mode": "full",
    }
    split = SplitConfig(type="ratio", order="random", group_by="none", ratio=(0.5, 0.25, 0.25))
    assert eval_args(DatasetConfig(name="a", split=split)) == {
        "split": {"RS": [0.5, 0.25, 0.25]},
        "order": "RO",
        "group_by": "none",
        "mode": "full",
    }


def test_filters_are_written_as_intervals(tmp_path):
    flat = settings(tmp_path, min_user_interactions=5, keep={"rating": "[4,inf)"})
    assert (flat["user_inter_num_interval"], flat["item_inter_num_interval"]) == ("[5,inf)", None)
    assert flat["val_interval"] == {"rating": "[4,inf)"}


def test_only_a_random_split_has_a_seed_of_its_own(tmp_path):
    assert "split_seed" not in settings(tmp_path)
    assert settings(tmp_path, split={"order": "random"})["split_seed"] == 7
