"""A process that has imported all that a worker needs, and becomes one in a few milliseconds by a fork.

Its parent (`templates.py`) holds the other end of a socket pair, sends it the ends of a new worker's pipes,
and is told the worker's number and later how it ended. The template trains nothing, opens nothing and has one
thread; it ends with its parent, and the kernel ends its workers with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from recsweep.common.interrupts import leave_to_parent
from recsweep.common.masking import mask_traceback
from recsweep.common.owner import Owner
from recsweep.common.surroundings import end_with
from recsweep.recbole_api import lazy

_NEEDED = (
    "recsweep.running.worker",
    "recsweep.search.engines.hyperopt_",
    "recsweep.search.engines.optuna_",
    "hyperopt.early_stop",
    "pandas.io.formats.string",
    "torch.utils.serialization",
)
"""All that a worker has imported when its first trial is done, whichever study that is of."""
_ALLOCATOR = "JE_ARROW_MALLOC_CONF"
"""Settings of pyarrow's allocator, which pandas loads with it: it would start a thread, that no fork has."""
_MORE_LIKELY = 100
"""By how many thousandths of the memory a worker looks larger to the kernel where memory runs out."""


@dataclass(frozen=True)
class Start:
    """The surroundings that a worker takes over of its supervisor, as they are when the worker is started."""

    parent: Owner
    environment: dict[str, str] = field(repr=False)
    folder: str
    umask: int
    path: list[str]
    argv: list[str]
    threads: int

    def take_over(self) -> None:
        """Make this process as if the supervisor had started it just now."""
        os.environ.clear()
        os.environ.update(self.environment)
        time.tzset()
        os.umask(self.umask)
        os.chdir(self.folder)
        sys.path[:], sys.argv[:] = self.path, self.argv
        importlib.invalidate_caches()
        tempfile.tempdir = None
        _draw_anew()
        _compute_with(self.threads)
        _be_found_first()


def main(control: int) -> None:
    """The life of the template.

    Args:
        control: its end of a socket pair; each byte from there is a worker, with the ends of two pipes.
    """
    leave_to_parent()
    os.chdir("/")  # no folder of the user's is held
    gc.disable()
    os.environ[_ALLOCATOR] = "background_thread:false"
    lazy.load_torch()
    for name in _NEEDED:
        importlib.import_module(name)
    _import_recbole()
    gc.freeze()  # what is shared stays so: no collection of a worker writes to it
    _Nursery(socket.socket(fileno=control)).serve()


def _import_recbole() -> None:
    from recsweep.recbole_api import compat

    compat.apply()


class _Nursery:
    """Forks workers as they are asked for, and tells how each of them ended.

    Args:
        control: the end of the socket pair.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._woken, self._wake = os.pipe()
        self._workers: dict[int, Connection] = {}

    def serve(self) -> None:
        """Go on until the parent is gone; the kernel ends the workers then."""
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake)
        control = self._control.fileno()
        while True:
            ready, _, _ = select.select([control, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._tell_the_dead()
            if control in ready and not self._fork():
                return

    def _fork(self) -> bool:
        """A worker more; False where nobody is left to ask for any."""
        asked, pipes, _, _ = socket.recv_fds(self._control, 1, 2)
        if not asked:
            return False
        template = os.getpid()
        if (worker := os.fork()) == 0:
            self._leave(pipes[1])
            _live(Connection(pipes[0]), template)
        os.close(pipes[0])
        self._workers[worker] = Connection(pipes[1], readable=False)
        self._tell(worker, worker)
        return True

    def _leave(self, status: int) -> None:
        """In a worker: what is the template's is closed, so that its end is seen by all."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for number in (self._woken, self._wake, status):
            os.close(number)
        for other in self._workers.values():
            other.close()

    def _tell_the_dead(self) -> None:
        while self._workers:
            worker, status = os.waitpid(-1, os.WNOHANG)
            if worker == 0:
                return
            self._tell(worker, os.waitstatus_to_exitcode(status))
            self._workers.pop(worker).close()

    def _tell(self, worker: int, number: int) -> None:
        with suppress(OSError):  # it was let go, and nobody asks any more
            self._workers[worker].send(number)


def _live(pipe: Connection, template: int) -> NoReturn:
    """A worker's life, from its fork to its last line."""
    code = 1
    try:
        start: Start = pipe.recv()
        die_with(template, start.parent)
        start.take_over()
        main, arguments = pipe.recv()
        gc.enable()
        main(pipe, *arguments)
        code = 0
    except BaseException as error:  # whatever it is, this process goes no further up than here
        sys.stderr.write(mask_traceback(error))
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def die_with(starter: int, owner: Owner) -> None:
    """End when the process that started this one ends, or the one that answers for it, however they ended."""
    end_with(starter, lambda: os._exit(1), unless=lambda: owner.alive() is False)


def _draw_anew() -> None:
    """Workers of one template share no random numbers; Python's own generator does so by itself."""
    import numpy as np

    np.random.seed()


def _compute_with(threads: int) -> None:
    """The number of threads of BLAS, which the template has loaded with one; torch's is set by the worker."""
    if threads > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads, user_api="blas")


def _be_found_first() -> None:
    """Where memory runs out, the kernel is to end a worker, and not what others are forked from."""
    own = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        own.write_text(str(min(1000, int(own.read_text()) + _MORE_LIKELY)))
