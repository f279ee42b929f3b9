"""Cases of context-aware models."""

from __future__ import annotations

from helpers.fast_cases.case import SIZES, Case

FEATURES = {"load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]}}
DEEP = {"embedding_size": 10, "mlp_hidden_size": [32, 16], "dropout_prob": 0.0}
CASES: dict[str, Case] = {
    "LR": Case({"embedding_size": 10}, (None,), {"features": FEATURES}),
    "WideDeep": Case(DEEP, (None,), {**SIZES, "features": FEATURES, "one-layer": {"mlp_hidden_size": [10]}}),
    "FM": Case({"embedding_size": 10}, (None,), {**SIZES, "features": FEATURES}),
    "DeepFM": Case(
        DEEP,
        (None,),
        {
            **SIZES,
            "features": FEATURES,
            "one-layer": {"mlp_hidden_size": [10], **FEATURES},
            "three-layers": {"mlp_hidden_size": [50, 24, 10]},
        },
    ),
}
