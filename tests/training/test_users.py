"""Scores of each user: their means are RecBole's metrics, under each protocol."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.fast import CPU, settings_of, split_of, write_interactions
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training import training, users

SHARES = {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user", "order": "RO"}
RANKED = ["NDCG", "Recall", "MRR", "MAP", "Hit", "Precision", "AveragePopularity", "TailPercentage", "GAUC"]
NO_MEANS = ["ItemCoverage", "ShannonEntropy", "GiniIndex"]
NEGATIVES = {"distribution": "uniform", "sample_num": 7, "alpha": 1.0, "dynamic": False, "candidate_num": 0}


def mode(name: str) -> dict[str, Any]:
    return {"mode": {"valid": name, "test": name}}


def sampled(**args: Any) -> dict[str, Any]:
    negatives = {f"{part}_neg_sample_args": NEGATIVES for part in ("valid", "test")}
    return {"eval_args": {**args, **mode("uni7")}, **negatives}


LAST = {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "last item": ("FPMC", {}),
    "several right items": ("BPR", {"eval_args": {**SHARES, **mode("full")}}),
    "no scores of all items": ("NeuMF", {"eval_args": {**SHARES, **mode("full")}, "mlp_hidden_size": [8]}),
    "several test cases": ("FPMC", {"eval_args": {**SHARES, "order": "TO", **mode("full")}}),
    "sampled": ("BPR", sampled(**LAST)),
    "sampled and sequential": ("FPMC", sampled(**LAST)),
    "sampled and several": ("BPR", sampled(**SHARES)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("users") / "toy", users=50)


def both(folder, model: str, **changes: Any):
    """A model with its first weights, tested by RecBole alone and by us."""
    settings = settings_of(folder, model, {"topk": [1, 5, 20], "eval_batch_size": 700, **changes})
    split = split_of(settings, folder)
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        made = recbole.make_model(config, make_loaders(config, split)[0])
    state = {"state_dict": recbole.weights(made), "other_parameter": None}
    return training.evaluate(settings, split, CPU, state), users.tested(settings, split, CPU, state)


@pytest.mark.parametrize("case", CASES)
def test_means_over_users_are_recboles_metrics(folder, case):
    model, changes = CASES[case]
    expected, found = both(folder, model, metrics=[*RANKED, *NO_MEANS], **changes)
    assert found.metrics == expected  # watching changes nothing
    means = found.users.means()
    assert {name for name in expected if name.split("@")[0] not in map(str.lower, NO_MEANS)} == means.keys()
    assert means == pytest.approx({name: expected[name] for name in means}, abs=1e-6)
    assert len(found.users.users) > 40
    assert {*found.users.users} <= {f"u{number}" for number in range(50)}
    assert list(found.users.users) == sorted(found.users.users)


def test_a_users_value_is_of_that_user(folder):
    settings = settings_of(
        folder, "BPR", {"metrics": ["MRR"], "topk": [90], "eval_args": {**LAST, **mode("full")}}
    )
    split = split_of(settings, folder)
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        weights = recbole.weights(recbole.make_model(config, make_loaders(config, split)[0]))
    found = users.tested(settings, split, CPU, {"state_dict": weights, "other_parameter": None}).users
    scores = (weights["user_embedding.weight"] @ weights["item_embedding.weight"].T).numpy()
    scores[:, 0] = -np.inf
    for part in split.parts[:2]:  # what a user had before is not recommended again
        scores[part.inter_feat["user_id"].numpy(), part.inter_feat["item_id"].numpy()] = -np.inf
    rows = split.parts[2].inter_feat
    for user, item in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), strict=True):
        row = found.users.tolist().index(str(split.whole.id2token("user_id", user)))
        assert found.metrics["mrr@90"][row] == 1 / (1 + (scores[user] > scores[user, item]).sum())


@pytest.mark.parametrize("metrics", [["MAE", "LogLoss", "RMSE", "AUC"]])
def test_losses_are_shared_by_users(folder, metrics):
    changes = {"eval_args": {**SHARES, **mode("labeled")}, "metrics": metrics, "valid_metric": "AUC"}
    changes |= {"threshold": {"timestamp": 1000.0}}
    expected, found = both(folder, "DeepFM", mlp_hidden_size=[8], **changes)
    assert found.users.means() == pytest.approx(
        {name: expected[name] for name in ("mae", "logloss")}, abs=1e-6
    )


def test_a_metric_of_ones_own_is_given_user_by_user(folder, monkeypatch):
    from recsweep.recbole_api.compat import recbole as modules

    base = modules("evaluator.base_metric").TopkMetric

    class Halves(base):
        def calculate_metric(self, data):
            hits, _ = self.used_info(data)
            return self.topk_result("halves", np.cumsum(hits, axis=1) * 0.5)

    register = modules("evaluator.register")
    for table, value in (
        ("metrics_dict", Halves),
        ("metric_information", ["rec.topk"]),
        ("metric_types", base.metric_type),
    ):
        monkeypatch.setitem(getattr(register, table), "halves", value)
    expected, found = both(folder, "BPR", metrics=["Halves", "Hit"], eval_args={**SHARES, **mode("full")})
    assert {*found.users.metrics} == {f"{name}@{k}" for name in ("halves", "hit") for k in (1, 5, 20)}
    assert found.users.means() == pytest.approx(expected, abs=1e-6)
