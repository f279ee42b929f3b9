"""What Python code sees of a store: studies, tables, the best; that of other files nothing is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import recsweep
from helpers.workspace import run_python
from recsweep.common.errors import InputError, UserError
from recsweep.common.owner import this_process
from recsweep.study import Result, Store

STORES = Path(__file__).parents[1] / "stores"


@pytest.fixture
def outputs(tmp_path):
    """An output folder with eight studies and an archived one, as an earlier version left them."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(STORES / "old.db", tmp_path / "outputs" / "recsweep.db")
    return tmp_path / "outputs"


@pytest.fixture
def found(outputs):
    with recsweep.load(outputs) as found:
        yield found


def test_a_store_is_found_by_its_folder_its_file_and_its_address(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = tmp_path / "old.journal"
    shutil.copy(STORES / "old.journal", journal)
    file = outputs / "recsweep.db"
    for where in ("outputs", outputs, file, str(file), f"sqlite:///{file}", journal, f"journal:///{journal}"):
        with recsweep.load(where) as found:
            assert len(found) == 8
    with recsweep.load() as found:
        assert found["of-mine"].name == "of-mine"


@pytest.mark.parametrize("where", ["nowhere", "sqlite:///nowhere.db", "outputs/other.db"])
def test_a_store_that_is_not_there_is_not_made(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"there is no store at .*give an output folder"):
        recsweep.load(where)
    assert list(tmp_path.iterdir()) == []


def test_a_mistaken_address_shows_no_password():
    with pytest.raises(InputError, match="no stores of the kind `postgre`") as refused:
        recsweep.load("postgre://me:hidden-word@host/sweeps")
    assert "hidden-word" not in str(refused.value)


def test_the_summary_has_a_row_a_study(found):
    table = found.summary()
    assert list(table.index) == [study.name for study in found.studies]
    row = table.loc["plain/toy/NARM/full"]
    assert (row["state"], row["trials"], row["of"], row["best"]) == ("finished", 6, 6, 0.35)
    assert str(table["begun"].dtype) == "datetime64[ns, UTC]"
    assert (table["trials"].dtype, table["test"].dtype) == ("int64", "float64")


def test_the_trials_of_a_study_are_a_table_by_slot(found):
    table = found["plain/toy/NARM"].trials()
    assert table.index.name == "slot"
    assert list(table.index) == [0, 1, 2, 3, 4, 5]
    assert list(table["state"]) == ["complete", "complete", "pruned", "failed", "complete", "complete"]
    assert table["score"].max() == 0.35
    assert table.loc[3, "reason"] == "diverged: the loss is NaN"
    assert table.loc[5, "params.dropout_probs"] == [0.25, 0.5]
    assert (table["params.hidden_size"].dtype, table["epochs"].dtype) == ("int64", "Int64")
    assert table["metrics.ndcg@10"].equals(table["score"].where(table["state"] == "complete"))


def test_the_trials_of_all_studies_stand_together(found):
    table = found.trials()
    assert table.index.names == ["study", "slot"]
    assert len(table) == sum(len(study.trials()) for study in found)
    assert table.loc[("phased/toy/NARM/architecture", 0), "inherited"] == "coarse/1"
    assert list(found.sweep("several").trials()["objectives.training_seconds"]) == [1.5, 2.5, 3.5]


def test_the_best_is_complete_and_untested_while_the_study_is_open(found):
    best = found["phased/toy/NARM/coarse"].best
    assert best == recsweep.Best(
        1,
        0.2,
        {"loss_type": "CE", "dropout_probs": [0.25, 0.5], "hidden_size": 64, "n_layers": 1},
        {"ndcg@10": 0.2, "recall@10": 0.4},
        None,
    )
    assert set(found["phased/toy/NARM/coarse"].space) == {"loss_type", "dropout_probs"}


def test_the_trials_of_a_study_that_runs_grow(outputs, found):
    seen = found["plain/toy/FPMC"]
    assert (seen.state, len(seen.trials()), len(seen.curves())) == ("not finished", 2, 2)
    store = Store(f"sqlite:///{outputs / 'recsweep.db'}")
    study = store.find_study(seen.name)
    assert study is not None
    study.ensure_slots(4)
    claim = study.claim(4, this_process())
    assert claim is not None
    study.start(claim, {"embedding_size": 8}, seen.space, 7, {})
    study.report(claim, 1, 0.4)
    study.finish(claim, 0.5, Result())
    store.close()
    assert list(seen.trials()["score"]) == [0.2, 0.15, 0.5]
    assert seen.curves().iloc[-1].to_dict() == {"slot": 2, "epoch": 1, "score": 0.4}
    assert seen.best is not None
    assert seen.best.slot == 2


def test_an_empty_store_gives_empty_tables(empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path / "recsweep.db")
    found = recsweep.load(tmp_path)
    assert (len(found), found.studies) == (0, ())
    assert list(found.trials().index.names) == ["study", "slot"]
    assert len(found.summary()) == 0


def test_an_unknown_name_or_sweep_is_refused_with_the_nearest(found):
    with pytest.raises(InputError, match="did you mean `of-mine`"):
        found["of-min"]
    with pytest.raises(InputError, match="no sweep phasd; did you mean `phased`"):
        found.sweep("phasd")
    assert [study.state for study in found.sweep("phased")] == ["finished", "finished"]


def test_a_notebook_shows_tables(found):
    assert "<td>0.35" in found._repr_html_()
    study = found["plain/toy/NARM"]
    assert "finished, 6 of 6 trials (1 pruned, 1 failed)" in study._repr_html_()
    assert repr(study) == "<FoundStudy plain/toy/NARM/full: finished, 6 of 6 trials>"


def test_looking_imports_neither_torch_nor_recbole_and_pandas_for_tables_alone(outputs):
    code = (
        "import sys, recsweep\n"
        f"found = recsweep.load({str(outputs)!r})\n"
        "heavy = lambda: [m for m in ('torch', 'recbole', 'pandas') if m in sys.modules]\n"
        "seen = [repr(found['of-mine'].best), heavy()]\n"
        "print(seen[1], len(found.summary()), heavy())"
    )
    assert run_python(code) == "[] 8 ['pandas']"
