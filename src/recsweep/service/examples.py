"""Examples of requests and answers for the OpenAPI document: one job, as it goes through every route.

A test holds each of them against its schema, and plans the requests.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from recsweep.sweeps.split import SplitConfig

JOB_ID = "01kb0zq6v3h2m8e5d7w9x4c1fs"
_SPACE = {"learning_rate": {"type": "loguniform", "min": 1e-5, "max": 1e-3}}
JOB: dict[str, Any] = {
    "name": "SASRec LR sweep",
    "dataset": "ml-100k",
    "model": "SASRec",
    "metric_name": "NDCG@10",
    "metric_mode": "max",
    "num_samples": 5,
    "max_concurrent_trials": 1,
    "search_space": _SPACE,
}
SWEEP: dict[str, Any] = {
    "name": "three models, two hours",
    "datasets": ["ml-100k", "ml-100k-small"],
    "models": ["FPMC", "GRU4Rec", "SASRec"],
    "search_spaces": {"SASRec": _SPACE},
    "engine": "optuna",
    "algo": "bayes",
    "num_samples": 20,
    "pruner": "median",
    "max_concurrent_trials": 2,
    "epochs": 100,
    "seed": 7,
    "limits": {"sweep_timeout_minutes": 120, "no_improvement_after": 10},
    "tracking": {"wandb": {"project": "three-models"}, "tensorboard": {}},
}
REQUESTS = {
    "one": {"summary": "One model; the learning rate is searched", "value": JOB},
    "several": {"summary": "Several models on several data sets, within limits", "value": SWEEP},
}

_STUDY = "ml-100k/SASRec"
_PARAMS, _METRICS = {"learning_rate": 0.00031}, {"ndcg@10": 0.0871, "recall@10": 0.1612}
_TIMES = {"created": "2026-11-27T09:00:00+00:00", "queued": "2026-11-27T09:00:04+00:00"}
_TRIAL = {
    "slot": 0,
    "study": _STUDY,
    "state": "complete",
    "params": _PARAMS,
    "metrics": _METRICS,
    "score": 0.0871,
    "epochs": 3,
    "best_epoch": 2,
    "seconds": 41.7,
    "seed": 1893021743,
    "attempt": 0,
    "reason": None,
    "inherited": None,
    "path": "compiled",
    "energy": {"kwh": 0.00009, "co2_g": 0.0428, "read": "estimate", "estimated": True},
}
_BEST = {
    "study": _STUDY,
    "slot": 0,
    "score": 0.0871,
    "params": _PARAMS,
    "metrics": _METRICS,
    "test": None,
}


def _summary(status: str, allowed: list[str], **more: Any) -> dict[str, Any]:
    """The job in a state."""
    return {
        "id": JOB_ID,
        "name": JOB["name"],
        "status": status,
        "engine": "optuna",
        "algo": "bayes",
        "models": ["SASRec"],
        "datasets": ["ml-100k"],
        "metric_name": "NDCG@10",
        "num_samples": 5,
        "trials_total": 5,
        **{"created": None, "queued": None, "started": None, "ended": None, **_TIMES, **more},
        "error": None,
        "allowed": allowed,
    }


_RUNNING = _summary("running", ["cancel"], started="2026-11-27T09:00:05+00:00")
_NEW = {
    **_summary("created", ["start", "delete"], queued=None),
    "request": {**JOB, "engine": "optuna"},
    "progress": {"done": 0, "total": 5, "running": 0, "failed": 0, "pruned": 0, "share": 0.0},
    "eta_seconds": None,
    "best": None,
    "studies": [],
    "trials": [],
    "trials_before": None,
}
_DONE = {"done": 1, "total": 5, "running": 0, "failed": 0, "pruned": 0, "share": 0.2}
_AT_WORK = {
    **_NEW,
    **_RUNNING,
    "progress": _DONE,
    "eta_seconds": 166.8,
    "best": _BEST,
    "studies": [
        {
            "study": _STUDY,
            "dataset": "ml-100k",
            "model": "SASRec",
            "phase": "full",
            "state": "running",
            "trials": 1,
            "of": 5,
            "metric": "NDCG@10",
            "best": _BEST,
            "ended_by": None,
        }
    ],
    "trials": [_TRIAL],
    "trials_before": None,
}
_PLAN = {
    "engine": "optuna",
    "algo": "bayes",
    "trials": 5,
    "studies": [
        {
            "study": _STUDY,
            "dataset": "ml-100k",
            "model": "SASRec",
            "phase": "full",
            "trials": 5,
            "space": _SPACE,
            "defaults": {"learning_rate": 0.001},
            "definition": "5c0e0a4c7e0cbb7ce3e1c7f3b7c1f1d8a5e7c5d3a3f6b0f8e6f4b0d4a2c8e6f0",
        }
    ],
    "remarks": [],
}
_MODEL = {
    "name": "SASRec",
    "model": "SASRec",
    "variants": [],
    "space": {**_SPACE, "n_heads": {"type": "choice", "values": [1, 2, 4]}},
    "defaults": {"learning_rate": 0.001, "n_heads": 2},
    "fixed": {"loss_type": "CE"},
    "phases": {"training": ["learning_rate"]},
}
_DATASET = {
    "name": "ml-100k",
    "split": SplitConfig().model_dump(mode="json"),
    "max_sequence_length": 50,
    "keep": {},
    "min_user_interactions": 0,
    "min_item_interactions": 0,
}
_FILE = {
    "path": "results/job/ml-100k/SASRec/best_params.json",
    "kind": "result",
    "bytes": 43,
    "modified": "2026-11-27T09:04:11+00:00",
}
_EVENTS = (
    'retry: 2000\n\nid: 3\nevent: job\ndata: {"status": "running", "at": "2026-11-27T09:00:05"}\n\n'
    'id: 4\nevent: trial.started\ndata: {"slot": 0, "attempt": 0, "at": "2026-11-27T09:00:12"}\n\n'
    'event: end\ndata: {"status": "completed"}\n\n'
)
_JOBS = "/api/tuning/jobs"
_ONE = f"{_JOBS}/{{job_id}}"
ANSWERS: dict[str, Any] = {
    "GET /healthz": {"status": "ok"},
    "GET /readyz": {"status": "ok"},
    "GET /metrics": '# TYPE recsweep_jobs gauge\nrecsweep_jobs{status="running"} 1\n',
    f"POST {_JOBS}": _NEW,
    f"GET {_JOBS}": {"jobs": [{**_RUNNING, "progress": _DONE, "best_score": 0.0871}], "next": None},
    "POST /api/tuning/validate": _PLAN,
    f"GET {_ONE}": _AT_WORK,
    f"POST {_ONE}/start": _summary("queued", ["cancel", "delete"]),
    f"POST {_ONE}/cancel": _summary("cancelling", [], started="2026-11-27T09:00:05+00:00"),
    f"POST {_ONE}/resume": _summary("queued", ["cancel", "delete"]),
    f"GET {_ONE}/trials": {"trials": [_TRIAL], "next": "0.0", "previous": None},
    f"GET {_ONE}/trials/{{slot}}": {
        **_TRIAL,
        "curve": [
            {"epoch": 1, "score": 0.0702},
            {"epoch": 2, "score": 0.0871},
            {"epoch": 3, "score": 0.0869},
        ],
    },
    f"GET {_ONE}/artifacts": {"artifacts": [_FILE], "complete": True},
    f"GET {_ONE}/artifacts/{{path}}": '{"learning_rate": 0.00031}',
    f"GET {_ONE}/events": _EVENTS,
    "GET /api/tuning/models": {"models": [_MODEL], "broken": []},
    "GET /api/tuning/datasets": {"datasets": [_DATASET], "broken": []},
}
"""The answer of a route, where it is more than a status."""
PARAMETERS: dict[str, Any] = {
    "job_id": JOB_ID,
    "slot": 0,
    "path": _FILE["path"],
    "study": _STUDY,
    "limit": 50,
    "status": "running",
    "model": "SASRec",
    "dataset": "ml-100k",
    "Idempotency-Key": "lr-sweep-of-monday",
    "Last-Event-ID": "4",
}
"""Values of parameters. `after` and `before` depend on what was answered before."""


def _problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    head = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return {**head, "detail": detail, **more}


_BUSY = {"field": "status", "fix": "wait until some have run, or cancel some"}
_MISTAKE = {
    "field": "num_samples",
    "problem": "`num_samples` must be at least 1, but got 0",
    "fix": "correct the value",
    "value": "0",
}
ERRORS: dict[int, dict[str, Any]] = {
    401: _problem(
        401,
        "there is no token, a wrong one, or a session that is over",
        field="Authorization",
        fix='send "Authorization: Bearer …" with the token of RECSWEEP_TOKEN',
    ),
    403: _problem(
        403, "this token may look only", field="Authorization", fix="send the token of RECSWEEP_TOKEN"
    ),
    404: _problem(404, f"there is no job {JOB_ID}", field="job_id", fix="ask for the list of jobs"),
    409: _problem(
        409,
        f"job {JOB_ID} is completed; it cannot be told to start; allowed now: delete",
        field="status",
        state="completed",
        allowed=["delete"],
    ),
    413: _problem(413, "the body has more than 1,000,000 bytes", field="body", fix="send a smaller one"),
    415: _problem(415, "the body is 'text/xml'", field="Content-Type", fix="send application/json"),
    422: _problem(
        422,
        f"{_MISTAKE['field']}: {_MISTAKE['problem']}; {_MISTAKE['fix']}",
        **{name: _MISTAKE[name] for name in ("field", "value", "fix")},
        errors=[_MISTAKE],
    ),
    429: _problem(429, "1,000 jobs wait already, and at most 1,000 may", **_BUSY),
    503: _problem(503, "the store cannot be reached or written now", fix="try again later"),
}
"""An answer of each error."""
