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
}
