"""A sweep that is run from Python, from a call to tables."""

from __future__ import annotations

import pytest

import recsweep
from helpers.workspace import make_workspace
from recsweep.api.sweep_run import SweepRun
from recsweep.common.errors import InputError, StudyChanged

CONFIG = recsweep.SweepConfig(
    sweep="mine",
    models=["NARM"],
    datasets=["toy"],
    search=recsweep.SearchConfig(max_evals=2, noise=True),
    training=recsweep.TrainingConfig(epochs=1, train_batch_size=16),
    evaluation=recsweep.EvaluationConfig(metric="NDCG@10", metrics=["NDCG"], topk=[10]),
)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_workspace(tmp_path)


def test_a_sweep_made_in_python_is_tuned_and_found(workspace, capfd):
    found = recsweep.tune(CONFIG, max_evals=1)
    (study,) = found.studies
    assert (study.name, study.state) == ("mine/toy/NARM/full", "finished")
    assert len(study.trials()) == len(study.curves()) == 1
    best = study.best
    assert best is not None
    assert best.score == study.trials().loc[0, "score"]
    assert set(best.test or {}) == {"ndcg@10"}
    row = found.summary().loc["mine/toy/NARM/full"]
    assert (row["test"], row["params.n_layers"]) == (best.test["ndcg@10"], best.params["n_layers"])
    assert (workspace.root / "outputs" / "results" / "mine" / "summary.md").is_file()
    said = capfd.readouterr()
    assert said.out == ""
    assert "toy/NARM: best NDCG@10" in said.err
    # It is finished: nothing is trained again; and another definition is refused.
    assert len(recsweep.tune(CONFIG, max_evals=1)["mine/toy/NARM"].trials()) == 1
    with pytest.raises(StudyChanged):
        recsweep.tune(CONFIG, max_evals=1, epochs=2)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"max_evals": -1}, r"tune\(max_evals=…\): must be .*, but got -1"),
        ({"epoch": 3}, r"tune\(epoch=…\): is no setting of a sweep; did you mean `epochs`"),
        ({"models": ["NRAM"]}, r"tune\(models=…\): unknown model `NRAM`; did you mean `NARM`"),
        (
            {"storage": "postgre://me:hidden-word@host/x"},
            r"tune\(storage=…\): there are no stores of the kind `postgre`",
        ),
    ],
)
def test_a_mistake_is_an_error_that_names_the_argument(workspace, given, problem):
    with pytest.raises(InputError, match=problem) as refused:
        recsweep.tune(workspace.sweep, **given)
    assert "hidden-word" not in str(refused.value)
    assert not (workspace.root / "outputs").exists()


def test_what_is_given_goes_over_the_sweep(workspace, monkeypatch):
    runs = []
    monkeypatch.setattr(SweepRun, "tune", lambda self, show: runs.append(self))
    made = recsweep.load_sweep(CONFIG)
    for sweep in (workspace.sweep, str(workspace.sweep), CONFIG, made):
        with pytest.raises(recsweep.UserError, match="there is no store"):
            recsweep.tune(sweep, models="NARM", max_evals=3, outputs="elsewhere", epochs=2, pruner="median")
    for run in runs:
        (plan,) = run.studies.chosen
        assert (plan.budget, plan.sweep.training.epochs, plan.sweep.pruning.pruner) == (3, 2, "median")
        assert str(plan.outputs.database) == "elsewhere/recsweep.db"
    assert made.config.search.max_evals == 2
