"""A Python environment whose `recsweep` and `snakemake` are forked (`helpers/warm.py`): for what make starts.

It is that of this test run, by links, but for two commands: each hands its words, folder, environment and
streams to the test's process, which forks it, and ends with its exit code.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import warm

_LIMIT_SECONDS = 240.0
_ALL = itertools.count(1)
_COMMAND = """#!{python} -IS
import json, os, socket, sys

way = socket.socket(socket.AF_UNIX)
way.connect({address!r})
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), {snakemake!r}]).encode()
socket.send_fds(way, [len(said).to_bytes(8, "big")], [1, 2])
way.sendall(said)
sys.exit(int(way.makefile().read()))
"""


@contextmanager
def quick_venv(folder: Path) -> Iterator[Path]:
    """Within, such an environment is there, below a folder; where nothing is forked, the test run's own."""
    made, own = folder / "venv", Path(sys.prefix)
    if not warm.POSSIBLE:
        yield own
        return
    (made / "bin").mkdir(parents=True)
    for part in own.iterdir():
        if part.is_dir() and part.name != "bin":
            (made / part.name).symlink_to(part)
    for name in ("pyvenv.cfg", "installed.lock"):
        shutil.copy(own / name, made)
    for tool in (own / "bin").iterdir():
        if tool.name not in ("recsweep", "snakemake"):
            (made / "bin" / tool.name).symlink_to(tool)
    python, address = made / "bin" / "python", f"\0recsweep-{os.getpid()}-{next(_ALL)}"
    for name, snakemake in (("recsweep", ""), ("snakemake", str(python))):
        text = _COMMAND.format(python=python, address=address, snakemake=snakemake)
        (made / "bin" / name).write_text(text)
        (made / "bin" / name).chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        thread = threading.Thread(target=_listen, args=(listener,))
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _listen(listener: socket.socket) -> None:
    while True:
        try:
            way, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(way,), daemon=True).start()


def _answer(way: socket.socket) -> None:
    """Fork a command, and tell how it ended."""
    with way:
        size, handles, _, _ = socket.recv_fds(way, 8, 2)
        with way.makefile("rb") as words:
            args, folder, environment, python = json.loads(words.read(int.from_bytes(size, "big")))
        try:
            running = warm.start_between(*handles, args, Path(folder), environment, python)
        finally:
            for handle in handles:
                os.close(handle)
        way.sendall(str(running.wait(_LIMIT_SECONDS)).encode())
