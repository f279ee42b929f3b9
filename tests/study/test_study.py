"""The store: no slot is lost, none is run twice, nothing finished changes."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import shutil
import signal
import sqlite3
import threading
import time
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from pydantic import TypeAdapter

from helpers.light_worker import fork_context
from recsweep.common.errors import InputError, StoreDamaged, StoreUnavailable, StudyChanged, SweepPaused
from recsweep.common.owner import this_process
from recsweep.study import (
    Claim,
    Failure,
    Reason,
    Result,
    Store,
    best,
    by_end,
    raise_flag,
    standing,
    take_back,
)
from recsweep.study.orphans import MOST_PUT_BACKS
from recsweep.study.slots import Slot
from recsweep.study.sqlite import Sqlite
from recsweep.sweeps.config import ModelConfig

DEFINITION = {"model": "FPMC", "training": {"epochs": 5}, "seed": 1}
SPACE = (
    TypeAdapter(ModelConfig)
    .validate_python(
        {
            "model": "FPMC",
            "space": {
                "learning_rate": {"type": "loguniform", "min": 1e-4, "max": 1e-2},
                "embedding_size": {"type": "choice", "values": [16, 32]},
                "hidden_sizes": {"type": "choice", "values": [[8], [8, 4]]},
                "n_layers": {"type": "randint", "min": 1, "max": 3},
                "width": {"type": "quniform", "min": 16, "max": 64, "q": 16},
                "dropout": {"type": "quniform", "min": 0.0, "max": 0.5, "q": 0.1},
            },
        }
    )
    .space
)
PARAMS = {
    "learning_rate": 0.001,
    "embedding_size": 32,
    "hidden_sizes": [8, 4],
    "n_layers": 2,
    "width": 48,
    "dropout": 0.3,
}
ME = this_process()
ELSEWHERE = dataclasses.replace(ME, pid_space="other-machine/boot/pid:[1]")


def url_of(folder: Path, name: str = "recsweep.db") -> str:
    return f"sqlite:///{folder / name}"


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory) -> Path:
    """The tables, made once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("empty")
    Store(url_of(folder)).close()
    return folder / "recsweep.db"


@pytest.fixture(scope="module")
def empty_postgres(postgres) -> str:
    """Likewise."""
    url = postgres.new_url()
    Store(url).close()
    return url.split("?")[0].rsplit("/", 1)[1]


@pytest.fixture
def new_url(request, tmp_path):
    """Makes stores of a kind: `sqlite`, `postgresql`, `journal`."""
    names = (f"store-{number}" for number in itertools.count())

    def make(kind: str) -> str:
        name = next(names)
        if kind == "postgresql":
            postgres = request.getfixturevalue("postgres")
            return postgres.new_url(request.getfixturevalue("empty_postgres"))
        if kind == "journal":
            return f"journal:///{tmp_path / name}.journal"
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / f"{name}.db")
        return url_of(tmp_path, f"{name}.db")

    return make


@pytest.fixture(params=["sqlite", "postgresql", "journal"])
def store(request, new_url):
    """Every kind of store is held to the same tests."""
    store = Store(new_url(request.param))
    yield store
    store.close()


@pytest.fixture
def sqlite_store(new_url):
    store = Store(new_url("sqlite"))
    yield store
    store.close()


def add_waiting(study, *slots: Slot) -> None:
    """As another process would that took a slot for lost."""
    study._backend.add(study.id, slots)


@pytest.fixture
def study(store):
    return store.open_study("sweep/data/FPMC/full", DEFINITION, maximize=True)


def claimed(study, budget=3) -> Claim:
    claim = study.claim(budget, ME)
    assert claim is not None
    return claim


def run_slot(study, budget, score):
    claim = claimed(study, budget)
    study.start(claim, PARAMS, SPACE, seed=claim.slot, environment={})
    assert study.finish(claim, score, Result({"ndcg@10": score}))
    return claim


