"""What worker processes of the tests do: they say what they are, wait, or break. Imports nothing large."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from recsweep.running.child import Inbox, breaking_told


def answering(pipe: Connection, question: str) -> None:
    """Answers, and waits for the pipe's end."""
    pipe.send(_ANSWERS[question]())
    Inbox(pipe).next()


def waiting(pipe: Connection, *_: Any) -> None:
    """Waits for the pipe's end."""
    Inbox(pipe).next()


def breaking(pipe: Connection, parent: Any, log: str, *_: Any) -> None:
    """Breaks as a worker does whose library is not there."""
    with breaking_told(pipe, log):
        import no_such_module  # noqa: F401


def _torch() -> dict[str, Any]:
    import psutil
    import threadpoolctl
    import torch

    torch.set_num_threads(2)  # as `child` does
    pools = threadpoolctl.threadpool_info()
    return {
        "threads of the template": psutil.Process(os.getppid()).num_threads(),
        "bad fork": torch.cuda._is_in_bad_fork(),
        "torch": torch.get_num_threads(),
        "openmp": min(pool["num_threads"] for pool in pools if pool["user_api"] == "openmp"),
        "blas": min(pool["num_threads"] for pool in pools if pool["user_api"] == "blas"),
    }


def _surroundings() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "umask": mask,
        "path": list(sys.path),
        "command line": Path("/proc/self/cmdline").read_text()
        + Path(f"/proc/{os.getppid()}/cmdline").read_text(),
        "oom_score_adj": Path("/proc/self/oom_score_adj").read_text(),
    }


def _numbers() -> list[Any]:
    import random
    import tempfile
    import uuid

    import numpy as np

    return [random.random(), np.random.rand(), str(uuid.uuid4()), os.path.basename(tempfile.mktemp())]


_ANSWERS = {
    "torch": _torch,
    "modules": lambda: sorted(sys.modules),
    "surroundings": _surroundings,
    "numbers": _numbers,
    "parent": os.getppid,
}
