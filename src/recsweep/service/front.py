"""The front of the service, before any route: the size of a request, its seconds, bugs."""

from __future__ import annotations

import time
from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recsweep.service.problems import Trouble, unexpected
from recsweep.service.service import Service

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_NOT_KEPT = (b"cache-control", b"no-store")
_STREAM = b"text/event-stream"


class Front:
    """The outermost part of the app that is ours.

    Args:
        app: the rest of it.
        service: whose limits hold, and which counts requests.
        prefix: of the routes that are no pages; FastAPI knows a route by the rest of its path.
    """

    def __init__(self, app: ASGIApp, service: Service, prefix: str) -> None:
        self._app, self._service, self._prefix = app, service, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        began = time.monotonic()
        try:
            await self._app(scope, self._limited(scope, receive), answer.send)
        except Trouble as trouble:
            await answer.fail(trouble.response(), scope, receive)
        except Exception as error:
            await answer.fail(unexpected(Request(scope), error), scope, receive)
        finally:
            took = None if answer.is_stream else time.monotonic() - began
            self._service.requests.note(self._route(scope), _method(scope), answer.status, took)

    def _route(self, scope: Scope) -> str:
        """The path of the route that answered, with its parameters' names."""
        path = getattr(scope.get("route"), "path", "")
        below = scope["path"].startswith(self._prefix) and not path.startswith(self._prefix)
        return f"{self._prefix}{path}" if path and below else path or "none"

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """The body of a request, refused where it says that it is too large, or turns out to be."""
        most, read = self._service.limits.body_bytes, 0
        said = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Trouble(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {most:,} bytes",
            "send a smaller one",
            "body",
            headers={"Connection": "close"},
        )

        async def limited() -> Message:
            nonlocal read
            if said.isdigit() and int(said) > most:
                raise too_large
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise too_large
            return message

        return limited


class _Answer:
    """An answer, as it goes out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.is_stream = False

    async def send(self, message: Message) -> None:
        """Hand on a part of the answer; the first one gets our headers."""
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            names = {name for name, _ in headers}
            kept = () if b"cache-control" in names else (_NOT_KEPT,)
            self.is_stream = any(
                value.startswith(_STREAM) for name, value in headers if name == b"content-type"
            )
            self.status = message["status"]
            message = {**message, "headers": [*headers, *_HEADERS, *kept]}
        await self._send(message)

    async def fail(self, response: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Answer with an error, where nothing was answered yet."""
        if not self.status:
            await response(scope, receive, self.send)


def _method(scope: Scope) -> str:
    """The method; one that nobody knows is not kept as a label."""
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in methods else "other"
