"""How far a job is, kept with it: never other than what its trials say, whoever has changed them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from helpers.questions import statements
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.search.starts import open_study
from recsweep.service.jobs import Job, JobProgress, Jobs, sweep_name
from recsweep.service.telling import Teller
from recsweep.study import Claim, Reason, Result, Store, Study
from recsweep.study.job_progress import progress_of

BUDGET = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: Any, tmp_path: Path, empty_store: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").new_url())
    (tmp_path / "jobs.db").write_bytes(empty_store.read_bytes())
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def jobs(address: str) -> Iterator[Jobs]:
    opened = Jobs(address)
    yield opened
    opened.close()


@pytest.fixture
def plan_of(make_plan: Callable[..., StudyPlan]) -> Callable[[Job], StudyPlan]:
    def plan(job: Job) -> StudyPlan:
        made = make_plan(max_evals=BUDGET)
        return replace(made, sweep=made.sweep.model_copy(update={"sweep": sweep_name(job.id)}))

    return plan


def made(jobs: Jobs) -> Job:
    return jobs.create({}, "a job", ["FPMC"], ["ml-100k-small"], trials=BUDGET)


def listed(jobs: Jobs, job: Job) -> JobProgress:
    """As a page has it, and once more as it was kept for that page: both are what the trials say."""
    (before,) = jobs.page(limit=1)[0]
    found = jobs.progress([before])[job.id]
    (kept,) = jobs.page(limit=1)[0]
    assert kept.counted is not None, "counted once, it is kept"
    assert jobs.progress([kept])[job.id] == found
    studies = [one.study for one in jobs.studies(replace(job, status=kept.status.QUEUED))]
    assert found == progress_of(studies, job.trials)
    return found


def begun(study: Study, plan: StudyPlan) -> Claim:
    claim = study.claim(BUDGET, this_process())
    assert claim is not None
    study.start(claim, plan.defaults, plan.space, 1, {})
    return claim


RESULT = Result({"ndcg@10": 0.2}, 1, 1, 0.5)


def test_each_step_of_a_trial_is_counted(
    jobs: Jobs, plan_of: Callable[[Job], StudyPlan], address: str
) -> None:
    job = made(jobs)
    plan = plan_of(job)
    assert listed(jobs, job) == JobProgress(0, BUDGET)
    study = open_study(plan, jobs.store)
    study.ensure_slots(BUDGET)
    assert listed(jobs, job).done == 0
    first = begun(study, plan)
    assert listed(jobs, job).running == 1
    study.finish(first, 0.3, RESULT)
    assert listed(jobs, job) == JobProgress(1, BUDGET, 0, 0, 0, 0.3, "NDCG@10")
    study.prune(begun(study, plan), 0.4, RESULT, "others do better")
    assert listed(jobs, job).pruned == 1
    study.fail(begun(study, plan), Reason.DIVERGED, "NaN")
    assert (listed(jobs, job).failed, listed(jobs, job).done) == (1, 3)
    study.put_back(begun(study, plan), "stopped")
    assert (listed(jobs, job).done, listed(jobs, job).running) == (3, 0)
    killed = begun(study, plan)
    study.put_back_owned(this_process(), "killed")
    assert listed(jobs, job).running == 0
    assert not study.finish(killed, 0.9, RESULT), "it comes too late"
    assert listed(jobs, job).best == 0.3
    study.update_record(lambda record: replace(record, budget=BUDGET + 2))
    assert listed(jobs, job).total == BUDGET + 2
    study.finish(begun(study, plan), 0.5, RESULT)
    assert (listed(jobs, job).best, listed(jobs, job).done) == (0.5, 4)
    jobs.store.delete(study)
    assert listed(jobs, job) == JobProgress(0, BUDGET)


def test_a_sweep_from_outside_into_the_same_studies_is_counted(
    jobs: Jobs, plan_of: Callable[[Job], StudyPlan], address: str
) -> None:
    job = made(jobs)
    plan = plan_of(job)
    study = open_study(plan, jobs.store)
    study.ensure_slots(BUDGET)
    jobs.start(job.id)
    jobs.cancel(job.id)
    assert listed(jobs, job).done == 0
    outside = Store(address)  # it knows of no jobs
    try:
        there = open_study(plan, outside)
        there.finish(begun(there, plan), 0.7, RESULT)
        begun(there, plan)
    finally:
        outside.close()
    assert (listed(jobs, job).done, listed(jobs, job).running, listed(jobs, job).best) == (1, 1, 0.7)
    jobs.resume(job.id)
    study.put_back_owned(this_process(), "killed")
    assert (listed(jobs, job).done, listed(jobs, job).running) == (1, 0)


def test_who_tells_of_a_job_keeps_how_far_it_is(jobs: Jobs, plan_of: Callable[[Job], StudyPlan]) -> None:
    job = made(jobs)
    plan = plan_of(job)
    study = open_study(plan, jobs.store)
    study.ensure_slots(BUDGET)
    study.finish(begun(study, plan), 0.3, RESULT)
    Teller(jobs, job).look()
    with statements() as asked:
        page = jobs.page(limit=1)[0]
        assert jobs.progress(page)[job.id].done == 1
    assert len(asked) == 2, "jobs with what was counted, and their parts"


def test_a_count_of_before_a_change_is_never_kept(
    jobs: Jobs, plan_of: Callable[[Job], StudyPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    import recsweep.study.job_progress as counting

    job = made(jobs)
    plan = plan_of(job)
    study = open_study(plan, jobs.store)
    study.ensure_slots(BUDGET)
    real = counting.progress_of

    def slow(*asked: Any) -> JobProgress:
        found = real(*asked)
        study.finish(begun(study, plan), 0.3, RESULT)  # between the count and its being kept
        return found

    monkeypatch.setattr(counting, "progress_of", slow)
    assert jobs.progress([job])[job.id].done == 0
    monkeypatch.undo()
    assert jobs.page(limit=1)[0][0].counted is None
    assert listed(jobs, job).done == 1


def test_workers_at_once_and_a_reader_agree_at_the_end(
    jobs: Jobs, plan_of: Callable[[Job], StudyPlan], address: str
) -> None:
    job = made(jobs)
    plan = plan_of(job)
    open_study(plan, jobs.store).ensure_slots(BUDGET)

    def work(_: int) -> None:
        store = Store(address)
        study = open_study(plan, store)
        while (claim := study.claim(BUDGET, this_process())) is not None:
            study.start(claim, plan.defaults, plan.space, 1, {})
            study.finish(claim, 0.1, RESULT)
            assert jobs.progress(jobs.page(limit=1)[0])[job.id].done <= BUDGET
        store.close()

    with ThreadPoolExecutor(3) as many:
        list(many.map(work, range(3)))
    assert listed(jobs, job).done == BUDGET


def test_triggers_that_went_with_a_table_are_made_again(
    jobs: Jobs, plan_of: Callable[[Job], StudyPlan], address: str
) -> None:
    job = made(jobs)
    plan = plan_of(job)
    study = open_study(plan, jobs.store)
    study.ensure_slots(BUDGET)
    assert listed(jobs, job).done == 0
    with jobs.rows.engine.begin() as connection:
        on = "" if jobs.rows.is_sqlite else " ON trials"
        connection.execute(sqlalchemy.text(f"DROP TRIGGER recsweep_job_trials_update{on}"))
    study.finish(begun(study, plan), 0.3, RESULT)
    again = Jobs(address)
    assert listed(again, job).done == 1
    again.close()


def test_a_store_of_before_is_brought_up_to_date(address: str, plan_of: Callable[[Job], StudyPlan]) -> None:
    old = Jobs(address)
    job = made(old)
    plan = plan_of(job)
    study = open_study(plan, old.store)
    study.ensure_slots(BUDGET)
    study.finish(begun(study, plan), 0.3, RESULT)
    with old.rows.engine.begin() as connection:
        for name in connection.execute(sqlalchemy.text(_TRIGGERS[connection.dialect.name])).scalars().all():
            connection.execute(sqlalchemy.text(f"DROP TRIGGER {name}"))
        connection.execute(sqlalchemy.text("DROP TABLE tuning_progress"))
        connection.execute(sqlalchemy.text("UPDATE tuning_version SET version_num = '1'"))
    old.close()
    new = Jobs(address)
    assert listed(new, job) == JobProgress(1, BUDGET, 0, 0, 0, 0.3, "NDCG@10")
    new.delete(job.id)
    assert new.page()[0] == []
    new.close()


_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'recsweep_job%'",
    "postgresql": "SELECT tgname || ' ON ' || tgrelid::regclass FROM pg_trigger "
    "WHERE tgname LIKE 'recsweep_job%'",
}
