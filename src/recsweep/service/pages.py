"""Pages for people, from the same server: jobs, one job, a form for a new one. They ask the API.

They need no network beside it, and run no script but the modules in `static/`; a session is a cookie that no
script can read. Whatever comes from a user is escaped by the templates, or put in as text by the modules.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from recsweep.common.files import dump_yaml, to_plain
from recsweep.service.asked import JobId
from recsweep.service.auth import SESSION, SESSION_SECONDS, TOKEN, Role
from recsweep.service.body import read_object
from recsweep.service.form import sections
from recsweep.service.guard import Reader, role_of_page, session_for
from recsweep.service.jobs import NoSuchJob
from recsweep.service.service import Service, TheService
from recsweep.service.states import JobStatus
from recsweep.service.sweep_of import known_names
from recsweep.service.views import trial_rows

router = APIRouter(include_in_schema=False)
_HERE = Path(__file__).parent
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def _static() -> dict[str, Path]:
    """The files that anybody is given, by name."""
    return {path.name: path for path in (_HERE / "static").iterdir() if path.suffix in _KINDS}


@cache
def _templates() -> jinja2.Environment:
    """The templates, which escape whatever is put in."""
    loader = jinja2.FileSystemLoader(_HERE / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def _page(name: str, role: Role | None, values: Mapping[str, Any], status: int = 200) -> Response:
    html = _templates().get_template(f"{name}.html").render(values, role=role.value if role else "")
    return HTMLResponse(html, status, {"Content-Security-Policy": _POLICY})


def _for_session(request: Request, service: Service, make: Callable[[Role], Response]) -> Response:
    """A page for who has shown a token, and the way to show one for others."""
    role = role_of_page(request, service)
    return RedirectResponse("/login", HTTPStatus.SEE_OTHER) if role is None else make(role)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A style or a module: the same for everybody."""
    path = _static().get(name)
    if path is None:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return FileResponse(path, media_type=_KINDS[path.suffix], headers={"Cache-Control": "no-cache"})


@router.get("/login")
def login_page(request: Request, service: TheService) -> Response:
    """Where a token is shown."""
    return _page("login", None, {"token": TOKEN, "file": service.tokens.file})


@router.post("/login")
async def login(request: Request, service: TheService) -> Response:
    """A session for a token."""
    token = read_object(await request.body()).get("token")
    made = session_for(request, service, token if isinstance(token, str) else "")
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    answer.set_cookie(
        SESSION, made, max_age=SESSION_SECONDS, path="/", secure=secure, httponly=True, samesite="strict"
    )
    return answer


@router.post("/logout")
def logout() -> Response:
    """The end of a session, in this browser."""
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict")
    return answer


@router.get("/")
def jobs_page(request: Request, service: TheService) -> Response:
    """The jobs with their states."""
    states = [status.value for status in JobStatus]
    return _for_session(request, service, lambda role: _page("jobs", role, {"states": states}))


@router.get("/new")
def new_page(request: Request, service: TheService) -> Response:
    """The form that makes a job."""
    names = {kind: known_names(kind, service.config) for kind in ("models", "datasets")}
    return _for_session(request, service, lambda role: _page("new", role, {"sections": sections(), **names}))


@router.get("/jobs/{job_id}")
def job_page(request: Request, service: TheService, job_id: str) -> Response:
    """One job, live."""

    def page(role: Role) -> Response:
        try:
            job = service.jobs.get(job_id)
        except NoSuchJob:
            return _page("missing", role, {"job": job_id[:64]}, HTTPStatus.NOT_FOUND)
        asked = to_plain(dict(job.request))
        return _page("job", role, {"job": job, "yaml": dump_yaml(asked), "curl": _curl(request, asked)})

    return _for_session(request, service, page)


def _curl(request: Request, asked: dict[str, Any]) -> str:
    """The command that makes the same job. The token stays in the environment."""
    url = shlex.quote(f"{request.url.scheme}://{request.url.netloc}/api/tuning/jobs")
    body = shlex.quote(json.dumps(asked, ensure_ascii=False))
    return (
        f'curl -X POST {url} -H "Authorization: Bearer ${TOKEN}" \\\n'
        f"  -H 'Content-Type: application/json' -d {body}\n"
    )


@router.get("/jobs/{job_id}/scores", dependencies=[Reader])
def scores(service: TheService, job_id: JobId) -> Response:
    """The scores of all trials that have one, study by study and slot by slot."""
    rows = trial_rows(service.jobs.studies(service.jobs.get(job_id)))
    found = [row.outcome.score for row in rows if row.outcome.counted]
    return JSONResponse({"scores": [one for one in found if one is not None and math.isfinite(one)]})


@router.get("/jobs/{job_id}/importance", dependencies=[Reader])
def importance(service: TheService, job_id: JobId) -> Response:
    """How much each parameter decides, study by study; and why that cannot be said of others."""
    return JSONResponse({"studies": service.weights.of(service.jobs.get(job_id))})
