"""Cases of autoencoders of users."""

from __future__ import annotations

from helpers.fast_cases.case import Case

NONE = (None,)
MULTINOMIAL = {"train_batch_size": 8, "mlp_hidden_size": [24], "latent_dimension": 16, "dropout_prob": 0.0}
LAYERS = {"no-layer": {"mlp_hidden_size": []}, "three-layers": {"mlp_hidden_size": [40, 10, 24]}}
CASES: dict[str, Case] = {
    "MultiDAE": Case(MULTINOMIAL, NONE, LAYERS),
    "MultiVAE": Case(
        {**MULTINOMIAL, "total_anneal_steps": 10},
        NONE,
        {**LAYERS, "full-weight-at-once": {"total_anneal_steps": 0, "anneal_cap": 0.7}},
    ),
}
