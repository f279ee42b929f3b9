"""Real processes of `recsweep` that need no start: forks of one that has imported what a command needs.

Each is a process with a number, a folder, an environment, streams, signals and an exit code of its own. Its
workers come from a template as ever, which is itself a fork of one that this test run has started. What is
said of imports, of the environment that libraries read when they are loaded, or of a whole process group
needs a command that is started afresh.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from recsweep.common.interrupts import leave_to_parent
from recsweep.common.owner import this_process
from recsweep.running import template, templates
from recsweep.running.template import Start
from recsweep.running.templates import Forked, Template, worker_environment

ROOT = Path(__file__).parents[2]
_PLACES = [str(ROOT / "src"), str(ROOT / "tests")]
_LIGHT = (
    *("recsweep.cli.commands", "recsweep.api.sweep_run", "recsweep.running.supervisor", "recsweep.study"),
    *("recsweep.search.starts", "recsweep.report.summary", "recsweep.report.study_files"),
    *("recsweep.report.pareto", "recsweep.report.results", "sqlalchemy.dialects.sqlite"),
    *("recsweep.datasets.feasible", "alembic.command", "alembic.script"),
)
"""What most commands need. None of it is torch."""
_SNAKEMAKE = (
    "snakemake.cli",
    "snakemake.workflow",
    "snakemake.dag",
    "snakemake.report",
    "requests",
    "jinja2",
)
"""What Snakemake needs before it reads a Snakefile."""
HEAVY = ("train", "prepare", "doctor", "recommend")
"""Commands that import torch themselves."""
POSSIBLE = sys.platform == "linux"
_SET_NAME = 15


class Running:
    """A command that was started, as `subprocess.Popen` has it."""

    def __init__(self, args: list[str], forked: Forked, stdout: int | None) -> None:
        self.args, self.pid = args, forked.pid
        self.stdout = None if stdout is None else os.fdopen(stdout, encoding="utf-8")
        self._forked = forked

    @property
    def returncode(self) -> int | None:
        return self._forked.exitcode

    def poll(self) -> int | None:
        return None if self._forked.is_alive() else self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._forked.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def communicate(self, timeout: float = 240.0) -> tuple[str, None]:
        """All that it says until its end."""
        assert self.stdout is not None
        late = threading.Timer(timeout, self.kill)
        late.start()
        said = self.stdout.read()
        alive = late.is_alive()
        late.cancel()
        self.wait(30)
        if not alive:
            raise subprocess.TimeoutExpired(self.args, timeout, said)
        return said, None

    def send_signal(self, number: int) -> None:
        if self._forked.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Commands(Template):
    """A process that commands are forked from, without torch; it ends with this one.

    Args:
        modules: imported besides.
    """

    def __init__(self, *modules: str) -> None:
        self._control, theirs = socket.socketpair()
        self.proven = False
        with theirs:
            code = f"from helpers import warm; warm.serve({theirs.fileno()}, *{modules})"
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_PLACES)},
                pass_fds=[theirs.fileno()],
            )


class _Lent(Template):
    """A template for workers that is forked from a template.

    Args:
        environment: of the process.
        lender: the control of that other template.
    """

    def __init__(self, environment: Mapping[str, str], lender: socket.socket) -> None:
        self._control, theirs = socket.socketpair()
        self.proven = False
        lending = Template.__new__(Template)
        lending._control = lender
        ours, pipe = Pipe()
        with theirs, ours:
            with pipe:
                self._process = _Child(lending.fork(pipe))
            ours.send(_start("/", environment))
            ours.send((_lend, (os.getpid(),)))
            _send(ours, [theirs.fileno()])


class _Child:
    """What `Template` asks of its process."""

    def __init__(self, forked: Forked) -> None:
        self._forked, self.pid = forked, forked.pid
        self.returncode = 0
        self.kill, self.wait = forked.kill, forked.join

    def poll(self) -> int | None:
        return None if self._forked.is_alive() else 0


def serve(control: int, *modules: str) -> None:
    """The life of the process that commands are forked from."""
    leave_to_parent()
    for name in (*_LIGHT, *modules):
        importlib.import_module(name)
    gc.freeze()
    template._Nursery(socket.socket(fileno=control)).serve()


@cache
def _commands(*modules: str) -> _Commands:
    commands = _Commands(*modules)
    atexit.register(commands.close)
    return commands


def _with_torch() -> Template:
    """The template of this process, for workers."""
    found = templates.TEMPLATES.get()
    assert found is not None, "this system has no templates"
    return found


def start(args: list[str], folder: Path) -> Running:
    """Start `recsweep` in a session of its own; what it says comes by one pipe.

    Args:
        args: as they are typed, without the first word.
        folder: where.
    """
    read, write = os.pipe()
    try:
        return Running(args, _fork(args, folder, write, write, _main), read)
    finally:
        os.close(write)


def run(args: list[str], folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    return _told(args, folder, seconds, _main, "-m", "recsweep")


def run_script(path: Path, folder: Path, seconds: float, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script to its end, by a process without torch that has imported most of recsweep."""
    return _told([str(path), *arguments], folder, seconds, _script)


