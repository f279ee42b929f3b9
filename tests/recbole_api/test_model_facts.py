"""What is known of a model before it is made: one home, and nothing that depends on what is installed."""

from __future__ import annotations

import pytest

from recsweep.recbole_api import catalog
from recsweep.recbole_api.model_facts import facts


def test_every_model_has_its_facts():
    assert len(catalog.models()) == 94
    for model in catalog.models():
        found = facts(model)
        assert (found.kind, found.learns) == (catalog.models()[model], catalog.learns(model))
        assert (found.task == "labels") == (found.kind in ("context", "exlib"))


@pytest.mark.parametrize(
    ("model", "needed"),
    [
        ("BPR", ()),
        ("NCL", ("faiss",)),
        ("SASRec", ("time",)),
        ("S3Rec", ("time", "item-features", "pre-training")),
        ("RepeatNet", ("time", "repeats")),
        ("KGIN", ("kg",)),
        ("DeepFM", ("labels",)),
        ("XGBoost", ("labels", "xgboost")),
    ],
)
def test_needs_in_words(model, needed):
    assert facts(model).needed == needed


def test_stages_come_in_their_order():
    assert facts("RaCT").stages == ("actor_pretrain", "critic_pretrain")
    assert facts("S3Rec").stages == ("pretrain",)
