"""Jobs in the store: made once, found page by page, moved by one of those that want it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from recsweep.common.errors import InputError, UserError
from recsweep.service.jobs import Job, Jobs, KeyTaken, NoSuchJob
from recsweep.service.states import ACTIONS, TRANSITIONS, JobStatus, WrongTransition
from recsweep.study import Store
from recsweep.study.job_schema import VERSION_TABLE, has_tables


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").new_url())
    return f"sqlite:///{tmp_path_factory.mktemp('jobs') / 'recsweep.db'}"


@pytest.fixture
def jobs(address: str) -> Iterator[Jobs]:
    """Jobs of a store that the tests of one kind share: none of them looks at another's."""
    opened = Jobs(address)
    yield opened
    opened.close()


def make(jobs: Jobs, model: str = "FPMC", **more: Any) -> Job:
    return jobs.create({"name": "a job", "model": model}, "a job", [model], ["ml-100k"], **more)


def told(jobs: Jobs, job: Job) -> list[str]:
    return [event.data["status"] for event in jobs.events(job.id)]


def test_a_job_is_as_it_was_made(jobs: Jobs) -> None:
    job = jobs.create({"seed": 1}, "name", ["NARM", "FPMC"], ["b", "a"], trials=6)
    assert jobs.get(job.id) == job
    assert (job.models, job.datasets, job.request) == (("NARM", "FPMC"), ("b", "a"), {"seed": 1})
    assert (job.status, job.trials) == ("created", 6)
    assert told(jobs, job) == ["created"]


def test_a_key_makes_one_job_however_often_it_comes(jobs: Jobs) -> None:
    with ThreadPoolExecutor(4) as many:
        made = list(many.map(lambda _: make(jobs, "KeyOnce", idempotency_key="once"), range(8)))
    assert len({job.id for job in made}) == 1
    assert len(jobs.page(model="KeyOnce")[0]) == 1
    with pytest.raises(KeyTaken, match=made[0].id):
        make(jobs, "Other", idempotency_key="once")
    with pytest.raises(InputError, match="1 to 255"):
        make(jobs, idempotency_key="")


def test_pages_hold_each_job_once_the_newest_first(jobs: Jobs) -> None:
    made = [make(jobs, "Paged").id for _ in range(5)]
    jobs.start(made[1])
    found, after = [], None
    while True:
        page, after = jobs.page(after, 2, model="Paged")
        found += [job.id for job in page]
        if after is None:
            break
    assert found == sorted(made, reverse=True)
    assert [job.id for job in jobs.page(status=JobStatus.QUEUED, model="Paged")[0]] == [made[1]]
    assert jobs.page(model="Paged", dataset="ml-100")[0] == [], "a name is matched whole"


def test_wishes_lead_through_the_states(jobs: Jobs) -> None:
    job = make(jobs)
    assert jobs.start(job.id).status == "queued"
    ended = jobs.cancel(job.id)
    assert ended.status == "cancelled"
    assert ended.ended is not None
    again = jobs.resume(job.id)
    assert (again.status, again.ended) == ("queued", None)
    assert told(jobs, job) == ["created", "queued", "cancelling", "cancelled", "queued"]
    assert [event.n for event in jobs.events(job.id)] == [1, 2, 3, 4, 5]


def test_a_job_that_was_paused_and_is_cancelled_tells_of_no_trouble(jobs: Jobs) -> None:
    job = jobs.start(make(jobs).id)
    jobs.rows.move(job.id, ("queued",), "paused", values={"error": "the store is away"})
    assert jobs.get(job.id).error == "the store is away"
    assert (jobs.cancel(job.id).status, jobs.get(job.id).error) == ("cancelled", None)


@pytest.mark.parametrize(
    ("wish", "allowed"), [("resume", ["start", "delete"]), ("cancel", ["start", "delete"])]
)
def test_a_wrong_wish_says_what_is_allowed(jobs: Jobs, wish: str, allowed: list[str]) -> None:
    job = make(jobs)
    with pytest.raises(WrongTransition, match="created; it cannot be told") as refused:
        getattr(jobs, wish)(job.id)
    assert refused.value.allowed == allowed
    assert jobs.get(job.id).status == "created"


