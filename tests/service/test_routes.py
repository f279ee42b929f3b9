"""Every route: its success, its errors, nobody without a token. One that is not in the table fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.service import CONFIG, JOB, NOBODY, READ, Client, job, running_app
from recsweep.common.owner import this_process
from recsweep.recbole_api.model_facts import refusal
from recsweep.service.app import document
from recsweep.service.limits import Limits
from recsweep.study import Result, Study

FREE = ("/healthz", "/readyz")
"""The routes that need no token."""
OPEN_TO_READERS = ("/api/tuning/validate",)
"""Routes beside `GET` that change nothing."""
WITH_GRAPH = ("CFKG", "KGAT", "KGIN", "MKR", "RippleNet")
"""Shipped models that learn from a knowledge graph, which `ml-100k` has not."""


@pytest.fixture
def client(tmp_path: Path, empty_store: Path):
    with running_app(tmp_path, empty_store) as made:
        yield made


@pytest.fixture
def job_id(client: Client) -> str:
    return client.make()


_DOCUMENTS: list[dict[str, Any]] = []


def spec(client: Client) -> dict[str, Any]:
    """The OpenAPI document, made once for all tests."""
    if not _DOCUMENTS:
        _DOCUMENTS.append(document(client.app))
    return _DOCUMENTS[0]


def routes(client: Client) -> list[tuple[str, str]]:
    """Method and path of every route, the OpenAPI document's among them."""
    operations = [(method.upper(), path) for path, item in spec(client)["paths"].items() for method in item]
    return [*operations, ("GET", "/openapi.json")]


ARTIFACT = "results/job/summary.md"
CASES: dict[tuple[str, str], list[tuple[int, str, dict[str, Any]]]] = {
    ("GET", "/healthz"): [(200, "/healthz", {})],
    ("GET", "/readyz"): [(200, "/readyz", {})],
    ("GET", "/metrics"): [(200, "/metrics", {})],
    ("GET", "/openapi.json"): [(200, "/openapi.json", {})],
    ("GET", "/api/tuning/models"): [(200, "models", {})],
    ("GET", "/api/tuning/datasets"): [(200, "datasets", {})],
    ("POST", "/api/tuning/validate"): [
        (200, "validate", {"json": JOB}),
        (422, "validate", {"json": job(seed=-1)}),
        (413, "validate", {"content": b" " * 1_000_001}),
        (415, "validate", {"content": b"{}", "headers": {"Content-Type": "text/xml"}}),
    ],
    ("POST", "/api/tuning/jobs"): [
        (201, "jobs", {"json": JOB}),
        (201, "jobs", {"content": json.dumps(JOB), "headers": {"Idempotency-Key": "mine"}}),
        (422, "jobs", {"json": job(model="Nothing")}),
        (413, "jobs", {"content": b" " * 10_000_000}),
        (415, "jobs", {"content": b"{}", "headers": {"Content-Type": "multipart/form-data"}}),
    ],
    ("GET", "/api/tuning/jobs"): [
        (200, "jobs", {}),
        (200, "jobs?limit=1&status=created&model=SASRec&dataset=ml-100k", {}),
        (422, "jobs?limit=0", {}),
    ],
    ("GET", "/api/tuning/jobs/{job_id}"): [
        (200, "jobs/{id}", {}),
        (404, f"jobs/{NOBODY}", {}),
        (422, "jobs/1", {}),
    ],
    ("POST", "/api/tuning/jobs/{job_id}/start"): [
        (200, "jobs/{id}/start", {}),
        (409, "jobs/{id}/start", {}),
        (404, f"jobs/{NOBODY}/start", {}),
        (422, "jobs/1/start", {}),
    ],
    ("POST", "/api/tuning/jobs/{job_id}/cancel"): [
        (409, "jobs/{id}/cancel", {}),
        (404, f"jobs/{NOBODY}/cancel", {}),
        (422, "jobs/1/cancel", {}),
    ],
    ("POST", "/api/tuning/jobs/{job_id}/resume"): [
        (409, "jobs/{id}/resume", {}),
        (404, f"jobs/{NOBODY}/resume", {}),
        (422, "jobs/1/resume", {}),
    ],
    ("DELETE", "/api/tuning/jobs/{job_id}"): [
        (204, "jobs/{id}", {}),
        (404, "jobs/{id}", {}),
        (422, "jobs/1", {}),
    ],
    ("GET", "/api/tuning/jobs/{job_id}/trials"): [
        (200, "jobs/{id}/trials", {}),
        (404, f"jobs/{NOBODY}/trials", {}),
        (422, "jobs/{id}/trials?after=x", {}),
    ],
    ("GET", "/api/tuning/jobs/{job_id}/trials/{slot}"): [
        (404, "jobs/{id}/trials/0", {}),
        (422, "jobs/{id}/trials/-1", {}),
        (422, "jobs/{id}/trials/0?study=nothing", {}),
    ],
    ("GET", "/api/tuning/jobs/{job_id}/artifacts"): [
        (200, "jobs/{id}/artifacts", {}),
        (404, f"jobs/{NOBODY}/artifacts", {}),
        (422, "jobs/1/artifacts", {}),
    ],
    ("GET", "/api/tuning/jobs/{job_id}/artifacts/{path}"): [
        (200, f"jobs/{{id}}/artifacts/{ARTIFACT}", {}),
        (404, "jobs/{id}/artifacts/nothing", {}),
        (422, "jobs/1/artifacts/nothing", {}),
    ],
    ("GET", "/api/tuning/jobs/{job_id}/events"): [
        (404, f"jobs/{NOBODY}/events", {}),
        (422, "jobs/{id}/events", {"headers": {"Last-Event-ID": "x"}}),
        (422, "jobs/{id}/events?after=-1", {}),
    ],
}


