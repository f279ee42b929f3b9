"""Cases of general models that score pairs of a user and an item."""

from __future__ import annotations

from helpers.fast import TORCH
from helpers.fast_cases.case import SIZES, Case

NEGATIVES = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}


CASES: dict[str, Case] = {
    "BPR": Case({"embedding_size": 24}, (None,), SIZES),
    "DMF": Case(
        {
            **{"user_embedding_size": 16, "item_embedding_size": 24},
            **{"user_hidden_size_list": [24, 10], "item_hidden_size_list": [10]},
        },
        (None,),
        {"other-sizes": {"user_embedding_size": 10, "item_embedding_size": 50}},
    ),
    "FISM": Case(
        {"embedding_size": 16, "alpha": 0.3},
        (None,),
        {**SIZES, "whole-sums": {"alpha": 0.0}, "not-regularized": {"reg_weights": [0.0, 0.0]}},
    ),
    "SimpleX": Case(
        {
            **{
                "embedding_size": 16,
                "dropout_prob": 0.0,
                "history_len": 8,
                "reg_weight": 0.01,
                "margin": 0.2,
            },
            "train_neg_sample_args": {**NEGATIVES, "sample_num": 5},
        },
        (None,),
        {
            **SIZES,
            "one-negative": {"train_neg_sample_args": NEGATIVES},
            "squared": {"require_pow": True},
            "not-regularized": {"reg_weight": 0.0, "gamma": 0.8},
            "user-attention": {"aggregator": "user_attention"},
            "self-attention": {"aggregator": "self_attention"},
        },
    ),
    "NeuMF": Case(
        {
            **{"mf_embedding_size": 16, "mlp_embedding_size": 24, "mlp_hidden_size": [32, 16]},
            "dropout_prob": 0.0,
        },
        (None,),
        {
            "one-layer": {"mlp_hidden_size": [10]},
            "three-layers": {"mlp_hidden_size": [50, 24, 10]},
            "sizes-10-50": {"mf_embedding_size": 10, "mlp_embedding_size": 50},
            "three-negatives": {"train_neg_sample_args": {**NEGATIVES, "sample_num": 3}},
        },
    ),
    "NNCF": Case(
        {
            **{"ui_embedding_size": 16, "neigh_embedding_size": 8, "num_conv_kernel": 12},
            **{"conv_kernel_size": 3, "pool_kernel_size": 2, "neigh_num": 7, "mlp_hidden_size": [24, 10]},
            **{"dropout": 0.0, "neigh_info_method": "random"},
        },
        (None,),
        {
            "one-layer": {"mlp_hidden_size": [10]},
            "neighbours-by-knn": {"neigh_info_method": "knn"},
            "three-negatives": {"train_neg_sample_args": {**NEGATIVES, "sample_num": 3}},
        },
        paths=(TORCH,),
    ),
}
