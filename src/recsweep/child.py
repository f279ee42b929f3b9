"""A worker process from its first line to its last, as its supervisor starts it.

torch is imported only after its settings are made, and never in the parent, which imports this file.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

from recsweep import errors
from recsweep.errors import RecsweepError, UserError, disk_trouble
from recsweep.events import Broken, Event
from recsweep.owner import Owner


def child_main(pipe: Connection, parent: Owner, log: str, threads: int) -> None:
    """A worker process from its first line to its last. Imports torch only after its settings."""
    _die_with(parent.pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _redirect(log)
    try:
        import torch
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # its own would be a semaphore that outlives a killed worker

        torch.set_num_threads(threads)
        _serve(pipe, replace(parent, worker=os.getpid()))
    except Exception as caught:
        error = disk_trouble(caught) or caught
        if not isinstance(error, RecsweepError):
            traceback.print_exc()
            message = f"{type(error).__name__}: {error} (traceback in {log})"
        else:
            message = str(error)
        kind = type(error).__name__ if isinstance(error, RecsweepError) else "bug"
        pipe.send(Broken(kind, message))


def _serve(pipe: Connection, owner: Owner) -> None:
    from recsweep.worker import Worker

    send: Callable[[Event], None] = pipe.send
    worker = Worker(owner, send, lambda: False)
    while True:
        try:
            operation, plan = pipe.recv()
        except EOFError:
            return
        if operation == "search":
            worker.search(plan)
        elif operation == "evaluate":
            worker.evaluate(plan)


def _redirect(log: str) -> None:
    """What RecBole and HyperOpt print goes to the worker's log."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


def _die_with(parent: int) -> None:
    """End when the parent ends, however it ended."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def error_of(kind: str, message: str) -> Exception:
    """A worker's error on this side; one about input carries its place in its message already."""
    error = getattr(errors, kind, None)
    if not (isinstance(error, type) and issubclass(error, RecsweepError)):
        return RecsweepError(message)
    return UserError(message) if issubclass(error, errors.InputError) else error(message)
