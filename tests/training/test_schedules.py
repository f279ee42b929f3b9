"""Settings that hold from an epoch on: the same as trainings that are taken up again with others."""

from __future__ import annotations

import pytest

from helpers.fast import CPU, settings_of, split_of, write_interactions
from recsweep.common.errors import ScheduleRefused
from recsweep.training import training
from recsweep.training.state import TrialState

SASREC = {"hidden_size": 16, "inner_size": 16, "n_heads": 2, "n_layers": 1}
CHANGES = ((3, {"learning_rate": 0.002, "hidden_dropout_prob": 0.1}), (4, {"weight_decay": 0.01}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("schedule") / "small", users=40, items=30, longest=12)


@pytest.fixture(scope="module")
def small(folder):
    settings = settings_of(folder, "SASRec", {**SASREC, "train_batch_size": 64, "epochs": 6})
    return settings, split_of(settings, folder)


def state_after(epoch, settings, split, path, **given):
    def watch(end):
        if end.epoch == epoch:
            end.state().save(path)

    training.train({**settings, "epochs": epoch}, split, CPU, watch=watch, **given)
    return TrialState.load(path)


def numbers(trained):
    weights = {name: tensor.tolist() for name, tensor in trained.last["state_dict"].items()}
    return trained.score, trained.metrics, trained.best_epoch, trained.epochs, weights


def test_a_schedule_is_a_chain_of_trainings_taken_up_with_other_settings(small, tmp_path):
    settings, split = small
    found = training.train(settings, split, CPU, schedule=CHANGES)
    (_, first), (_, second) = CHANGES
    two = state_after(2, settings, split, tmp_path / "two.pt")
    three = state_after(3, {**settings, **first}, split, tmp_path / "three.pt", resume=two)
    expected = training.train({**settings, **first, **second}, split, CPU, resume=three)
    assert numbers(found) == numbers(expected)
    assert found.last["config"]["learning_rate"] == 0.002
    plain = training.train(settings, split, CPU)
    assert numbers(plain) != numbers(found), "the schedule changes something"


def test_a_schedule_is_taken_up_too(small, tmp_path):
    settings, split = small
    expected = training.train(settings, split, CPU, schedule=CHANGES)
    for epoch in (1, 2, 3, 5):
        path = tmp_path / f"{epoch}.pt"

        def watch(end, epoch=epoch, path=path):
            if end.epoch == epoch:
                end.state().save(path)

        training.train(settings, split, CPU, watch=watch, schedule=CHANGES)
        again = training.train(settings, split, CPU, resume=TrialState.load(path), schedule=CHANGES)
        assert numbers(again) == numbers(expected)


def test_a_schedule_that_changes_nothing_changes_nothing(small):
    settings, split = small
    same = ((2, {"learning_rate": settings["learning_rate"]}), (5, {}))
    assert numbers(training.train(settings, split, CPU, schedule=same)) == numbers(
        training.train(settings, split, CPU)
    )


def test_the_best_epoch_keeps_the_settings_that_it_had(small):
    settings, split = small
    ruined = training.train(settings, split, CPU, schedule=((4, {"learning_rate": 3.0}),))
    assert ruined.best_epoch <= 3 < ruined.epochs
    assert ruined.best["config"]["learning_rate"] == settings["learning_rate"]
    assert ruined.last["config"]["learning_rate"] == 3.0


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (((1, {}),), "entry 1 .*`from_epoch`: 1 must be after epoch 1"),
        (((3, {}), (3, {})), "entry 2 .*`from_epoch`: 3 must be after epoch 3"),
        (((7, {}),), "`from_epoch`: 7 is after the last epoch, 6"),
        (((3, {"seed": 4}),), "`seed`: it may not change within a training: the random numbers go on"),
        (((3, {"learner": "sgd"}),), "`learner`: .*an optimizer cannot go on from the state of another"),
        (((3, {"valid_metric": "MRR@10"}),), "scores would not be comparable"),
        (((3, {"MAX_ITEM_LIST_LENGTH": 6}),), "`MAX_ITEM_LIST_LENGTH`: the data would be others"),
        (
            ((3, {"learning_rate": 0.1, "inner_size": 32}),),
            "`inner_size`: 32 gives .*dense_1.* another shape",
        ),
        (
            ((3, {}), (4, {"n_layers": 2})),
            "entry 2 .*`n_layers`: 2 gives .*another shape; leave it as it was",
        ),
    ],
)
def test_what_cannot_change_is_refused_before_anything_is_trained(small, schedule, said):
    settings, split = small
    ends = []
    with pytest.raises(ScheduleRefused, match=said):
        training.train(settings, split, CPU, lambda *end: ends.append(end), schedule=schedule)
    assert ends == []


def test_changes_follow_a_validation(small):
    settings, split = small
    with pytest.raises(ScheduleRefused, match=r"`from_epoch`: 4 must follow a validation, .* every 2 epochs"):
        training.train({**settings, "eval_step": 2}, split, CPU, schedule=((4, {}),))


def test_a_state_is_not_taken_up_with_another_model(small, tmp_path):
    settings, split = small
    state = state_after(1, settings, split, tmp_path / "one.pt")
    with pytest.raises(ScheduleRefused, match=r"the state: `n_layers`: 2 gives .* another shape"):
        training.train({**settings, "n_layers": 2}, split, CPU, resume=state)
