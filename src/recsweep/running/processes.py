"""Worker processes: forked from a template that has imported all they need, or started afresh by `spawn`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from recsweep.common.files import umask
from recsweep.common.owner import Owner, this_process
from recsweep.common.surroundings import variables
from recsweep.running.template import Start, die_with
from recsweep.running.templates import TEMPLATES, worker_environment


class Process(Protocol):
    """A worker process, as `multiprocessing` has it."""

    @property
    def pid(self) -> int | None: ...
    @property
    def sentinel(self) -> Any:
        """For `multiprocessing.connection.wait`: ready once it has ended."""

    @property
    def exitcode(self) -> int | None: ...
    def is_alive(self) -> bool: ...
    def kill(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...


def start(main: Callable[..., None], arguments: tuple[Any, ...], threads: int) -> tuple[Process, Connection]:
    """A process that runs a function, and this end of the pipe to it.

    Args:
        main: takes the other end of the pipe, and the arguments.
        threads: with which it computes.
    """
    ours, theirs = Pipe()
    with theirs:
        if (source := TEMPLATES.get()) is not None:
            try:
                process = source.fork(theirs)
            except (
                OSError,
                EOFError,
            ):  # killed, or without what it imports: a worker will say
                TEMPLATES.give_up(source)
            else:
                with suppress(OSError):  # it died meanwhile; its sentinel tells
                    ours.send(_start(threads))
                    ours.send((main, arguments))
                return process, ours
        return _spawn(main, theirs, arguments, threads), ours


def _start(threads: int) -> Start:
    return Start(
        this_process(),
        {**os.environ, **worker_environment(threads)},
        str(Path.cwd()),
        umask(),
        list(sys.path),
        list(sys.argv),
        threads,
    )


def _spawn(main: Callable[..., None], pipe: Connection, arguments: tuple[Any, ...], threads: int) -> Process:
    parts = (pipe, main, arguments)
    process = get_context("spawn").Process(target=_spawned, args=(this_process(), *parts), daemon=True)
    with _without_main_module(), variables(worker_environment(threads)):
        process.start()
    return process


def _spawned(parent: Owner, pipe: Connection, main: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """The life of a worker that was started afresh."""
    die_with(parent.pid, parent)
    main(pipe, *arguments)


@contextmanager
def _without_main_module() -> Iterator[None]:
    """A spawned process would import the parent's main script again; our workers need none of it."""
    main = sys.modules["__main__"]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    main.__spec__ = None
    if path is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if path is not None:
            main.__file__ = path