def _told(
    args: list[str], folder: Path, seconds: float, main: Callable[[], None], *afresh: str
) -> subprocess.CompletedProcess[str]:
    if not POSSIBLE:
        command = [sys.executable, *afresh, *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)
    out, err = os.memfd_create("out"), os.memfd_create("err")
    with os.fdopen(out, encoding="utf-8") as said, os.fdopen(err, encoding="utf-8") as told:
        running = Running(args, _fork(args, folder, out, err, main), None)
        try:
            code = running.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            raise
        said.seek(0)
        told.seek(0)
        return subprocess.CompletedProcess(args, code, said.read(), told.read())


def start_into(log: int, args: list[str], folder: Path) -> Running:
    """The same for a command whose words go to a file that is open."""
    return Running(args, _fork(args, folder, log, log, _main), None)


def start_between(
    out: int, err: int, args: list[str], folder: Path, environment: Mapping[str, str], python: str = ""
) -> Running:
    """The same for one whose two streams are open, in an environment of its own.

    Args:
        python: of Snakemake's environment, where it is Snakemake and not `recsweep` that is to be started.
    """
    main = partial(_snakemake, python) if python else _main
    return Running(args, _fork(args, folder, out, err, main, environment), None)


def _fork(
    args: list[str],
    folder: Path,
    stdout: int,
    stderr: int,
    main: Callable[[], None],
    environment: Mapping[str, str] = os.environ,
) -> Forked:
    """A command; the two handles are its own streams."""
    heavy = _with_torch()
    ours, theirs = Pipe()
    with ours:
        with theirs:
            if isinstance(main, partial):
                forked = _commands(*_SNAKEMAKE).fork(theirs)
            else:
                forked = (heavy if args[0] in HEAVY else _commands()).fork(theirs)
        ours.send(_start(str(folder), environment, args))
        ours.send((_command, (_loaded_with(environment), main)))
        _send(ours, [stdout, stderr, heavy._control.fileno()])
    return forked


def template_of(parent: int) -> str:
    """The name of a process that is the template of a command."""
    return f"for-{parent}"


def _start(folder: str, environment: Mapping[str, str], args: list[str] = []) -> Start:  # noqa: B006
    main = str(ROOT / "src" / "recsweep" / "__main__.py")
    own = os.umask(0o022)
    os.umask(own)
    return Start(this_process(), dict(environment), folder, own, [*_PLACES, *sys.path], [main, *args], 1)


def _loaded_with(environment: Mapping[str, str]) -> dict[str, str]:
    """What libraries read when they are loaded."""
    return {k: v for k, v in environment.items() if k.startswith(templates._READ_AT_LOAD)}


def _command(pipe: Connection, loaded_with: dict[str, str], program: Callable[[], None]) -> NoReturn:
    """The life of a command, from its fork on."""
    out, err, lender = _receive(pipe, 3)
    pipe.close()
    os.setsid()
    for name in ("SIGHUP", "SIGQUIT", "SIGCHLD"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for handle, number in ((out, 1), (err, 2)):
        os.dup2(handle, number)
        os.close(handle)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)
    control = socket.socket(fileno=lender)

    def lent(environment: Mapping[str, str]) -> Template:
        same = _loaded_with(environment) == _loaded_with({**loaded_with, **worker_environment(1)})
        return _Lent(environment, control) if same else Template(environment)

    templates.Template = lent  # type: ignore[assignment,misc]
    _leave(_code_of(program))


def _main() -> None:
    from recsweep.cli import main

    main()


def _snakemake(python: str) -> None:
    from snakemake.cli import main

    sys.executable = python  # beside which it looks for `recsweep`
    sys.exit(main())


def _script() -> None:
    sys.argv.pop(0)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _code_of(main: Callable[[], None]) -> int:
    """The exit code of a program, as the interpreter gives it."""
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    return 0


def _leave(code: int) -> NoReturn:
    """As the interpreter ends: threads first, then what was registered, then what is still to be written."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _lend(pipe: Connection, parent: int) -> None:
    """The life of the template of a command."""
    (control,) = _receive(pipe, 1)
    pipe.close()
    os.setsid()  # its workers are a group with it
    ctypes.CDLL(None).prctl(_SET_NAME, template_of(parent).encode())
    gc.disable()
    template._Nursery(socket.socket(fileno=control)).serve()


def _send(pipe: Connection, handles: list[int]) -> None:
    with socket.socket(fileno=os.dup(pipe.fileno())) as way:
        socket.send_fds(way, [b"h"], handles)


def _receive(pipe: Connection, count: int) -> list[int]:
    with socket.socket(fileno=os.dup(pipe.fileno())) as way:
        _, handles, _, _ = socket.recv_fds(way, 1, count)
    return handles