def test_a_point_is_that_of_one_slot(study):
    study.ensure_slots(3)
    first, second = claimed(study), claimed(study)
    assert study.points.take(first, PARAMS, SPACE) is None
    assert study.points.take(second, PARAMS, SPACE) == 0, "who asks second is told whose it is"
    assert study.points.take(second, {**PARAMS, "n_layers": 3}, SPACE) is None
    assert study.points.take(first, PARAMS, SPACE) is None, "its own slot may ask again"
    study.finish(first, 0.1, Result({"ndcg@10": 0.1}))
    assert study.points.take(claimed(study), PARAMS, SPACE) == 0, "and so it stays when it ended"


def test_the_store_says_in_which_order_trials_ended(study, store):
    first, second, third = (study.ensure_slots(3) and claimed(study) for _ in range(3))
    study.put_back(second, "its process is gone")
    study.finish(third, 0.3, Result())
    study.fail(first, Reason.DIVERGED, "the loss is NaN")
    run_slot(study, 3, 0.2)
    assert [(trial.slot, trial.ended) for trial in sorted(study.results(), key=by_end)] == [
        (2, 1),
        (0, 2),
        (1, 3),
    ]
    assert [trial.ended for trial in study.trials() if not trial.counted] == [None], "it ended nothing"


# -- budget ---------------------------------------------------------------------------------------


def test_slots_are_made_once_however_often_a_sweep_starts(study):
    assert [study.ensure_slots(4) for _ in range(3)] == [4, 4, 4]
    assert [trial.slot for trial in study.trials()] == [0, 1, 2, 3]


def test_raising_the_budget_adds_the_difference_and_lowering_it_adds_none(study):
    study.ensure_slots(2)
    run_slot(study, 2, 0.1)
    run_slot(study, 2, 0.2)
    assert study.ensure_slots(2) == 0
    assert study.ensure_slots(3) == 1
    assert len(study.trials()) == 3
    assert study.ensure_slots(1) == 0
    assert len(study.trials()) == 3
    assert study.claim(2, ME) is None, "the waiting slot lies beyond a lowered budget"
    assert claimed(study, 3).slot == 2


def test_slots_are_taken_in_order_until_none_is_left(study):
    study.ensure_slots(3)
    assert [claimed(study).slot for _ in range(3)] == [0, 1, 2]
    assert study.claim(3, ME) is None
    assert study.open_slots(3) == 0


def test_a_failed_trial_is_a_result_and_fills_its_slot(study):
    study.ensure_slots(1)
    assert study.fail(claimed(study), Reason.DIVERGED, "the training loss is NaN in epoch 2")
    assert study.ensure_slots(1) == 0
    (trial,) = study.results()
    assert (trial.state, trial.score) == ("failed", None)
    assert trial.failure == Failure(Reason.DIVERGED, "the training loss is NaN in epoch 2")


def test_slots_returned_after_a_pause_wait_again(study):
    study.ensure_slots(2)
    for _ in range(2):
        study.fail(claimed(study), Reason.ERROR, "no such file")
    study.return_slots(study.results())
    assert study.ensure_slots(2) == 2
    assert study.open_slots(2) == 2
    assert claimed(study).attempt == 1


# -- retries --------------------------------------------------------------------------------------


def test_a_slot_put_back_keeps_its_number_and_counts_attempts(study):
    study.ensure_slots(2)
    first = claimed(study)
    assert study.put_back(first, "the sweep was stopped")
    again = claimed(study)
    assert (again.slot, again.attempt, again.crashes) == (0, 1, 0)
    assert study.put_back(again, "the worker died", crashed=True)
    third = claimed(study)
    assert (third.slot, third.attempt, third.crashes) == (0, 2, 1)
    assert study.ensure_slots(2) == 2, "retries are not part of the budget"


def test_the_seed_of_a_trial_survives_retries_and_differs_between_slots(study, make_plan):
    plan = make_plan()
    study.ensure_slots(2)
    first = claimed(study)
    study.put_back(first, "killed", crashed=True)
    assert plan.trial_seed(claimed(study).slot) == plan.trial_seed(first.slot)
    assert plan.trial_seed(0) != plan.trial_seed(1)
    assert make_plan(max_evals=9).trial_seed(1) == plan.trial_seed(1), "the budget is no part of a seed"


