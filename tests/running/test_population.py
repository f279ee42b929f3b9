"""A population of trials: what is kept of it; a member that is left at an epoch, and goes on from a file."""

from __future__ import annotations

import dataclasses
from collections import deque

import pytest

from recsweep.common.errors import StoreDamaged, UserError
from recsweep.common.owner import this_process
from recsweep.running.changing import changeable
from recsweep.running.commands import Bred, Continue, Save, Train
from recsweep.running.events import Changeable, EpochDone, Idle, Left, TrialDone
from recsweep.running.population import ATTRIBUTE, Population, begun, keep_only, state_file
from recsweep.running.worker import Worker
from recsweep.study import Lineage, Store, Stretch

EPOCHS = 5
FIRST = {"learning_rate": 0.01, "embedding_size": 16, "weight_decay": 0.0}
THEN = {"learning_rate": 0.002, "embedding_size": 16, "weight_decay": 1e-5}


@pytest.fixture
def plan(make_plan):
    return make_plan(max_evals=3, epochs=EPOCHS, patience=9)


@pytest.fixture
def study(plan):
    store = Store(plan.storage_url)
    study = store.open_study(plan.name, plan.definition, maximize=plan.maximize)
    study.ensure_slots(plan.budget)
    yield study
    store.close()


def worker(*words):
    """A worker that hears these words after epochs, then that all go on; and its events."""
    events, waiting = [], deque(words)
    return Worker(
        this_process(), events.append, word=lambda: waiting.popleft() if waiting else Continue()
    ), events


def epochs(events):
    return [event.epoch for event in events if isinstance(event, EpochDone)]


def came_to(trial):
    return trial.score, trial.curve, trial.result.metrics, trial.result.best_epoch, trial.result.epochs


def test_a_member_that_is_left_goes_on_elsewhere_to_the_very_end(plan, study):
    whole = begun(plan, 0, FIRST)
    file = state_file(plan, whole, 2)
    first, told = worker(Continue(), Save(str(file)))
    claim = study.claim(1, this_process())
    first.train(Train(plan, claim, FIRST, Bred(whole)))
    assert epochs(told) == [1, 2]
    assert [type(event) for event in told[-2:]] == [Left, Idle]
    assert [trial.slot for trial in study.running()] == [0], "its slot stays taken"
    second, told = worker()
    second.train(Train(plan, claim, FIRST, Bred(whole, str(file), since=2)))
    assert epochs(told) == [3, 4, 5]
    assert study.results()[0].result.lineage is None, "it went its own way"
    undisturbed, _ = worker()
    undisturbed.train(Train(plan, study.claim(2, this_process()), FIRST, Bred(whole)))
    assert came_to(study.results()[0]) == came_to(study.results()[1])


def test_a_member_takes_up_a_state_or_trains_its_way_anew(plan, study):
    parent = begun(plan, 0, FIRST)
    bred = parent.then(1, 3, THEN)
    file = state_file(plan, parent, 2)
    assert file == state_file(plan, bred, 2), "it is the same training until there"
    first, _ = worker(Continue(), Save(str(file)))
    first.train(Train(plan, study.claim(1, this_process()), FIRST, Bred(parent)))
    second, told = worker()
    second.train(Train(plan, study.claim(2, this_process()), THEN, Bred(bred, str(file), since=2)))
    assert epochs(told) == [3, 4, 5]
    (mine,) = study.results()
    assert (mine.params, mine.result.lineage, list(mine.curve)) == (THEN, bred, [1, 2, 3, 4, 5])
    file.write_bytes(b"damaged")
    third, told = worker()
    third.train(Train(plan, study.claim(3, this_process()), THEN, Bred(bred, str(file), since=2)))
    assert epochs(told) == [1, 2, 3, 4, 5]
    anew = study.results()[1]
    assert came_to(anew) == came_to(mine)


def test_a_member_killed_at_its_epoch_says_so_before_going_on(plan, study):
    whole = begun(plan, 0, FIRST)
    first, _ = worker(Save(str(state_file(plan, whole, 1))))
    claim = study.claim(1, this_process())
    first.train(Train(plan, claim, FIRST, Bred(whole)))
    again, told = worker(Save(str(state_file(plan, whole, 1))))
    again.train(Train(plan, claim, FIRST, Bred(whole, str(state_file(plan, whole, 1)), since=0)))
    assert (epochs(told), type(told[-2])) == ([1], Left)
    assert not any(isinstance(event, TrialDone) for event in told)


def test_a_worker_says_what_may_change_while_its_model_trains(plan, study):
    asked, told = worker()
    asked.train(Train(plan, study.claim(1, this_process()), FIRST, Bred(begun(plan, 0, FIRST), asks=True)))
    assert Changeable(("learning_rate", "weight_decay")) in told


def test_a_space_without_what_may_change_is_refused_with_what_to_do(plan):
    only = {"embedding_size": plan.model.space["embedding_size"]}
    own = dataclasses.replace(plan, model=plan.model.model_copy(update={"space": only}))
    prepared = Worker(this_process(), print).prepared(own, "cpu")
    with pytest.raises(UserError, match=r"embedding_size: 16 gives .* another shape.*such as learning_rate"):
        changeable(own, prepared.split)


def test_what_is_kept_of_a_population_is_read_as_it_was(study):
    way = Lineage(7, (Stretch(0, 1, FIRST), Stretch(3, 3, THEN)))
    kept = Population(2, {0: way.until(2), 3: way})
    study.set_attribute(ATTRIBUTE, kept.to_dict())
    assert Population.from_dict(study.attributes[ATTRIBUTE]) == kept
    assert Population.from_dict(None) == Population(0, {})
    study.set_attribute(ATTRIBUTE, {"epoch": 2, "members": {"0": {"seed": 1}}})
    with pytest.raises(StoreDamaged, match="the attribute `population`"):
        study.attributes  # noqa: B018


def test_states_that_nobody_goes_on_from_are_removed(plan):
    ways = [begun(plan, slot, FIRST) for slot in range(3)]
    files = [state_file(plan, way, 2) for way in ways]
    files[0].parent.mkdir(parents=True)
    for file in files:
        file.touch()
    keep_only(plan, Population(2, {0: ways[0], 1: ways[0].then(1, 3, THEN)}))
    assert [file.is_file() for file in files] == [True, False, False]
    keep_only(plan, Population())
    assert not files[0].parent.exists()
