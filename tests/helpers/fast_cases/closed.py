"""Cases of models that are computed, not learnt by gradients."""

from __future__ import annotations

from helpers.fast_cases.case import Case

CASES: dict[str, Case] = {
    "EASE": Case(
        {"reg_weight": 20.0},
        (None,),
        {"weak": {"reg_weight": 1.0}, "strong": {"reg_weight": 3000.0}},
        learns=False,
    ),
    "ItemKNN": Case(
        {"k": 10},
        (None,),
        {
            "shrink": {"shrink": 5.0},
            "all-neighbours": {"k": 1000},
            "users": {"knn_method": "user"},
            "users-shrink": {"knn_method": "user", "shrink": 2.0, "k": 3},
        },
        learns=False,
    ),
    "SLIMElastic": Case(
        {"alpha": 0.05, "l1_ratio": 0.05},
        (None,),
        {
            "both-signs": {"positive_only": False},
            "own-item": {"hide_item": False},
            "ridge": {"l1_ratio": 0.0},
            "lasso": {"l1_ratio": 1.0},
            "nothing-left": {"alpha": 100.0},
        },
        learns=False,
    ),
    # RecBole's search never moves rho; 40 is as much beside these small data as its 4,000 beside large ones.
    "ADMMSLIM": Case(
        {"lambda1": 0.3, "lambda2": 20.0, "rho": 40.0, "k": 30},
        (None,),
        {
            "both-signs": {"positive_only": False},
            "centred": {"center_columns": True},
            "even-penalty": {"alpha": 0.0},
            "no-threshold": {"lambda1": 0.0, "positive_only": False, "center_columns": True},
        },
        learns=False,
    ),
    "NCEPLRec": Case(
        {"rank": 8, "reg_weight": 2.0},
        (None,),
        {
            "few": {"rank": 2, "beta": 0.7},
            "more-than-users": {"rank": 450},
            "little-weight": {"reg_weight": 1e-4},
        },
        learns=False,
    ),
}