def test_a_kill_between_closing_and_putting_back_loses_nothing(study):
    study.ensure_slots(1)
    claim = claimed(study)
    study._close(claim.trial_id, Failure(Reason.INTERRUPTED, "the sweep was stopped"))  # and there it ends
    assert study.ensure_slots(1) == 1
    again = claimed(study)
    assert (again.slot, again.attempt) == (0, 1)
    assert study.claim(1, ME) is None


def test_a_slot_for_a_whole_gpu_is_not_shared(study):
    study.ensure_slots(2)
    assert study.put_back(claimed(study), "out of memory", alone=True)
    assert (study.open_slots(2), study.open_slots(2, shared=True)) == (2, 1)
    assert study.claim(2, ME, shared=True).slot == 1
    assert study.claim(2, ME, shared=True) is None
    alone = claimed(study)
    assert (alone.slot, alone.attempt, alone.crashes, alone.alone) == (0, 1, 0, True)


def test_it_keeps_the_gpu_to_itself_whatever_happens_to_its_process(study):
    study.ensure_slots(1)
    study.put_back(claimed(study), "out of memory", alone=True)
    study.put_back(claimed(study), "the worker died", crashed=True)
    study.put_back_owned(ME, "the sweep was stopped")
    again = claimed(study)
    assert (again.attempt, again.crashes, again.alone) == (2, 1, True)
    study.put_back_owned(ME, "the sweep was stopped")
    assert study.open_slots(1, shared=True) == 0
    assert study.ensure_slots(1) == 1
    assert [trial.alone for trial in study.trials()] == [False, True, True, True]


# -- immutability ---------------------------------------------------------------------------------


def test_a_finished_trial_cannot_be_changed(study):
    study.ensure_slots(1)
    claim = run_slot(study, 1, 0.5)
    assert study.finish(claim, 0.9, Result()) is False
    assert study.fail(claim, Reason.ERROR, "late") is False
    assert study.put_back(claim, "late") is False
    assert study.report(claim, 7, 0.9) is False
    study.beat(claim.trial_id, ELSEWHERE, 99)
    (trial,) = study.results()
    assert (trial.score, trial.failure, trial.curve) == (0.5, None, {})
    assert trial.owner.process.pid_space == ME.pid_space


def test_a_worker_that_comes_back_late_drops_its_result(study):
    study.ensure_slots(1)
    late = claimed(study)
    study.put_back(late, "the process that ran the trial is gone")
    quick = run_slot(study, 1, 0.4)
    assert study.start(late, PARAMS, SPACE, 1, {}) is False
    assert study.report(late, 1, 0.9) is False
    assert study.finish(late, 0.9, Result()) is False
    assert [(trial.id, trial.score) for trial in study.results()] == [(quick.trial_id, 0.4)]


def test_two_trials_of_one_slot_are_counted_once(study):
    study.ensure_slots(2)
    run_slot(study, 2, 0.1)
    study.put_back(claimed(study), "the process that ran the trial is gone")
    add_waiting(study, Slot(1, attempt=1))  # by a second process that saw the same
    run_slot(study, 2, 0.2)
    assert study.claim(2, ME) is None
    assert [(trial.slot, trial.score) for trial in study.results()] == [(0, 0.1), (1, 0.2)]
    assert [t.failure.kind for t in study.trials() if t.state == "failed"] == [
        Reason.INTERRUPTED,
        Reason.DUPLICATE,
    ]
    assert study.ensure_slots(2) == 0


def test_a_second_trial_of_a_failed_slot_does_not_run(study):
    study.ensure_slots(1)
    study.put_back(claimed(study), "the process that ran the trial is gone")
    add_waiting(study, Slot(0, attempt=1))
    study.fail(claimed(study), Reason.DIVERGED, "NaN")
    assert study.claim(1, ME) is None
    assert [trial.failure.kind for trial in study.results()] == [Reason.DIVERGED]


