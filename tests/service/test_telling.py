"""The events of a job's trials follow from the store: each once, whoever tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.search.starts import open_study
from recsweep.service.jobs import Job, Jobs, sweep_name
from recsweep.service.telling import Teller
from recsweep.study import Claim, Result, Study


@pytest.fixture
def jobs(tmp_path: Path, empty_store: Path) -> Iterator[Jobs]:
    (tmp_path / "jobs.db").write_bytes(empty_store.read_bytes())
    opened = Jobs(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield opened
    opened.close()


@pytest.fixture
def job(jobs: Jobs) -> Job:
    return jobs.create({}, "a job", ["FPMC"], ["ml-100k-small"])


@pytest.fixture
def plan(job: Job, make_plan: Callable[..., StudyPlan]) -> StudyPlan:
    plan = make_plan(max_evals=3)
    return replace(plan, sweep=plan.sweep.model_copy(update={"sweep": sweep_name(job.id)}))


@pytest.fixture
def study(jobs: Jobs, plan: StudyPlan) -> Study:
    study = open_study(plan, jobs.store)
    study.ensure_slots(plan.budget)
    return study


def begin(study: Study, plan: StudyPlan) -> Claim:
    claim = study.claim(plan.budget, this_process())
    assert claim is not None
    study.start(claim, plan.defaults, plan.space, 1, {})
    return claim


def kinds(jobs: Jobs, job: Job) -> list[tuple[str, int]]:
    return [(event.kind, event.data["slot"]) for event in jobs.events(job.id, after=1)]


def test_each_thing_is_told_once_in_its_order(jobs: Jobs, job: Job, plan: StudyPlan, study: Study) -> None:
    teller = Teller(jobs, job)
    assert teller.look() == 0
    claim = begin(study, plan)
    study.report(claim, 1, 0.1)
    assert teller.look() == 2
    assert teller.look() == 0
    study.report(claim, 2, float("nan"))
    study.finish(claim, 0.1, Result({"ndcg@10": 0.1}, 1, 2, 0.5))
    teller.look()
    expected = [("trial.started", 0), ("trial.epoch", 0), ("trial.epoch", 0), ("trial.ended", 0)]
    assert kinds(jobs, job) == expected
    last = jobs.events(job.id)[-1].data
    assert (last["state"], last["score"], last["metrics"]) == ("complete", 0.1, {"ndcg@10": 0.1})
    assert jobs.events(job.id)[-2].data["score"] is None, "JSON knows no NaN"


def test_a_study_that_began_meanwhile_is_not_missed(jobs: Jobs, job: Job, plan: StudyPlan) -> None:
    teller = Teller(jobs, job)
    assert teller.look() == 0
    study = open_study(plan, jobs.store)
    study.ensure_slots(plan.budget)
    begin(study, plan)
    assert (teller.look(), teller.look(last=True)) == (0, 1)


def test_what_a_kill_swallowed_is_told_by_who_looks_next(
    jobs: Jobs, job: Job, plan: StudyPlan, study: Study
) -> None:
    begin(study, plan)
    Teller(jobs, job).look()
    study.put_back_owned(this_process(), "killed")
    claim = begin(study, plan)
    study.finish(claim, 0.2, Result({}, 1, 1, 0.5))
    Teller(jobs, job).look()
    Teller(jobs, job).look()
    ended = [("trial.back", 0), ("trial.started", 0), ("trial.ended", 0)]
    assert kinds(jobs, job) == [("trial.started", 0), *ended]
    assert [event.data.get("attempt") for event in jobs.events(job.id, after=1)] == [0, 0, 1, 1]


def test_two_that_tell_at_once_tell_nothing_twice(
    jobs: Jobs, job: Job, plan: StudyPlan, study: Study
) -> None:
    one, other = Teller(jobs, job), Teller(jobs, job)
    begin(study, plan)
    one.look()
    other.look()
    assert kinds(jobs, job) == [("trial.started", 0)]


def test_the_name_of_a_job_decides_nothing_of_its_trials(
    make_plan: Callable[..., StudyPlan], plan: StudyPlan
) -> None:
    by_hand = make_plan(max_evals=3)
    assert by_hand.name != plan.name
    assert by_hand.definition == plan.definition
    assert by_hand.content_hash == plan.content_hash
    for slot in range(3):
        assert by_hand.trial_seed(slot) == plan.trial_seed(slot)
        assert by_hand.proposal_seed(slot) == plan.proposal_seed(slot)


def test_a_deleted_job_takes_its_studies_with_it(jobs: Jobs, job: Job, plan: StudyPlan, study: Study) -> None:
    assert jobs.store.names() == [plan.name]
    jobs.delete(job.id)
    assert jobs.store.names() == []


def test_progress_counts_the_trials_of_the_job_alone(
    jobs: Jobs, job: Job, plan: StudyPlan, study: Study
) -> None:
    other = jobs.create({}, "another", ["FPMC"], ["ml-100k-small"], trials=7)
    for score in (0.1, 0.3):
        study.finish(begin(study, plan), score, Result({}, 1, 1, 0.5))
    study.put_back(begin(study, plan), "stopped")
    begin(study, plan)
    found = jobs.progress([job, other])
    own = found[job.id]
    assert (own.done, own.total, own.running, own.failed, own.best) == (2, 3, 1, 0, 0.3)
    assert own.metric == "NDCG@10"
    assert (found[other.id].done, found[other.id].total, found[other.id].best) == (0, 7, None)
    assert jobs.progress([]) == {}
