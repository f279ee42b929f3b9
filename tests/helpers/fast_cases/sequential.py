"""Cases of sequential models."""

from __future__ import annotations

from helpers.fast_cases.case import SIZE, SIZES, Case, on_torch

RECURRENT_SIZES = {
    "sizes-10-24": {"embedding_size": 10, "hidden_size": 24},
    "sizes-50-10": {"embedding_size": 50, "hidden_size": 10},
    "sizes-24-50": {"embedding_size": 24, "hidden_size": 50},
    "sizes-64-64": {"embedding_size": 64, "hidden_size": 64},
}
CASES: dict[str, Case] = {
    "FPMC": Case({"embedding_size": 24}, ("BPR",), SIZES),
    "STAMP": Case({"embedding_size": 24}, variants=SIZES),
    "FOSSIL": Case(
        {"embedding_size": 24},
        variants={
            **SIZES,
            "order-1": {"order_len": 1},
            "order-5": {"order_len": 5},
            "alpha": {"alpha": 0.2},
            "regularized": {"reg_weight": 0.01},
            "regularized-order-5-alpha": {"reg_weight": 0.001, "order_len": 5, "alpha": 0.8},
        },
    ),
    "GRU4Rec": Case(
        {"embedding_size": 16, "hidden_size": 24, "num_layers": 1, "dropout_prob": 0.0},
        variants={**RECURRENT_SIZES, "two-layers": {"num_layers": 2}, "three-layers": {"num_layers": 3}},
    ),
    "NARM": Case(
        {"embedding_size": 16, "hidden_size": 24, "n_layers": 1, "dropout_probs": [0.0, 0.0]},
        variants={**RECURRENT_SIZES, "two-layers": {"n_layers": 2}, "three-layers": {"n_layers": 3}},
    ),
    "SASRec": Case(
        {
            **{"hidden_size": 16, "inner_size": 32, "n_layers": 2, "n_heads": 2},
            **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
        },
        variants={
            "one-layer": {"n_layers": 1},
            "three-layers": {"n_layers": 3},
            "one-head": {"n_heads": 1},
            "sizes-10-24-5-heads": {"hidden_size": 10, "inner_size": 24, "n_heads": 5},
            "sizes-24-50-3-heads": {"hidden_size": 24, "inner_size": 50, "n_heads": 3},
            "sizes-50-10": {"hidden_size": 50, "inner_size": 10},
            "sizes-64-256-4-heads": {"hidden_size": 64, "inner_size": 256, "n_heads": 4},
            "layer-norm-eps": {"layer_norm_eps": 1e-3},
            **{act: {"hidden_act": act} for act in ("gelu", "relu", "swish", "tanh", "sigmoid")},
        },
        # A softmax does not change when all keys are moved alike.
        undetermined=("key.bias",),
    ),
}
ITEM_CLASS = {
    "selected_features": ["class"],
    "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]},
}
ATTENTION = {
    **{"hidden_size": 16, "inner_size": 32, "n_layers": 2, "n_heads": 2},
    **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
}
KEYS = ("key.bias",)


CASES |= {
    "BERT4Rec": on_torch({**ATTENTION, "mask_ratio": 0.3, "ft_ratio": 0.5}, undetermined=KEYS),
    # What stands before a softmax over positions may be moved alike for all of them: CORE weighs them by
    # net.fn, whose input ends with the last layer's LayerNorm.
    "CORE": on_torch(
        {**ATTENTION, **SIZE, "sess_dropout": 0.0, "item_dropout": 0.0},
        "CE",
        undetermined=(*KEYS, "net.fn.bias", "layer.1.feed_forward.LayerNorm.bias"),
    ),
    "FDSA": on_torch({**ATTENTION, **ITEM_CLASS}, undetermined=KEYS),
    # At 0.01 RecBole does not agree with itself either, once its start is moved by one rounding.
    "GCSAN": on_torch({**ATTENTION, "learning_rate": 0.001}, undetermined=KEYS),
    "GRU4RecF": on_torch({**SIZE, **ITEM_CLASS, "hidden_size": 24, "dropout_prob": 0.0}),
    "HRM": on_torch({**SIZE, "dropout_prob": 0.0}),
    # Its softmax runs over the queries.
    "LightSANs": on_torch(ATTENTION, undetermined=("query.bias", "pos_q_linear.bias")),
    "NPE": on_torch({**SIZE, "dropout_prob": 0.0}),
    "RepeatNet": on_torch(
        {**SIZE, "hidden_size": 16, "dropout_prob": 0.0},
        "CE",
        undetermined=("explore_recommendation_decoder.Ve.bias",),
    ),
    "SASRecF": on_torch({**ATTENTION, **ITEM_CLASS}, undetermined=KEYS),
    "SHAN": on_torch(SIZE),
    "SRGNN": on_torch(SIZE),
    "TransRec": on_torch(SIZE, None),
}