def test_every_route_has_its_cases(client: Client):
    assert set(CASES) == set(routes(client))


@pytest.mark.parametrize("route", CASES, ids=" ".join)
def test_a_route_answers_as_its_document_says(client: Client, job_id: str, route: tuple[str, str]):
    method, path = route
    file = client.service.folder(job_id) / ARTIFACT
    file.parent.mkdir(parents=True)
    file.write_text("| best |")
    said = spec(client)["paths"].get(path, {}).get(method.lower(), {"responses": {"200": {}}})
    for status, where, more in CASES[route]:
        answer = client(method, where.replace("{id}", job_id), **more)
        assert answer.status_code == status, answer.text
        assert str(status) in said["responses"]
        if status >= 400:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert problem["status"] == status
            assert problem["field"]
            assert problem["detail"]


@pytest.mark.parametrize("route", [route for route in CASES if route[1] not in FREE], ids=" ".join)
def test_nobody_comes_in_without_a_token(client: Client, route: tuple[str, str]):
    method, path = route
    where = path.replace("{job_id}", NOBODY).replace("{slot}", "0").replace("{path}", "x")
    for wrong in (
        None,
        "wrong",
        "",
        "x" * 100_000,
        "\udcff" if False else "wörd".encode("latin-1").decode("latin-1")[:1],
    ):
        answer = client(method, where, token=wrong)
        assert answer.status_code == 401, (wrong, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    basic = client(method, where, token=None, headers={"Authorization": "Basic d3JpdGU6dG9rZW4="})
    assert basic.status_code == 401
    if method != "GET" and path not in OPEN_TO_READERS:
        assert client(method, where, token=READ).status_code == 403


def test_the_document_says_who_may_come_in(client: Client):
    for path, item in spec(client)["paths"].items():
        for method, operation in item.items():
            assert bool(operation.get("security")) == (path not in FREE), (method, path)
            assert operation["description"]


def test_a_readers_token_looks(client: Client, job_id: str):
    for where in ("jobs", f"jobs/{job_id}", f"jobs/{job_id}/trials", "models", "datasets", "/metrics"):
        assert client("GET", where, token=READ).status_code == 200
    assert client("POST", "validate", token=READ, json=JOB).status_code == 200


def test_a_job_is_as_the_readme_has_it(client: Client, job_id: str):
    client("POST", f"jobs/{job_id}/start")
    found = client("GET", f"jobs/{job_id}").json()
    assert found["id"] == job_id
    assert found["status"] == "queued"
    assert found["allowed"] == ["cancel", "delete"]
    assert found["trials_total"] == 5
    assert found["trials"] == []
    assert found["request"]["search_space"] == JOB["search_space"]


@pytest.mark.parametrize(("trouble", "engine"), [(None, "ray"), ("Ray is not installed", "optuna")])
def test_an_answer_says_which_engine_drives_a_job(
    client: Client, trouble: str | None, engine: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("recsweep.running.ray_link.trouble", lambda: trouble)
    job_id = client.make()
    monkeypatch.setattr(
        "recsweep.running.ray_link.trouble", lambda: "it is gone" if trouble is None else None
    )
    for answer in (client("GET", f"jobs/{job_id}").json(), client("GET", "jobs").json()["jobs"][0]):
        assert answer["engine"] == engine
    assert client("POST", "validate", json=JOB).json()["engine"] != engine


def test_a_wrong_wish_says_which_are_allowed(client: Client, job_id: str):
    answer = client("POST", f"jobs/{job_id}/resume")
    assert answer.status_code == 409
    assert answer.json()["state"] == "created"
    assert answer.json()["allowed"] == ["start", "delete"]


def test_requests_are_counted_by_route(client: Client, job_id: str):
    for where in (f"/api/tuning/jobs/{job_id}", f"/jobs/{job_id}", "/api/tuning/nothing"):
        client("GET", where)
    told = client("GET", "/metrics").text
    for route, status in (("/api/tuning/jobs/{job_id}", 200), ("/jobs/{job_id}", 303), ("none", 404)):
        assert f'recsweep_requests_total{{route="{route}",method="GET",status="{status}"}} 1\n' in told


def test_a_repeated_create_has_the_same_job(client: Client):
    key = {"Idempotency-Key": "once"}
    first = client("POST", "jobs", json=JOB, headers=key).json()["id"]
    assert client("POST", "jobs", json=JOB, headers=key).json()["id"] == first
    other = client("POST", "jobs", json=job(seed=3), headers=key)
    assert other.status_code == 422
    assert other.json()["field"] == "Idempotency-Key"
    assert len(client("GET", "jobs").json()["jobs"]) == 1


def test_lists_go_page_by_page(client: Client):
    made = [client.make(name=f"job {n}") for n in range(5)]
    seen, after = [], ""
    while True:
        page = client("GET", f"jobs?limit=2{after}").json()
        seen += [one["id"] for one in page["jobs"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == made[::-1]
    assert client("GET", "jobs?model=FPMC").json()["jobs"] == []


def test_what_would_run_is_said_and_nothing_is_made(client: Client):
    plan = client(
        "POST", "validate", json=job(model=None, models=["FPMC", "SASRec"], search_space=None)
    ).json()
    assert plan["trials"] == 10
    assert [study["study"] for study in plan["studies"]] == ["ml-100k/FPMC", "ml-100k/SASRec"]
    assert client("GET", "jobs").json()["jobs"] == []


def test_a_form_can_be_made_of_the_models(client: Client):
    models = {model["name"]: model for model in client("GET", "models").json()["models"]}
    for name, model in models.items():
        searched = model["space"] and not model["variants"]
        if searched and refusal(model["model"]) is None:  # NCL is refused without its extra
            asked = job(model=name, search_space=model["space"], defaults=model["defaults"])
            if name in WITH_GRAPH:
                asked["dataset"] = "ml-100k-kg"
            assert client("POST", "validate", json=asked).status_code == 200, name
    shipped = {path.stem for path in (CONFIG / "datasets").glob("*.yaml")}
    assert {one["name"] for one in client("GET", "datasets").json()["datasets"]} == shipped


def test_trials_are_told_with_their_curves(client: Client, make_plan):
    job_id = client.make()
    client("POST", f"jobs/{job_id}/start")
    plan = make_plan(max_evals=3)
    store = client.service.jobs.store
    study = store.open_study(
        f"job-{job_id}/d/FPMC/full", plan.definition, maximize=True, record=_named(plan, f"job-{job_id}")
    )
    study.ensure_slots(3)
    for score in (0.1, 0.3):
        _finish(study, plan, score)
    found = client("GET", f"jobs/{job_id}").json()
    assert [(one["slot"], one["state"], one["score"]) for one in found["trials"]] == [
        (0, "complete", 0.1),
        (1, "complete", 0.3),
    ]
    assert found["best"]["slot"] == 1
    assert found["progress"]["done"] == 2
    first = client("GET", f"jobs/{job_id}/trials?limit=1").json()
    rest = client("GET", f"jobs/{job_id}/trials?after={first['next']}").json()
    assert [one["slot"] for one in (*first["trials"], *rest["trials"])] == [0, 1]
    assert client("GET", f"jobs/{job_id}/trials/1").json()["curve"]
    assert 'recsweep_trials{state="complete"} 2' in client("GET", "/metrics").text


def _finish(study: Study, plan: Any, score: float) -> None:
    claim = study.claim(plan.budget, this_process())
    assert claim is not None
    study.start(claim, plan.defaults, plan.space, 1, {})
    study.report(claim, 1, score)
    study.finish(claim, score, Result({"ndcg@10": score}, 1, 1, 0.5, "compiled"))


def _named(plan: Any, sweep: str) -> Any:
    from dataclasses import replace

    return replace(plan, sweep=plan.sweep.model_copy(update={"sweep": sweep})).record()


def test_events_are_told_and_taken_up_again(client: Client, job_id: str):
    client("POST", f"jobs/{job_id}/start")
    client("POST", f"jobs/{job_id}/cancel")
    text = client("GET", f"jobs/{job_id}/events").text
    numbers = [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert text.endswith('event: end\ndata: {"status": "cancelled"}\n\n')
    later = client("GET", f"jobs/{job_id}/events", headers={"Last-Event-ID": str(numbers[-2])}).text
    assert [line for line in later.splitlines() if line.startswith("id: ")] == [f"id: {numbers[-1]}"]
    assert client("GET", f"jobs/{job_id}/events?after={numbers[-1]}").status_code == 204


def test_streams_end_with_the_server_and_are_not_many(client: Client, job_id: str):
    client.service.closing.set()
    assert client("GET", f"jobs/{job_id}/events").text == "retry: 2000\n\n"
    client.service.streams = client.service.limits.streams
    refused = client("GET", f"jobs/{job_id}/events")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


def test_files_are_handed_out_from_the_jobs_folder_only(client: Client, job_id: str, tmp_path: Path):
    (tmp_path / "secret").write_text("no")
    folder = client.service.folder(job_id)
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("yes")
    (folder / "out").symlink_to(tmp_path)
    (folder / "ring").symlink_to("ring")
    (folder / "secret.txt").symlink_to(tmp_path / "secret")
    (folder / "inside.txt").symlink_to("mine.txt")
    (folder / "scratch").mkdir()
    (folder / "scratch" / "half.pth").write_text("no")
    listed = client("GET", f"jobs/{job_id}/artifacts").json()["artifacts"]
    assert [(one["path"], one["bytes"]) for one in listed] == [("mine.txt", 3)]
    got = client("GET", f"jobs/{job_id}/artifacts/mine.txt")
    assert got.text == "yes"
    assert got.headers["content-disposition"].startswith("attachment")
    assert client("GET", f"jobs/{job_id}/artifacts/inside.txt").text == "yes"
    escapes = (
        "secret.txt",
        "out/secret",
        "..%2F..%2Fsecret",
        "%2e%2e/%2e%2e/secret",
        "ring",
        "%00",
        "",
        "out",
        "scratch/half.pth",
    )
    for path in (*escapes, "/etc/passwd", "%2Fetc%2Fpasswd", "x" * 300, "..%2f" * 40 + "etc/passwd"):
        answer = client("GET", f"jobs/{job_id}/artifacts/{path}")
        assert answer.status_code in (404, 422), path
        assert answer.text != "no"


def test_weights_are_told_from_results(client: Client, job_id: str):
    files = {
        "checkpoints/job/ml-100k/SASRec/trial-0/model.pth": "weights",
        "job.log": "log",
        "notes.txt": "other",
        "results/job/ml-100k/SASRec/best_params.json": "result",
    }
    for name in files:
        path = client.service.folder(job_id) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    listed = client("GET", f"jobs/{job_id}/artifacts").json()["artifacts"]
    assert {one["path"]: one["kind"] for one in listed} == files
    for name in files:
        assert client("GET", f"jobs/{job_id}/artifacts/{name}").text == name


def test_a_removed_job_leaves_nothing(client: Client, job_id: str):
    folder = client.service.folder(job_id)
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("yes")
    assert client("DELETE", f"jobs/{job_id}").status_code == 204
    assert not folder.exists()
    assert client("GET", f"jobs/{job_id}").status_code == 404


def test_a_job_that_runs_is_not_removed(client: Client, job_id: str):
    client("POST", f"jobs/{job_id}/start")
    with client.service.jobs.store.optuna_storage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tuning_jobs SET status = 'running'")
    refused = client("DELETE", f"jobs/{job_id}")
    assert refused.status_code == 409
    assert "delete" not in refused.json()["allowed"]


def test_there_is_a_limit_to_everything(tmp_path: Path, empty_store: Path):
    limits = Limits(body_bytes=1_000, requests_a_minute=40, guesses_a_minute=8, queued=1)
    with running_app(tmp_path, empty_store, limits=limits) as client:
        first, second = client.make(), client.make()
        assert client("POST", "jobs", content=b"x" * 1_001).status_code == 413
        assert client("POST", "jobs", content=iter_of(b"x" * 600, b"x" * 600)).status_code == 413
        assert client("POST", f"jobs/{first}/start").status_code == 200
        full = client("POST", f"jobs/{second}/start")
        assert (full.status_code, full.headers["retry-after"]) == (429, "60")
        many = [client("GET", "datasets").status_code for _ in range(12)]
        assert many[0] == 200
        assert many[-1] == 429
        guesses = [client("GET", "jobs", token="guess") for _ in range(4)]
        assert [one.status_code for one in guesses] == [401, 401, 429, 429]
        assert int(guesses[-1].headers["retry-after"]) > 0
        assert client("GET", "/healthz", token=None).status_code == 200


async def _parts(*parts: bytes):
    for part in parts:
        yield part


def iter_of(*parts: bytes) -> Any:
    return _parts(*parts)


def test_a_store_that_is_away_is_503(client: Client, monkeypatch: pytest.MonkeyPatch, capsys):
    from recsweep.common.errors import StoreUnavailable

    def away(*arguments: Any) -> None:
        raise StoreUnavailable("the store postgresql://me:hunter2@host/x is away; wait; try again")

    monkeypatch.setattr(client.service.jobs, "page", away)
    monkeypatch.setattr(client.service.jobs, "counts", away)
    for where in ("jobs", "/readyz"):
        answer = client("GET", where)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "hunter2" not in answer.text
    assert "hunter2" not in capsys.readouterr().err


def test_a_bug_is_told_to_the_log_alone(client: Client, monkeypatch: pytest.MonkeyPatch, capsys):
    def bug(*arguments: Any) -> None:
        raise ZeroDivisionError("write-token-of-the-tests token=hunter2secret")

    monkeypatch.setattr(client.service.jobs, "page", bug)
    answer = client("GET", "jobs")
    assert answer.status_code == 500
    assert "Zero" not in answer.text
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "hunter2secret" not in said
