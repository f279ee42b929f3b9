"""Cases of autoencoders of users, and of ENMF, whose samples are users too."""

from __future__ import annotations

from helpers.fast_cases.case import Case, on_torch

NONE = (None,)
SMALL = {"train_batch_size": 8}
MULTINOMIAL = {**SMALL, "mlp_hidden_size": [24], "latent_dimension": 16, "dropout_prob": 0.0}
LAYERS = {"no-layer": {"mlp_hidden_size": []}, "three-layers": {"mlp_hidden_size": [40, 10, 24]}}
CASES: dict[str, Case] = {
    "MultiDAE": Case(MULTINOMIAL, NONE, LAYERS),
    "MultiVAE": Case(
        {**MULTINOMIAL, "total_anneal_steps": 10},
        NONE,
        {**LAYERS, "full-weight-at-once": {"total_anneal_steps": 0, "anneal_cap": 0.7}},
    ),
    "CDAE": Case(
        {**SMALL, "embedding_size": 16, "corruption_ratio": 0.0},
        ("BCE", "MSE"),
        {
            "sgd": {"learner": "sgd", "learning_rate": 0.001, "epochs": 2},
            "squares-of-relu": {"out_activation": "relu", "loss_type": "MSE"},
            "sigmoid": {"hid_activation": "sigmoid"},
            "tanh": {"hid_activation": "tanh", "reg_weight_1": 0.003, "reg_weight_2": 0.2},
        },
    ),
    "ENMF": on_torch(
        {**SMALL, "embedding_size": 16, "dropout_prob": 0.0, "negative_weight": 0.3, "reg_weight": 0.01}, None
    ),
    "MacridVAE": Case(
        {
            **SMALL,
            **{"embedding_size": 16, "encoder_hidden_size": [24], "kfac": 3, "dropout_prob": 0.0},
            "total_anneal_steps": 10,
        },
        NONE,
        {
            "no-layer": {"encoder_hidden_size": [], "total_anneal_steps": 0},
            "without-noise": {"encoder_hidden_size": [40, 10], "nogb": True, "reg_weights": [0.01, 0.02]},
            "twenty-facets": {"kfac": 20, "std": 0.3, "eval_batch_size": 300, "epochs": 2},
        },
    ),
    "RecVAE": Case(
        {**SMALL, "hidden_dimension": 24, "latent_dimension": 16, "dropout_prob": 0.0},
        NONE,
        {
            "sgd": {"learner": "sgd", "learning_rate": 0.01, "epochs": 2},
            "fixed-weight": {"gamma": 0, "beta": 0.3},
            "longer-turns": {"n_enc_epochs": 1, "n_dec_epochs": 2, "epochs": 3},
        },
        without=("clipped",),
    ),
}