@pytest.mark.parametrize("wish", ["get", "start", "resume", "cancel", "delete"])
def test_an_unknown_job_is_said_so(jobs: Jobs, wish: str) -> None:
    with pytest.raises(NoSuchJob, match="there is no job nobody"):
        getattr(jobs, wish)("nobody")


def test_of_several_that_start_a_job_one_does(jobs: Jobs) -> None:
    job = make(jobs)

    def start(_: int) -> bool:
        try:
            return jobs.start(job.id).status == "queued"
        except WrongTransition:
            return False

    with ThreadPoolExecutor(4) as many:
        assert sum(many.map(start, range(8))) == 1
    assert told(jobs, job) == ["created", "queued"]


def test_a_deleted_job_is_gone_with_its_events(jobs: Jobs) -> None:
    job = make(jobs, "Deleted")
    jobs.delete(job.id)
    assert jobs.page(model="Deleted")[0] == []
    assert jobs.events(job.id) == []


def test_what_is_told_twice_stands_once(jobs: Jobs) -> None:
    job = make(jobs)
    jobs.add_event(job.id, "trial.ended", {"slot": 0}, "7.end")
    jobs.add_event(job.id, "trial.ended", {"slot": 0}, "7.end")
    assert [(event.n, event.kind) for event in jobs.events(job.id, after=1)] == [(2, "trial.ended")]
    assert jobs.told(job.id) == {"7.end"}


def test_events_of_several_at_once_are_numbered_without_a_gap(jobs: Jobs) -> None:
    job = make(jobs)
    with ThreadPoolExecutor(4) as many:
        list(many.map(lambda n: jobs.add_event(job.id, "trial.epoch", {}, f"mark {n % 10}"), range(20)))
    assert [event.n for event in jobs.events(job.id)] == list(range(1, 12))


# -- the table of states --------------------------------------------------------------------------


def test_every_state_is_in_the_table_and_wishes_follow_it() -> None:
    assert set(TRANSITIONS) == set(JobStatus)
    for action, target in (("start", "queued"), ("resume", "queued"), ("cancel", "cancelling")):
        assert all(target in TRANSITIONS[source] for source in ACTIONS[action])


# -- the tables -----------------------------------------------------------------------------------


def test_a_store_that_no_service_opened_has_no_tables_of_it(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path / "store.db")
    address = f"sqlite:///{tmp_path / 'store.db'}"

    def tables() -> bool:
        store = Store(address)
        try:
            return has_tables(store.optuna_storage.engine)  # type: ignore[attr-defined]
        finally:
            store.close()

    assert not tables()
    Jobs(address).close()
    assert tables()


def test_tables_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    jobs = Jobs(address)
    with jobs.rows.engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"UPDATE {VERSION_TABLE} SET version_num = '99'"))
    jobs.close()
    with pytest.raises(UserError, match="of a later recsweep \\(version 99, ours is 2\\)"):
        Jobs(address)


def test_the_tables_are_as_the_newest_version_makes_them(jobs: Jobs) -> None:
    from recsweep.study.job_table import EVENTS, JOBS, PARTS, PROGRESS

    found = sqlalchemy.inspect(jobs.rows.engine)
    for table in (JOBS, PARTS, EVENTS, PROGRESS):
        made = {column["name"]: column for column in found.get_columns(table.name)}
        assert {name: made[name]["nullable"] for name in made} == {c.name: bool(c.nullable) for c in table.c}
        indexes = {index["name"]: index["column_names"] for index in found.get_indexes(table.name)}
        assert indexes == {index.name: [c.name for c in index.columns] for index in table.indexes}


def test_a_journal_keeps_no_jobs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of the kind `journal` keeps no jobs"):
        Jobs(f"journal:///{tmp_path / 'journal'}")


def test_many_open_a_new_store_at_once(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    with ThreadPoolExecutor(4) as many:
        for jobs in many.map(lambda _: Jobs(address), range(4)):
            jobs.close()
