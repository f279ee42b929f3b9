"""Cases of models that propagate over a graph."""

from __future__ import annotations

from helpers.fast_cases.case import SIZES, Case

CASES: dict[str, Case] = {
    "LightGCN": Case(
        {"embedding_size": 24, "n_layers": 2, "reg_weight": 0.01},
        (None,),
        {
            **SIZES,
            "no-layer": {"n_layers": 0},
            "three-layers": {"n_layers": 3},
            "squared": {"require_pow": True},
        },
    ),
    "SGL": Case(
        {"embedding_size": 24, "n_layers": 2, "reg_weight": 0.01, "type": "ED", "drop_ratio": 0.3},
        (None,),
        {
            **SIZES,
            "nodes": {"type": "ND"},
            "walks": {"type": "RW"},
            "one-layer-of-walks": {"type": "RW", "n_layers": 1},
            "sharp": {"ssl_tau": 0.05, "ssl_weight": 0.5},
        },
    ),
    # Where its leaky units turn, one rounding changes the sign of a slope.
    "NGCF": Case(
        {
            **{"embedding_size": 24, "hidden_size_list": [16, 24], "reg_weight": 0.01},
            **{"node_dropout": 0.0, "message_dropout": 0.0, "learning_rate": 0.001},
        },
        (None,),
        {
            "sizes-10-50": {"embedding_size": 10, "hidden_size_list": [50]},
            "sizes-64": {"embedding_size": 64, "hidden_size_list": [64, 64, 64]},
        },
    ),
    "GCMC": Case(
        {"embedding_size": 16, "gcn_output_dim": 24, "dropout_prob": 0.0},
        (None,),
        {
            "three-strips": {"embedding_size": 10, "gcn_output_dim": 131, "accum": "sum"},
            "dense-features": {"sparse_feature": False},
            "one-basis-three-classes": {"num_basis_functions": 1, "class_num": 3},
        },
        without=("adagrad", "adamw", "not-shuffled", "large-batches"),
    ),
    "NCL": Case(
        {
            **{"embedding_size": 24, "n_layers": 2, "reg_weight": 0.01, "num_clusters": 5},
            **{"ssl_reg": 1e-3, "proto_reg": 2e-3, "alpha": 0.7, "warm_up_step": 1},
        },
        (None,),
        {
            "size-10": {"embedding_size": 10, "warm_up_step": 0},
            "far-layers": {"hyper_layers": 2, "n_layers": 1, "warm_up_step": 0},
            "no-layer": {"hyper_layers": 0, "n_layers": 0, "warm_up_step": 0},
            "sharp": {"ssl_temp": 0.05, "warm_up_step": 0},
            "clusters-that-stay": {"m_step": 2, "warm_up_step": 0, "epochs": 3},
        },
        without=("adagrad", "adamw", "not-shuffled", "large-batches"),
    ),
}
