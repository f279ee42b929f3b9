"""`recsweep dashboard`: Optuna's dashboard on the store. The only importer of optuna-dashboard."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from recsweep.common.address import StoreAddress
from recsweep.common.errors import UserError
from recsweep.common.masking import MaskedErrors
from recsweep.common.paths import is_made
from recsweep.recbole_api.lazy import deferred
from recsweep.study import Store

with deferred("sklearn.ensemble"):  # for a picture that somebody may look at: more than half of the start
    import optuna_dashboard  # type: ignore[import-untyped]

_LOCAL = ("127.0.0.1", "::1", "localhost")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerOverIPv6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    """No line for each request: standard error is for what a person has to know."""

    def log_message(self, *args: Any) -> None:
        pass

    def get_stderr(self) -> Any:
        """Where the server and the dashboard print tracebacks: one may quote the address of the store."""
        return MaskedErrors()


def serve(
    url: StoreAddress,
    host: str,
    port: int,
    tell: Callable[[str], None],
    aside: Callable[[str], None] | None = None,
) -> None:
    """Serve the dashboard of a store until Ctrl-C.

    Args:
        url: address of the store.
        port: 0 takes any free one.
        tell: takes the line with the address, once the dashboard answers there.
        aside: takes what the store has to say.

    Raises:
        UserError: there is no such store, or the address cannot be served from.
    """
    if not is_made(url):
        raise UserError(
            f"there is no store {url.file} yet; run `recsweep tune` first, or name one with --storage"
        )
    store = Store(url, tell=aside)
    try:
        with _bind(optuna_dashboard.wsgi(store.optuna_storage), host, port) as server:
            name = f"[{host}]" if ":" in host else host
            tell(f"dashboard on http://{name}:{server.server_port}/ (Ctrl-C ends it)")
            if host not in _LOCAL:
                tell(f"whoever reaches {name} can read, change and delete the studies there")
            server.serve_forever()
    except KeyboardInterrupt:
        tell("the dashboard has ended; the store is as it was left")
    finally:
        store.close()


def _bind(app: Any, host: str, port: int) -> WSGIServer:
    try:
        server = _ServerOverIPv6 if ":" in host else _Server
        return make_server(host, port, app, server_class=server, handler_class=_Quiet)
    except OSError as error:
        raise UserError(
            f"cannot serve on {host} port {port}; {error.strerror or error}; {_advice(error)}"
        ) from None


def _advice(error: OSError) -> str:
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return "give another one with --port, or 0 for any free one"
    return "give an address of this machine with --host"