# -- dead processes -------------------------------------------------------------------------------


def claim_and_hang(url: str, ready) -> None:
    study = Store(url).find_study("sweep/data/FPMC/full")
    claim = study.claim(1, this_process())
    study.start(claim, PARAMS, SPACE, 1, {})
    ready.set()
    time.sleep(600)


def test_the_trial_of_a_killed_process_waits_again_at_once(study, store):
    study.ensure_slots(1)
    context = fork_context()
    ready = context.Event()
    process = context.Process(target=claim_and_hang, args=(store.address, ready))
    process.start()
    try:
        assert ready.wait(60)
        assert study.put_back_orphans() == 0, "it still lives"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert study.put_back_orphans() == 1
    again = claimed(study, 1)
    assert (again.slot, again.attempt) == (0, 1)


def test_a_process_elsewhere_is_given_up_only_after_its_beat_stood_still(study):
    study.ensure_slots(1)
    claim = study.claim(1, ELSEWHERE)
    assert study.put_back_orphans(stale_after=0.2) == 0
    time.sleep(0.3)
    study.beat(claim.trial_id, ELSEWHERE, 1)
    assert study.put_back_orphans(stale_after=0.2) == 0, "it has beaten meanwhile"
    time.sleep(0.3)
    assert study.put_back_orphans(stale_after=0.2) == 1
    assert study.open_slots(1) == 1


def test_a_trial_that_died_before_its_first_beat_is_given_up(study):
    study.ensure_slots(1)
    (trial,) = study.trials()
    # A claim, cut off before its beat.
    study._backend.storage.set_trial_state_values(trial.id, optuna.trial.TrialState.RUNNING)
    assert study.put_back_orphans(stale_after=0.2) == 0
    time.sleep(0.3)
    assert study.put_back_orphans(stale_after=0.2) == 1


def test_a_trial_of_a_live_process_is_never_put_back(study):
    study.ensure_slots(1)
    claimed(study)
    assert study.put_back_orphans(stale_after=0.0) == 0
    time.sleep(0.05)
    assert study.put_back_orphans(stale_after=0.0) == 0


def test_putting_a_slot_back_again_and_again_is_said_and_ends(study):
    """A process that is taken for dead and lives would run its slot, and lose it, without an end."""
    study.ensure_slots(2)
    gone = dataclasses.replace(ME, ticks=ME.ticks - 1)
    for _ in range(MOST_PUT_BACKS):
        assert study.claim(1, gone) is not None
        assert study.put_back_orphans() == 1
    study.claim(1, gone)
    with pytest.raises(SweepPaused, match=f"trial 0 was put back {MOST_PUT_BACKS} times") as paused:
        study.put_back_orphans()
    assert f"process {ME.pid} on " in str(paused.value)
    assert [trial.slot for trial in study.running()] == [0], "it is left as it is"


def test_a_failed_trial_says_how_long_it_ran(study):
    study.ensure_slots(1)
    study.fail(claimed(study), Reason.ERROR, "no such file", 1.23456)
    assert study.results()[0].result == Result(seconds=1.235)


def test_times_are_by_the_clock_of_the_server_where_there_is_one(new_url, monkeypatch):
    monkeypatch.setattr(Sqlite, "_now", lambda *_: pytest.fail("the clock of this machine was asked"))
    store = Store(new_url("postgresql"))
    study = store.open_study("sweep/data/FPMC/full", DEFINITION, maximize=True)
    study.ensure_slots(2)
    run_slot(study, 2, 0.5)
    study.put_back(claimed(study, 2), "stopped")
    stamps = [time for trial in study.trials() for time in (trial.started, trial.finished) if time]
    store.close()
    assert len(stamps) == 4
    assert all(abs((time - datetime.now()).total_seconds()) < 600 for time in stamps)


# -- many workers ---------------------------------------------------------------------------------


