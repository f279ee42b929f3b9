"""Lists and jobs as answers: a few questions to the store, however much is in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers.questions import statements
from helpers.service import Client, added, claimed, with_trials
from recsweep.common.owner import this_process
from recsweep.service.claims import Claims
from recsweep.service.states import JobStatus
from recsweep.study import Reason

MOST_OF_A_LIST = 2
"""Jobs with how far they are, and their parts."""
MOST_OF_A_COUNT = 8
"""Those; the numbers of jobs that have changed, their studies, their trials counted, those that were tried
again, those that failed; and what was counted is kept."""
MOST_OF_A_JOB = 7
"""Its state, the job, its parts, studies and trials, the details of those that are shown, some curves."""


@pytest.fixture(scope="module")
def ids(app: Client) -> list[str]:
    """Jobs with trials that ended, one that failed, and one that runs; the first of them has many."""
    made = []
    for number, trials in enumerate((70, 3, 3)):
        job_id = added(app, name=f"job {number}", num_samples=trials + 2)
        job = claimed(app, job_id)
        study = with_trials(app, job, [0.1 + 0.001 * slot for slot in range(trials)])
        study.fail(_running(study, trials + 2), Reason.DIVERGED, "the loss is NaN")
        _running(study, trials + 2)
        made.append(job_id)
        if number == 2:
            Claims(app.service.jobs, this_process()).end(job, JobStatus.COMPLETED)
    return made


def _running(study, budget):
    claim = study.claim(budget, this_process())
    assert claim is not None
    return claim


def asked(app: Client, path: str) -> int:
    with statements() as found:
        answer = app("GET", path)
    assert answer.status_code == 200, answer.text
    return len(found)


def test_a_list_is_a_few_questions_however_many_jobs_it_has(app: Client, ids: list[str]) -> None:
    assert asked(app, "jobs?limit=50") <= MOST_OF_A_COUNT, "something has changed in each of them"
    assert asked(app, "jobs?limit=50") <= MOST_OF_A_LIST
    assert asked(app, "jobs?limit=1") <= MOST_OF_A_LIST
    assert asked(app, "jobs?status=running&model=SASRec&dataset=ml-100k") <= MOST_OF_A_LIST


def test_a_job_is_a_few_questions_however_many_trials_it_has(app: Client, ids: list[str]) -> None:
    for job_id in ids:
        assert asked(app, f"jobs/{job_id}") <= MOST_OF_A_JOB
        assert asked(app, f"jobs/{job_id}/trials") <= MOST_OF_A_JOB
        assert asked(app, f"jobs/{job_id}/trials/1") <= MOST_OF_A_JOB


def test_an_answer_that_many_ask_for_is_made_once(
    app: Client, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsweep.service.shared.FRESH_SECONDS", 60.0)
    first = app("GET", f"jobs/{ids[1]}").json()
    assert asked(app, f"jobs/{ids[1]}") == 1, "has anything happened in it?"
    app.service.jobs.add_event(ids[1], "trial.epoch", {"slot": 0})
    assert asked(app, f"jobs/{ids[1]}") > 1
    assert app("GET", f"jobs/{ids[1]}").json()["trials"] == first["trials"]


def test_a_job_seen_just_now_is_asked_for_where_it_changed(
    app: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsweep.service.shared.SEEN_SECONDS", 60.0)
    monkeypatch.setattr("recsweep.service.shared.FRESH_SECONDS", 60.0)
    job_id = app.make(name="seen")
    assert app("GET", f"jobs/{job_id}").json()["status"] == "created"
    assert asked(app, f"jobs/{job_id}") == 0
    becomes = {"start": "queued", "cancel": "cancelled", "resume": "queued"}
    for change, status in (*becomes.items(), ("cancel", "cancelled")):
        assert app("POST", f"jobs/{job_id}/{change}").status_code == 200
        assert app("GET", f"jobs/{job_id}").json()["status"] == status
    app("DELETE", f"jobs/{job_id}")
    assert app("GET", f"jobs/{job_id}").status_code == 404


def test_a_list_says_how_far_each_job_is(app: Client, ids: list[str]) -> None:
    found = {one["id"]: one for one in app("GET", "jobs").json()["jobs"]}
    progress = found[ids[0]]["progress"]
    assert {name: progress[name] for name in ("done", "total", "running", "failed", "pruned")} == {
        "done": 71,
        "total": 72,
        "running": 1,
        "failed": 1,
        "pruned": 0,
    }
    assert found[ids[0]]["best_score"] == pytest.approx(0.169)
    assert app("GET", f"jobs/{ids[0]}").json()["progress"] == progress


def test_a_job_has_its_last_trials_and_the_way_to_those_before(app: Client, ids: list[str]) -> None:
    job = app("GET", f"jobs/{ids[0]}").json()
    assert [one["slot"] for one in job["trials"]] == list(range(22, 72))
    assert job["best"]["slot"] == 69
    before = app("GET", f"jobs/{ids[0]}/trials?limit=20&before={job['trials_before']}").json()
    assert [one["slot"] for one in before["trials"]] == list(range(2, 22))
    first = app("GET", f"jobs/{ids[0]}/trials?before={before['previous']}").json()
    assert [one["slot"] for one in first["trials"]] == [0, 1]
    assert first["previous"] is None
    behind = app("GET", f"jobs/{ids[0]}/trials?limit=1&after={first['next']}").json()
    assert [one["slot"] for one in behind["trials"]] == [2]
    both = app("GET", f"jobs/{ids[0]}/trials?after=0.1&before=0.5")
    assert (both.status_code, both.json()["field"]) == (422, "before")
    assert app("GET", f"jobs/{ids[1]}").json()["trials_before"] is None


def test_a_page_has_the_scores_of_all_trials(app: Client, ids: list[str]) -> None:
    scores = app("GET", f"/jobs/{ids[0]}/scores").json()["scores"]
    assert scores == pytest.approx([0.1 + 0.001 * slot for slot in range(70)])


def test_weights_are_worked_out_once_a_state_of_the_job(
    app: Client, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    studies: Callable = app.service.jobs.studies
    monkeypatch.setattr(app.service.jobs, "studies", lambda job: read.append(job.id) or studies(job))
    first = app("GET", f"/jobs/{ids[0]}/importance").json()
    assert app("GET", f"/jobs/{ids[0]}/importance").json() == first
    assert read == [ids[0]]
    assert first["studies"][0]["study"] == "ml-100k/SASRec"
