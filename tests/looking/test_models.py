"""The list of models: every one, with what it takes and what is shipped for it."""

from __future__ import annotations

from recsweep.looking.models import all_needs, model_rows


def test_every_model_is_a_row_by_kind(tmp_path):
    rows = model_rows(tmp_path)
    assert len(rows) == 94
    assert [row.about.kind for row in rows[:34]] == ["general"] * 33 + ["sequential"]


def test_shipped_files_are_found_by_their_model(tmp_path):
    (tmp_path / "SASRec.yaml").write_text("space: {learning_rate: {}, n_layers: {}}\n")
    (tmp_path / "Mine.yaml").write_text("model: SASRec\nspace: {}\n")
    (tmp_path / "Both.yaml").write_text("model_variants: [SASRec, Mine]\n")
    row = next(row for row in model_rows(tmp_path) if row.about.name == "SASRec")
    assert row.plain()["spaces"] == {"Mine": [], "SASRec": ["learning_rate", "n_layers"]}
    assert row.shown()["shipped space"] == "Mine: no parameter; learning_rate, n_layers"
    assert row.fast == "compiled"


def test_words_of_needs_are_those_that_are_asked_for():
    assert {"kg", "time", "labels", "faiss", "pre-training"} <= set(all_needs())
