"""Errors as problem+json (RFC 9457): what is wrong, with which field and value, and how to fix it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from recsweep.common.errors import RecsweepError, SweepPaused, UserError
from recsweep.common.masking import mask, mask_traceback
from recsweep.service.examples import ERRORS
from recsweep.service.jobs import KeyTaken, NoSuchJob
from recsweep.service.refusals import NOTHING, Mistake, Refused
from recsweep.service.states import WrongTransition
from recsweep.sweeps.documents import short_value

MEDIA = "application/problem+json"


class FieldProblem(BaseModel):
    """One mistake."""

    field: str
    problem: str
    fix: str
    value: str | None = None


class Problem(BaseModel):
    """An error. `field`, `value` and `fix` are those of the first mistake; `errors` has all of them."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    value: str | None = None
    fix: str | None = None
    errors: list[FieldProblem] | None = None
    state: str | None = None
    allowed: list[str] | None = None


class Trouble(Exception):
    """An answer that is an error, with what a client needs to go on.

    Args:
        status: of HTTP.
        detail: one sentence.
        fix: what to do.
        field: of the request: a header, a parameter, a key.
        retry_after: seconds.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        fix: str,
        field: str | None = None,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.fix, self.field = status, detail, fix, field
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))

    def response(self) -> Response:
        """The answer."""
        return problem(self.status, self.detail, self.headers, field=self.field, fix=self.fix)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, /, **more: Any) -> Response:
    """The answer to an error; what it quotes holds no secret."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    rest = {"detail": mask(detail), **{name: value for name, value in more.items() if value is not None}}
    return JSONResponse({**body, **rest}, status, headers, MEDIA)


def _of_mistakes(mistakes: tuple[Mistake, ...]) -> Response:
    errors = [
        {"field": _text(one.field), "problem": _text(one.problem), "fix": _text(one.fix), "value": one.shown}
        for one in mistakes
    ]
    first = errors[0]
    detail = f"{first['field']}: {first['problem']}; {first['fix']}"
    facts = {name: first[name] for name in ("field", "value", "fix")}
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, None, errors=errors, **facts)


def _text(text: str) -> str:
    """Without halves of surrogate pairs, which no answer can hold, and without secrets."""
    return mask(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _refused(request: Request, error: Exception) -> Response:
    return _of_mistakes(error.mistakes if isinstance(error, Refused) else ())


def _validation(request: Request, error: Exception) -> Response:
    """A parameter of the path or the query, or a header."""
    if not isinstance(error, RequestValidationError):
        raise error
    mistakes = []
    for one in error.errors():
        field = str(one["loc"][-1])
        value = one.get("input", NOTHING)
        mistakes.append(Mistake(field, str(one["msg"]), "correct the value", value))
    return _of_mistakes(tuple(mistakes))


def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail, fix = (
            f"there is nothing at {short_value(request.url.path)}",
            "see /openapi.json for what there is",
        )
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail, fix = f"{request.method} is not for {short_value(request.url.path)}", "see the header Allow"
    else:
        detail, fix = str(error.detail), "correct the request"
    return problem(error.status_code, detail, error.headers, fix=fix)


def _recsweep(request: Request, error: Exception) -> Response:
    """Our own errors: those of a user, of a store that is away, and bugs."""
    text = str(error)
    if isinstance(error, WrongTransition):
        return problem(
            HTTPStatus.CONFLICT, text, state=error.status.value, allowed=error.allowed, field="status"
        )
    if isinstance(error, NoSuchJob):
        return problem(HTTPStatus.NOT_FOUND, text, field="job_id", fix="ask for the list of jobs")
    if isinstance(error, KeyTaken):
        return _of_mistakes((Mistake("Idempotency-Key", *_two(text)),))
    if isinstance(error, SweepPaused):
        detail = "the store cannot be reached or written now"
        sys.stderr.write(f"recsweep: {text}\n")
        return Trouble(HTTPStatus.SERVICE_UNAVAILABLE, detail, "try again later", retry_after=5).response()
    if isinstance(error, UserError):
        return _of_mistakes((Mistake("body", *_two(text)),))
    return unexpected(request, error)


def _two(text: str) -> tuple[str, str]:
    """A problem and its fix."""
    what, _, how = text.rpartition("; ")
    return what or how, how


def unexpected(request: Request, error: Exception) -> Response:
    """A bug of ours: told in full where the service runs, and to nobody else."""
    sys.stderr.write(mask_traceback(error))
    detail = "something went wrong in the service, and was written to its log"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, fix="report it to whoever runs the service")


def add_handlers(app: FastAPI) -> None:
    """Make every error of an app a problem."""
    handlers: dict[type[Exception], Callable[[Request, Exception], Response]] = {
        Refused: _refused,
        RequestValidationError: _validation,
        HTTPException: _http,
        RecsweepError: _recsweep,
        Trouble: lambda request, error: (
            error.response() if isinstance(error, Trouble) else unexpected(request, error)
        ),
        Exception: unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


_WORDS = {
    401: "No token, a wrong one, or a session that is over",
    403: "The token may look only",
    404: "There is no such thing",
    409: "Not in this state; `allowed` has what can be done now",
    413: "The body is too large",
    415: "The body is no JSON",
    422: "Something in the request is wrong; `errors` names each field",
    429: "Too much at once; see Retry-After",
    503: "The store cannot be reached; see Retry-After",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for the OpenAPI document; those of every route are among them."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": _WORDS[status],
            "content": {MEDIA: {"schema": schema, "example": ERRORS[status]}},
        }
        for status in sorted({401, 429, 503, *statuses})
    }


__all__ = ["FieldProblem", "Problem", "Trouble", "add_handlers", "errors", "problem"]
