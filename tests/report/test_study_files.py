"""A trial that took up another one's weights: its lineage in the files, which train to the very score."""

from __future__ import annotations

import csv

import pytest
import torch
import yaml

from helpers.found import fill_store, result_in, result_of, trial, workspace
from recsweep.datasets.prepare import prepare
from recsweep.report.study_files import best_result, study_results, trials_csv, write_study
from recsweep.running.evaluate import evaluate_winner
from recsweep.running.study_run import StudyRun
from recsweep.study import Lineage, Result, Store, Stretch
from recsweep.training import single, training

CPU = torch.device("cpu")
SPACE = """
model: NARM
fixed: {embedding_size: 8, hidden_size: 8, loss_type: CE}
defaults: {learning_rate: 0.01, dropout_probs: [0.25, 0.5]}
space:
  learning_rate: {type: loguniform, min: 1.0e-4, max: 1.0}
  dropout_probs: {type: choice, values: [[0.25, 0.5], [0.2, 0.2]]}
"""
FIRST = {"learning_rate": 0.01, "dropout_probs": [0.25, 0.5]}
THEN = {"learning_rate": 0.02, "dropout_probs": [0.2, 0.2]}


def a_trial(lineage, trained=None, slot=1, score=0.9):
    metrics, best, epochs = {"ndcg@10": score}, 2, 4
    if trained is not None:
        metrics, best, epochs, score = trained.metrics, trained.best_epoch, trained.epochs, trained.score
    result = Result(metrics, best, epochs, 2.0, "compiled", lineage)
    return trial(slot, score, params=THEN, seed=slot, result=result)


@pytest.fixture
def plan(tmp_path):
    return workspace(tmp_path, budget=2, model=SPACE).plan()


def bred(plan):
    """Slot 1's training by hand: two epochs of slot 0's, its state, and on with other parameters."""
    seed, states = plan.trial_seed(0), []
    settings = {**plan.settings(FIRST, seed)}
    split = prepare(settings, plan.files, plan.outputs.cache).split
    keep = lambda end: states.append(end.state())  # noqa: E731
    training.train({**settings, "epochs": 2}, split, CPU, watch=keep)
    trained = training.train(plan.settings(THEN, seed), split, CPU, resume=states[-1])
    return trained, Lineage(seed, (Stretch(0, 1, FIRST), Stretch(1, 3, THEN)))


def test_the_winners_schedule_is_trained_from_the_start_to_the_very_score(plan, tmp_path):
    trained, lineage = bred(plan)
    fill_store(plan, [trial(0, 0.0, params=FIRST, seed=0), a_trial(lineage, trained)])
    store = Store(plan.storage_url)
    run = StudyRun(plan, store.find_study(plan.name), print)
    result = result_in(plan, store)
    write_study(result)
    path = result.outputs.best_config(*result.record.folder_names)
    again, tested = single.train_file(path, "cpu", tmp_path / "other", save=None, test=True, tell=print)
    assert (again.score, again.metrics, again.epochs) == (trained.score, trained.metrics, trained.epochs)
    assert evaluate_winner(run, CPU) == tested
    store.close()


def test_the_best_config_begins_as_the_lineage_and_lists_what_changed(plan):
    lineage = Lineage(77, (Stretch(0, 1, FIRST), Stretch(0, 2, FIRST), Stretch(1, 3, THEN)))
    result = result_of(plan, [trial(0, 0.1, params=FIRST), a_trial(lineage)])
    write_study(result)
    text = result.outputs.best_config(*result.record.folder_names).read_text()
    config = yaml.safe_load(text)
    assert (config["seed"], config["learning_rate"]) == (77, 0.01)
    assert config["schedule"] == [{"from_epoch": 3, **THEN}]
    assert "Nor does it know a `schedule`" in text
    assert best_result(result)["lineage"] == lineage.to_dict()
    everything = study_results(result)["trials"]
    assert everything[1]["lineage"] == lineage.to_dict()
    assert "lineage" not in everything[0]


def test_trials_say_whose_weights_they_took_up_where_any_did(plan):
    lineage = Lineage(77, (Stretch(0, 1, FIRST), Stretch(1, 3, THEN)))
    trials = [trial(0, 0.1, params=FIRST), a_trial(lineage)]
    rows = list(csv.DictReader(trials_csv(plan.record(), trials).splitlines()))
    assert [(row["parent"], row["from_epoch"]) for row in rows] == [("", ""), ("0", "3")]
    plain = trials_csv(plan.record(), trials[:1]).splitlines()[0]
    assert not {"parent", "from_epoch"} & {*plain.split(",")}


def test_without_a_lineage_there_is_no_schedule(plan):
    result = result_of(plan, [a_trial(None)])
    write_study(result)
    text = result.outputs.best_config(*result.record.folder_names).read_text()
    assert "schedule" not in text
    assert "lineage" not in best_result(result)
