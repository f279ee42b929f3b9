"""The guards of the routes: who asks, whether that is allowed, and how often."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from recsweep.service.auth import READ_TOKEN, SESSION, TOKEN, Role
from recsweep.service.limits import Rate
from recsweep.service.problems import Trouble
from recsweep.service.service import Service, TheService

_bearer = HTTPBearer(auto_error=False, description=f"The token of {TOKEN}, or of {READ_TOKEN} to look only.")
_SAFE = ("GET", "HEAD", "OPTIONS")


async def reader(
    request: Request,
    service: TheService,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Role:
    """Somebody who may look: a bearer of a token, or a page's session."""
    role, caller = _of_header(service, credentials) or _of_cookie(request, service) or (None, "")
    if role is None:
        raise _unknown(request, service)
    _not_too_often(service.rate, caller, "Authorization")
    return role


async def writer(role: Annotated[Role, Depends(reader)]) -> Role:
    """Somebody who may change things."""
    if role is not Role.WRITE:
        raise Trouble(
            HTTPStatus.FORBIDDEN, "this token may look only", f"send the token of {TOKEN}", "Authorization"
        )
    return role


def _of_header(service: Service, given: HTTPAuthorizationCredentials | None) -> tuple[Role, str] | None:
    if given is None:
        return None
    role = service.tokens.role_of(given.credentials)
    return None if role is None else (role, f"bearer {hash(given.credentials)}")


def _of_cookie(request: Request, service: Service) -> tuple[Role, str] | None:
    """The role of a page's session. It comes by itself: what changes things must come from our pages."""
    cookie = request.cookies.get(SESSION)
    role = service.tokens.role_of_session(cookie) if cookie else None
    if role is None:
        return None
    if request.method not in _SAFE and not same_origin(request):
        raise Trouble(
            HTTPStatus.FORBIDDEN, "the request comes from another site", "use the service's pages", "Origin"
        )
    return role, f"session {hash(cookie)}"


def role_of_page(request: Request, service: Service) -> Role | None:
    """The role of who opens a page; None for somebody who has to show a token first."""
    cookie = request.cookies.get(SESSION)
    return service.tokens.role_of_session(cookie) if cookie else None


def session_for(request: Request, service: Service, token: str) -> str:
    """The value of the cookie of somebody who shows a token.

    Raises:
        Trouble: it is none of ours, or comes from another site.
    """
    if not same_origin(request):
        raise Trouble(HTTPStatus.FORBIDDEN, "the request comes from another site", "use its page", "Origin")
    role = service.tokens.role_of(token)
    if role is None:
        raise _unknown(request, service)
    return service.tokens.session(role)


def same_origin(request: Request) -> bool:
    """True where a request comes from a page of ours."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site") in ("same-origin", "none")
    return urlsplit(origin).netloc == request.headers.get("host")


def _unknown(request: Request, service: Service) -> Trouble:
    _not_too_often(service.guesses, request.client.host if request.client else "", "Authorization")
    return Trouble(
        HTTPStatus.UNAUTHORIZED,
        "there is no token, a wrong one, or a session that is over",
        f'send "Authorization: Bearer …" with the token of {TOKEN}, or of the file that the service names',
        "Authorization",
        headers={"WWW-Authenticate": 'Bearer realm="recsweep"'},
    )


def _not_too_often(rate: Rate, caller: str, field: str) -> None:
    wait = rate.wait(caller)
    if wait:
        raise Trouble(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too many requests in this minute",
            "ask less often",
            field,
            retry_after=wait,
        )


Reader = Depends(reader)
Writer = Depends(writer)
