"""`recsweep serve`: the app on an address, by uvicorn, with its job workers beside it."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import FrameType

import uvicorn

from recsweep.common.collector import settled
from recsweep.common.errors import UserError
from recsweep.common.files import counted
from recsweep.common.masking import mask
from recsweep.service.app import PREFIX, make_app
from recsweep.service.auth import TOKEN, Tokens, is_local, require_safe, tokens_of
from recsweep.service.job_processes import JobProcesses
from recsweep.service.jobs import Jobs
from recsweep.service.limits import Limits
from recsweep.service.runner import Where
from recsweep.service.service import Service

Tell = Callable[[str], None]
PATIENCE_SECONDS = 5.0
"""How long a request waits for a store that is away, before it is answered with 503."""
_ENDS_WITHIN_SECONDS = 5
"""How long requests have to end when the server ends."""
_BACKLOG = 512


@dataclass(frozen=True)
class ServiceSetup(Where):
    """The places of a service that starts job workers beside it.

    Attributes:
        max_running_jobs: over all job workers.
    """

    max_running_jobs: int | None = None

    def command(self) -> list[str]:
        """The command of a job worker; the store's address goes by the environment."""
        words = ["job-worker", f"--config={self.config / 'config.yaml'}", f"--outputs={self.outputs}"]
        more = self.max_running_jobs
        return [*words, *([f"--max-running-jobs={more}"] if more is not None else [])]

    def environment(self) -> dict[str, str]:
        """The part that a job worker is told by the environment."""
        return {"RECSWEEP_STORAGE": self.store.reveal()}


def serve(
    setup: ServiceSetup, host: str, port: int, job_workers: int, limits: Limits, *, tell: Tell, aside: Tell
) -> None:
    """Serve until Ctrl-C or SIGTERM; then streams are closed, requests answered, and job workers ended.

    Args:
        port: 0 takes any free one.
        job_workers: how many are started.
        tell: takes the lines that say where it is, once it answers there.
        aside: takes what else there is to say.

    Raises:
        UserError: the address cannot be served from, or not with such a token.
    """
    tokens = tokens_of(setup.outputs)
    require_safe(host, tokens)
    _mask_the_log(aside)
    with closing(Jobs(setup.store, PATIENCE_SECONDS, aside)) as jobs, _bound(host, port) as bound:
        service = Service(jobs, tokens, setup.config, setup.outputs, limits)
        processes = JobProcesses(setup.command(), setup.environment(), job_workers, aside)
        server = _Server(service, lambda: _say_where(bound, host, tokens, job_workers, tell))
        processes.start()
        try:
            server.run(sockets=[bound])
        except KeyboardInterrupt:
            tell("the service ends; no trial is lost")
        finally:
            service.closing.set()
            processes.end()


class _Server(uvicorn.Server):
    """uvicorn, which tells when it answers, and tells streams when it ends."""

    def __init__(self, service: Service, started: Callable[[], None]) -> None:
        self._service, self._tell_started = service, started
        super().__init__(
            uvicorn.Config(
                make_app(service),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=_ENDS_WITHIN_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        settled()
        self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal that ends the server ends the streams of events: they would go on for ever."""
        self._service.closing.set()
        super().handle_exit(sig, frame)


def _say_where(bound: socket.socket, host: str, tokens: Tokens, job_workers: int, tell: Tell) -> None:
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{bound.getsockname()[1]}"
    tell(f"recsweep serves: open {address}/ in a browser (Ctrl-C ends it)")
    if tokens.file is None:
        tell(f"the token is that of {TOKEN}")
    else:
        tell(f"the token is in {tokens.file}, which only you can read")
    bearer = f"$(cat {tokens.file})" if tokens.file else f"${TOKEN}"
    tell(f'for programs: curl -H "Authorization: Bearer {bearer}" {address}{PREFIX}/jobs')
    told = counted(job_workers, "job worker")
    tell(
        f"{told} beside it" if job_workers else "no job worker beside it: start some by `recsweep job-worker`"
    )
    if not is_local(host):
        tell(
            "it speaks plain HTTP: tokens can be read on the way; put a proxy with TLS in front "
            "(docs/how-to/service.md)"
        )


def _bound(host: str, port: int) -> socket.socket:
    """A socket on an address.

    Raises:
        UserError: it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
    except OSError as error:
        taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
        advice = (
            "another port with --port, or 0 for any free one"
            if taken
            else "an address of this machine with --host"
        )
        raise UserError(
            f"cannot serve on {host} port {port}; {error.strerror or error}; give {advice}"
        ) from None
    made.set_inheritable(False)
    return made


class _Masked(logging.Handler):
    """The words of uvicorn, without secrets."""

    def __init__(self, aside: Tell) -> None:
        super().__init__(logging.WARNING)
        self._aside = aside

    def emit(self, record: logging.LogRecord) -> None:
        """Say one thing."""
        self._aside(mask(self.format(record)))


def _mask_the_log(aside: Tell) -> None:
    log = logging.getLogger("uvicorn.error")
    log.handlers, log.propagate = [_Masked(aside)], False
