"""The ensemble of a data set, in the words of the report."""

from __future__ import annotations

import pytest
import yaml

from recsweep.report.ensembles import ensemble_words

FOUND = {
    "fusion": "ranks",
    "members": [{"folder": "member-0", "weight": 2}, {"folder": "member-1", "weight": 1}],
    "metric": "ndcg@10",
    "validation": 0.05,
    "test": {"ndcg@10": 0.04},
    "best_single": {"model": "s/d/BPR/full trial 1", "validation": 0.045, "test": {"ndcg@10": 0.041}},
}


@pytest.mark.parametrize("tested", [True, False])
def test_it_says_what_it_brought_over_the_best_alone(tmp_path, tested):
    single = dict(FOUND["best_single"])
    if not tested:
        del single["test"]
    file = tmp_path / "ensemble.yaml"
    file.write_text(yaml.safe_dump({**FOUND, "best_single": single}))
    words = ensemble_words(file)
    assert words.startswith("An ensemble of 2 models, fused by ranks, comes to ")
    assert ("0.0400 (-0.0010 over the best model alone) NDCG@10 on test" in words) == tested
    assert words.endswith(
        "0.0500 (+0.0050 over the best model alone) NDCG@10 on validation, by which it was chosen."
    )


def test_nothing_is_said_where_there_is_none(tmp_path):
    assert ensemble_words(tmp_path / "ensemble.yaml") == ""
    (tmp_path / "ensemble.yaml").write_text("fusion: ranks\n")
    assert ensemble_words(tmp_path / "ensemble.yaml") == ""
