"""Two Ray nodes on this machine, one killed in the middle of a study: every slot is filled once.

`ray start` twice, two workers on each node, a PostgreSQL store. When some trials have ended, all processes of
the second node are killed with SIGKILL. The study has to end with exactly its trials, by the same command,
which is not started again; then the node is started anew for the next round. Needs `make setup-ray`.

    python benchmarks/ray_nodes.py --rounds 10 --trials 12
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.postgres import running_postgres  # noqa: E402
from recsweep.study import Store  # noqa: E402

PATIENCE_SECONDS = 900.0
_STARTS, _START_SECONDS = 4, 90.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill one of two Ray nodes in the middle of a study.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=12)
    arguments = parser.parse_args()
    right = 0
    with running_postgres() as server, tempfile.TemporaryDirectory(prefix="rs-") as folder:
        nodes = Nodes(Path(folder))
        try:
            for number in range(1, arguments.rounds + 1):
                outputs = Path(folder) / f"outputs-{number}"
                found = one_round(nodes, server.new_url(), outputs, arguments.trials)
                right += not found
                print(f"round {number}: {found or f'exactly {arguments.trials} trials'}", flush=True)
        finally:
            nodes.end()
    print(f"{right} of {arguments.rounds} rounds ended with exactly {arguments.trials} trials")
    return 0 if right == arguments.rounds else 1


class Nodes:
    """A head, and a node that is killed."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "RECSWEEP_TEMPLATE": "0",
        }
        port = self.address.rpartition(":")[2]
        head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}/r"]
        self._head = self._start(*head)
        self._second: subprocess.Popen[bytes] | None = None

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a node, once more where a busy machine is too slow for it.

        Raises:
            SystemExit: it does not start.
        """
        small = ["--num-cpus=2", f"--object-store-memory={128 << 20}", "--disable-usage-stats", "--block"]
        ray = str(Path(sys.executable).parent / "ray")
        command = [ray, "start", "--node-ip-address=127.0.0.1", *small, *options]
        for _ in range(_STARTS):
            with tempfile.TemporaryFile() as said:
                process = subprocess.Popen(
                    command, env=self.environment, start_new_session=True, stdout=said, stderr=said
                )
                if _stands(process, said):
                    return process
                said.seek(0)
                told = said.read().decode(errors="replace")
            kill(process)
        raise SystemExit(f"`{' '.join(command)}` does not start: {told[-800:]}")

    def second(self) -> None:
        """Start the second node."""
        self._second = self._start(f"--address={self.address}")

    def kill_second(self) -> None:
        """Kill all of its processes."""
        if self._second is not None:
            kill(self._second)
            self._second = None

    def end(self) -> None:
        self.kill_second()
        kill(self._head)


def _stands(process: subprocess.Popen[bytes], said: IO[bytes]) -> bool:
    """True where a node has told within its time that it runs."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if b"Ray runtime started" in os.pread(said.fileno(), 1 << 16, 0):
            return True
        time.sleep(0.2)
    return False


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a process, its descendants and its group."""
    with suppress(psutil.NoSuchProcess):
        for one in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def one_round(nodes: Nodes, url: str, outputs: Path, trials: int) -> str:
    """A study, in whose middle the second node is killed; what is wrong at its end."""
    nodes.second()
    outputs.mkdir()
    options = [
        f"--max-evals={trials}",
        "--workers=4",
        "--workers-on=ray",
        f"--outputs={outputs}",
        "--models=FPMC",
    ]
    command = [
        sys.executable,
        "-m",
        "recsweep",
        "tune",
        "--config",
        str(ROOT / "config" / "smoke.yaml"),
        *options,
    ]
    environment = {**nodes.environment, "RAY_ADDRESS": nodes.address, "RECSWEEP_STORAGE": url}
    with (outputs / "said").open("wb") as said:
        run = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        try:
            lost = _kill_in_the_middle(nodes, run, url, trials)
            code = run.wait(PATIENCE_SECONDS)
        finally:
            run.kill()
    print(f"  {lost} trials ran when the node was killed", flush=True)
    problems = [] if code == 0 else [f"exit code {code}: {(outputs / 'said').read_text()[-400:]}"]
    store = Store(url)
    for name in store.names():
        if (study := store.find_study(name)) is None:
            continue  # deleted meanwhile
        filled = [trial.slot for trial in study.results()]
        if filled != list(range(trials)):
            problems.append(f"{name}: slots {filled}")
        if study.running():
            problems.append(f"{name}: {len(study.running())} trials run")
    store.close()
    return "; ".join(problems)


def _kill_in_the_middle(nodes: Nodes, run: subprocess.Popen[bytes], url: str, trials: int) -> int:
    """Kill the second node once a third of the trials have ended; how many ran then, on both."""
    store, deadline = Store(url), time.monotonic() + PATIENCE_SECONDS
    try:
        while run.poll() is None and time.monotonic() < deadline:
            for name in store.names():
                study = store.find_study(name)
                if study is not None and len(study.results()) >= trials // 3:
                    running = len(study.running())
                    nodes.kill_second()
                    return running
            time.sleep(0.2)
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
