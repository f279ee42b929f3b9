"""The template of a process: a child that has imported all that workers need, who are forked from it.

It is a process of its own, so that the parent holds no torch. One serves for the life of its parent.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Lock

SWITCH = "RECSWEEP_TEMPLATE"
"""Environment variable: `0` starts each worker afresh."""
PATIENCE_SECONDS = 120.0
"""How long a template may take to import everything."""
# Of variables that a library reads when it is loaded: a template with other values is no use.
_READ_AT_LOAD = (
    *("MALLOC_", "GLIBC_", "LD_", "PYTHON", "LANG", "LC_", "TQDM_", "TORCH_", "PYTORCH_", "ATEN_", "NPY_"),
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "ONEDNN_", "DNNL_"),
)
# Set by Python modules that a parent may import.
_OF_MODULES = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
_TEMPLATE = "from recsweep.running import template; template.main({})"


class Forked:
    """A process that a template has forked.

    Args:
        status: tells its number, and once it has ended its exit code.

    Raises:
        EOFError: the template is gone.
    """

    def __init__(self, status: Connection) -> None:
        self.sentinel = status
        self.pid: int = status.recv()
        self.exitcode: int | None = None
        """None while it lives, and where it ended with its template."""
        self._ended = False

    def is_alive(self) -> bool:
        self.join(0)
        return not self._ended

    def kill(self) -> None:
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def join(self, timeout: float | None = None) -> None:
        if not self._ended and wait([self.sentinel], timeout):
            with suppress(EOFError, OSError):
                self.exitcode = self.sentinel.recv()
            self._ended = True


class Template:
    """The process that workers are forked from, as its parent holds it. It is not waited for here.

    Args:
        environment: of the process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        source = str(Path(__file__).parents[2])
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self.proven = False
        """True once it has forked a worker."""
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-P", "-c", _TEMPLATE.format(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**environment, "PYTHONPATH": os.pathsep.join((source, *filter(None, sys.path)))},
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, pipe: Connection) -> Forked:
        """A worker at the other end of a pipe; waits until everything is imported.

        Raises:
            OSError, EOFError: the template cannot give one.
        """
        ours, theirs = Pipe(duplex=False)
        try:
            with theirs:
                socket.send_fds(self._control, [b"w"], [pipe.fileno(), theirs.fileno()])
            if not ours.poll(PATIENCE_SECONDS):
                raise TimeoutError("the template does not answer")
            forked = Forked(ours)
        except BaseException:
            ours.close()
            raise
        self.proven = True
        return forked

    def close(self) -> None:
        """End it; its workers end with it."""
        self._control.close()
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """In a fork of the parent, whose template it is not."""
        self._control.close()
        self._process.returncode = 0


class _Templates:
    """The templates of this process: one for each environment that libraries were loaded in."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_environment: dict[frozenset[tuple[str, str]], Template] = {}
        self._useless: set[frozenset[tuple[str, str]]] = set()
        self._begun = False

    def get(self) -> Template | None:
        """The template for the environment as it is, started where there is none; None: there can be none."""
        if sys.platform != "linux" or os.environ.get(SWITCH) == "0":
            return None
        environment = {**os.environ, **worker_environment(1)}
        key = _at_load(environment)
        with self._lock:
            found = self._by_environment.get(key)
            if found is not None and not found.alive:
                self._drop(key)
                found = None
            if found is None and key not in self._useless:
                self._begin()
                with suppress(OSError):
                    found = self._by_environment[key] = Template(environment)
            return found

    def give_up(self, template: Template) -> None:
        """It has not given a worker; one that never did is not tried again."""
        with self._lock:
            for key in [key for key, held in self._by_environment.items() if held is template]:
                self._drop(key)

    def _drop(self, key: frozenset[tuple[str, str]]) -> None:
        template = self._by_environment.pop(key)
        template.close()
        if not template.proven:
            self._useless.add(key)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            atexit.register(self.close)
            os.register_at_fork(after_in_child=self._forget)

    def end_unused(self) -> None:
        """End those that have forked no worker yet."""
        with self._lock:
            for key in [key for key, held in self._by_environment.items() if not held.proven]:
                self._by_environment.pop(key).close()

    def close(self) -> None:
        """End them all."""
        with self._lock:
            for template in self._by_environment.values():
                template.close()
            self._by_environment.clear()

    def _forget(self) -> None:
        self._lock = Lock()
        for template in self._by_environment.values():
            template.forget()
        self._by_environment.clear()


TEMPLATES = _Templates()
"""Those of this process."""


def _at_load(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """The part of an environment that libraries have read once they are loaded."""
    names = [name for name in environment if name.startswith(_READ_AT_LOAD) and name not in _OF_MODULES]
    return frozenset((name, environment[name]) for name in names)


def worker_environment(threads: int) -> dict[str, str]:
    """The environment that a worker's libraries read when loaded; what the user has set stays as it is.

    None of it changes a result. Threads are counted out, so that workers do not fight for cores.
    OpenMP's idle threads spin by default; where another process wants the core, that slows small
    models many times, so they sleep at once. The
    allocator keeps what it has got: large tensors come and go with every batch, and pages that are
    given back have to be cleared again.
    """
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    defaults = {
        "GOMP_SPINCOUNT": "0",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(32 << 30),
    }
    own = {name: value for name, value in defaults.items() if name not in os.environ}
    return {**count, **own, "TQDM_DISABLE": "1"}