def work_on_all(urls: list[str], budget: int, barrier, log: str) -> None:
    """One of several processes that meet at each study and fill its slots together."""
    for url in urls:
        barrier.wait()
        store = Store(url)  # the tables are made by all of them at once, too
        study = store.open_study("race", DEFINITION, maximize=True)
        study.ensure_slots(budget)
        while claim := study.claim(budget, this_process()):
            with Path(log).open("a") as file:
                file.write(f"{url} {claim.slot}\n")
            study.start(claim, PARAMS, SPACE, claim.slot, {})
            study.report(claim, 1, claim.slot / 100)
            if claim.slot % 4 == 3:
                study.fail(claim, Reason.DIVERGED, "NaN")
            else:
                study.finish(claim, claim.slot / 100, Result())
        store.close()


@pytest.mark.parametrize("repeats", [2, pytest.param(20, marks=pytest.mark.long)])
def test_four_workers_run_each_slot_exactly_once(tmp_path, repeats):
    budget, workers = 10, 4
    urls = [url_of(tmp_path, f"race-{repeat}.db") for repeat in range(repeats)]
    log = tmp_path / "runs.txt"
    context = fork_context()
    barrier = context.Barrier(workers)
    arguments = (urls, budget, barrier, str(log))
    processes = [context.Process(target=work_on_all, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30 * repeats + 60)
    assert [process.exitcode for process in processes] == [0] * workers
    runs = log.read_text().splitlines()
    for url in urls:
        assert sorted(int(r.split()[1]) for r in runs if r.split()[0] == url) == list(range(budget))
        store = Store(url)
        study = store.find_study("race")
        assert [trial.slot for trial in study.results()] == list(range(budget))
        assert study.ensure_slots(budget) == 0
        assert not [trial for trial in study.trials() if trial.state in ("running", "waiting")]
        store.close()


# -- a changed definition -------------------------------------------------------------------------


def test_the_same_definition_opens_the_same_study(study, store):
    study.ensure_slots(2)
    again = store.open_study(study.name, dict(reversed(DEFINITION.items())), maximize=True)
    assert len(again.trials()) == 2


def test_a_changed_definition_is_refused_and_the_difference_is_shown(study, store):
    study.ensure_slots(2)
    running = claimed(study, 2)
    changed = {**DEFINITION, "training": {"epochs": 9}}
    for _ in range(2):  # a trial that runs holds a study to its definition, as one that came to something
        with pytest.raises(StudyChanged, match=r"training\.epochs: 5 -> 9.*--restart"):
            store.open_study(study.name, changed, maximize=True)
        with pytest.raises(StudyChanged):
            store.find_as_opened(study.name, changed)
        study.finish(running, 0.1, Result())
    assert len(study.trials()) == 2


def test_slots_that_only_wait_hold_a_study_to_nothing(study, store):
    study.ensure_slots(3)
    put_back = claimed(study, 3)
    study.put_back(put_back, "stopped")
    changed = {**DEFINITION, "seed": 2}
    with pytest.raises(StudyChanged):  # whoever joins it is to have the config that it was opened with
        store.find_study(study.name, changed)
    assert store.find_as_opened(study.name, changed) is None
    taken = store.open_study(study.name, changed, maximize=[True, False])
    assert (taken.trials(), taken.attributes["definition"]["seed"]) == ([], 2)
    taken.ensure_slots(1)
    taken.finish(claimed(taken, 1), (0.1, 3.0), Result())
    assert taken.results()[0].values == (0.1, 3.0), "its objectives are the new ones too"


def test_after_failures_given_back_a_study_takes_the_change_that_mends(study, store):
    study.ensure_slots(2)
    for _ in range(2):
        study.fail(claimed(study, 2), Reason.ERROR, "no such column")
    changed = {**DEFINITION, "training": {"epochs": 9}}
    with pytest.raises(StudyChanged):
        store.open_study(study.name, changed, maximize=True)
    study.return_slots(study.results())
    taken = store.open_study(study.name, changed, maximize=True)
    assert (taken.trials(), taken.ensure_slots(2)) == ([], 2)
    (kept,) = (name for name in store.names() if name.startswith(f"{study.name}@"))
    failed = [trial for trial in store.find_study(kept).trials() if trial.state == "failed"]
    assert [trial.failure.message for trial in failed] == ["no such column"] * 2


def test_an_old_definition_may_hold_what_no_result_needs(study, store):
    old = {**DEFINITION, "training": {"epochs": 5, "eval_batch_size": 64}}
    study.set_attribute("definition", old)
    study.ensure_slots(1)
    study.finish(claimed(study, 1), 0.1, Result())
    for definition in (DEFINITION, old, {**DEFINITION, "training": {"epochs": 5, "eval_batch_size": 1}}):
        assert len(store.open_study(study.name, definition, maximize=True).results()) == 1
        assert store.find_study(study.name, definition) is not None
    assert study.attributes["definition"] == old, "an earlier version can go on with it too"
    with pytest.raises(StudyChanged, match=r"training\.epochs: 5 -> 9;"):
        store.open_study(study.name, {**DEFINITION, "training": {"epochs": 9}}, maximize=True)


def test_who_joins_a_study_cannot_restart_it(study, store):
    study.ensure_slots(1)
    study.finish(claimed(study, 1), 0.1, Result())
    with pytest.raises(StudyChanged) as joining:
        store.find_study(study.name, {**DEFINITION, "seed": 9})
    assert "; join with the files and options that it was opened with, or open it" in str(joining.value)
    assert "pass --restart" not in str(joining.value)
    with pytest.raises(StudyChanged, match="pass --restart"):
        store.open_study(study.name, {**DEFINITION, "seed": 9}, maximize=True)


def test_a_study_without_trials_may_change_freely(study, store):
    changed = store.open_study(study.name, {**DEFINITION, "seed": 2}, maximize=True)
    assert changed.attributes["definition"]["seed"] == 2


def test_restart_keeps_the_old_study_under_another_name(study, store):
    study.ensure_slots(2)
    run_slot(study, 2, 0.7)
    for seed in (2, 3):  # twice within a second
        fresh = store.open_study(study.name, {**DEFINITION, "seed": seed}, maximize=True, restart=True)
        assert fresh.trials() == []
        fresh.ensure_slots(1)
    archived = sorted(name for name in store.names() if name.startswith(f"{study.name}@"))
    assert len(archived) == 2
    kept = store.find_study(archived[0])
    assert [(t.slot, t.state, t.score, t.params) for t in kept.trials()] == [
        (0, "complete", 0.7, PARAMS),
        (1, "waiting", None, {}),
    ]
    assert kept.attributes["definition"] == DEFINITION


def test_restart_without_a_change_keeps_the_finished_trials(study, store):
    study.ensure_slots(1)
    run_slot(study, 1, 0.7)
    again = store.open_study(study.name, DEFINITION, maximize=True, restart=True)
    assert [trial.score for trial in again.results()] == [0.7]


def test_a_worker_of_a_study_that_was_restarted_drops_its_result(study, store):
    study.ensure_slots(1)
    late = claimed(study, 1)
    store.open_study(study.name, {**DEFINITION, "seed": 2}, maximize=True, restart=True)
    assert study.report(late, 1, 0.9) is False
    assert study.finish(late, 0.9, Result()) is False


# -- the database ---------------------------------------------------------------------------------


def test_a_locked_database_is_waited_for(sqlite_store, tmp_path):
    study = sqlite_store.open_study("s", DEFINITION, maximize=True)
    other = sqlite3.connect(tmp_path / "store-0.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, lambda: other.execute("ROLLBACK"))
    started = time.monotonic()
    timer.start()
    study.ensure_slots(1)
    assert time.monotonic() - started > 0.8
    assert study.open_slots(1) == 1
    timer.join()
    other.close()


@pytest.mark.parametrize(
    "url",
    ["sqlite:////proc/x.db", "postgresql+psycopg://user:secret@127.0.0.1:1/sweeps"],
)
def test_a_store_out_of_reach_is_one_line(url):
    with pytest.raises(StoreUnavailable, match="no trial is lost") as caught:
        Store(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_store_that_breaks_during_a_sweep_is_one_line_too(sqlite_store, tmp_path):
    study = sqlite_store.open_study("s", DEFINITION, maximize=True)
    study.ensure_slots(1)
    sqlite_store.close()
    for path in tmp_path.glob("store-0.db*"):
        path.write_bytes(b"this is no database" * 500)
    with pytest.raises(StoreDamaged, match="is damaged; file is not a database; put back a copy") as caught:
        study.claim(1, ME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["outputs/recsweep.db", "nonsense://x/y"])
def test_what_is_no_database_url_is_refused_as_bad_input(url):
    with pytest.raises(InputError, match="use sqlite:///FILE"):
        Store(url)


def test_optuna_itself_opens_the_store_and_sees_parameters_and_values(study, store):
    study.ensure_slots(3)
    for score in (0.2, 0.6):
        run_slot(study, 3, score)
    study.fail(claimed(study), Reason.CRASH, "signal 9")
    opened = optuna.load_study(study_name=study.name, storage=store.optuna_storage)
    assert opened.direction == optuna.study.StudyDirection.MAXIMIZE
    assert opened.best_value == 0.6
    assert opened.best_params == {**PARAMS, "hidden_sizes": "[8, 4]"}
    assert [trial.state.name for trial in opened.trials] == ["COMPLETE", "COMPLETE", "FAIL"]


def test_what_was_recorded_is_read_back_in_its_own_types(study, store):
    study.ensure_slots(1)
    claim = claimed(study)
    study.start(claim, PARAMS, SPACE, 11, {"device": "cpu"})
    study.report(claim, 2, 0.25)
    study.report(claim, 1, 0.125)
    study.finish(claim, 0.25, Result({"ndcg@10": 0.25}, 2))
    fresh = Store(store.address)
    (trial,) = fresh.find_study(study.name).results()
    fresh.close()
    assert trial.params == PARAMS
    assert type(trial.params["width"]) is int
    assert (trial.seed, trial.curve, trial.result.best_epoch) == (11, {1: 0.125, 2: 0.25}, 2)
    assert trial.finished >= trial.started


def test_a_study_that_was_never_made_is_not_found(store):
    assert store.find_study("sweep/data/NARM/full") is None
    assert store.names() == []


@pytest.mark.parametrize(("maximize", "expected"), [(True, 1), (False, 0)])
def test_the_best_trial_of_equal_scores_is_the_lower_slot(study, maximize, expected):
    study.ensure_slots(4)
    for score in (0.0, 0.5, 0.5, 0.0):
        run_slot(study, 4, score)
    winner = best(study.results(), maximize=maximize)
    assert winner is not None
    assert winner.slot == expected
    assert not math.isnan(winner.score)
    assert best([], maximize=maximize) is None


def test_optunas_own_tools_learn_what_the_values_are(study, store):
    store.name_objectives(study, ["NDCG@10"])
    opened = optuna.load_study(study_name=study.name, storage=store.optuna_storage)
    assert opened.metric_names == ["NDCG@10"]


def test_a_flag_to_stop_stands_until_it_is_taken_back(store, study):
    assert standing(study) is None
    flag = raise_flag(study, now=True)
    assert standing(store.find_study(study.name)) == flag
    assert take_back(study)
    assert standing(study) is None
    assert raise_flag(study, now=False).token != flag.token
    assert standing(study)


def test_studies_at_work_are_those_of_which_a_trial_runs_somewhere(store, study):
    for name in ("b/idle", "a/busy", "c/gone"):
        store.open_study(name, DEFINITION, maximize=True).ensure_slots(2)
    store.find_study("a/busy").claim(2, ME)
    study.ensure_slots(1)
    study.claim(1, ELSEWHERE)
    store.find_study("c/gone").claim(2, dataclasses.replace(ME, ticks=(ME.ticks or 0) - 1))
    assert [found.name for found in store.at_work()] == ["a/busy", study.name]
