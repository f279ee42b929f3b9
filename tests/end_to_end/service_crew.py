"""Processes of the service that are killed and start again: job workers, and servers with job workers."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import psutil

from helpers.service import WRITE
from recsweep.client import Client, Event, ServiceError
from recsweep.service.jobs import Job, Jobs, sweep_name
from recsweep.study import Reason
from running import Folder, wait_for

PATIENCE_SECONDS = 240.0
"""How long a server that was killed may take to answer again, on a machine that is busy."""
_T = TypeVar("_T")


class Crew:
    """Processes of one command in a folder, each started again when it was killed, as a supervisor does it.

    Args:
        options: of each process.
    """

    def __init__(self, folder: Folder, address: str, options: Sequence[Sequence[str]]) -> None:
        self.folder, self._address, self._options = folder, address, options
        self.processes = [self._start(number) for number in range(len(options))]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        with (self.folder.path / f"process-{number}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "recsweep", *self._options[number], "--config=config/smoke.yaml"],
                cwd=self.folder.path,
                env={**os.environ, "RECSWEEP_STORAGE": self._address, "RECSWEEP_TOKEN": WRITE},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, number: int) -> None:
        """SIGKILL to one of them; another one starts in its place."""
        self.processes[number].kill()
        self.processes[number].wait()
        self.processes[number] = self._start(number)

    def below(self) -> list[psutil.Process]:
        """The processes that they have started, and those that these have."""
        found: list[psutil.Process] = []
        for process in self.processes:
            with suppress(psutil.Error):
                found += psutil.Process(process.pid).children(recursive=True)
        return found

    def end(self) -> None:
        """End them in good order."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)


def job_workers(folder: Folder, address: str, number: int) -> Crew:
    """Job workers without a server."""
    return Crew(folder, address, [["job-worker"]] * number)


class Servers(Crew):
    """Servers on ports of their own, each with job workers beside it.

    Args:
        number: of servers.
        workers: that each of them has.
    """

    def __init__(self, folder: Folder, address: str, number: int, workers: int) -> None:
        ports = _free_ports(number)
        options = [["serve", f"--port={port}", f"--job-workers={workers}"] for port in ports]
        self.urls, self.expected = [f"http://127.0.0.1:{port}" for port in ports], number * (1 + workers)
        super().__init__(folder, address, options)

    def client(self, number: int = 0) -> Client:
        """Asks one of them, and bears with it while it is away."""
        return Client(self.urls[number % len(self.urls)], WRITE, patience_seconds=PATIENCE_SECONDS)

    def kill_one(self, chance: random.Random) -> str:
        """SIGKILL to a server, to a job worker, or to one of a job's processes; which of these it was."""
        kinds: dict[str, list[int]] = {}
        for process in processes_in(self.folder):
            with suppress(psutil.Error):
                kinds.setdefault(_kind(process), []).append(process.pid)
        kind = chance.choice(sorted(kinds))
        pid = chance.choice(sorted(kinds[kind]))
        for number, process in enumerate(self.processes):
            if process.pid == pid:
                self.kill(number)
                return kind
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
        return kind

    def await_rest(self) -> None:
        """Wait until servers and job workers are all that is left; nothing of a job is."""

        def rested() -> bool:
            kinds = Counter(_kind_or_none(process) for process in processes_in(self.folder))
            return kinds["a process of a job"] == 0 and kinds.total() == self.expected

        try:
            wait_for(rested, 120, "rest")  # a job worker that died early again starts after a minute at most
        except AssertionError:
            raise AssertionError([process.cmdline() for process in processes_in(self.folder)]) from None


def _kind(process: psutil.Process) -> str:
    words = process.cmdline()
    if "serve" in words:
        return "a server"
    return "a job worker" if "job-worker" in words else "a process of a job"


def _kind_or_none(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return _kind(process)
    return None


def _free_ports(number: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def processes_in(folder: Folder) -> list[psutil.Process]:
    """The processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(folder.path) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def asked(ask: Callable[[], _T]) -> _T:
    """What a service answers, asked again while it is away."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except ServiceError as error:
            if not error.is_passing or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def listen(client: Client, job_id: str, heard: list[Event]) -> None:
    """Hear all that happens in a job until it is completed, whoever is killed meanwhile."""
    with client:
        while not heard or heard[-1].data.get("status") != "completed":
            last = next((event.n for event in reversed(heard) if event.n), 0)
            heard += [event for event in client.events(job_id, last) if event.n is not None]


def problems(jobs: Jobs, job: Job, trials: int) -> list[str]:
    """What is not as it must be of a job that is complete: its trials, and what was told of them."""
    found = []
    if jobs.get(job.id).status != "completed":
        found.append(f"job {job.id} is {jobs.get(job.id).status}: {jobs.get(job.id).error}")
    for study in jobs.store.studies(sweep=sweep_name(job.id)):
        counted = Counter(trial.slot for trial in study.trials() if trial.counted)
        if counted != Counter(range(trials)):
            found.append(f"the slots of {study.name} are filled so: {counted}")
        blamed = [t.failure for t in study.trials() if t.counted and t.failure is not None]
        if wrong := [failure for failure in blamed if failure.kind != Reason.CRASH]:
            found.append(f"trials of {study.name} are blamed for a kill: {wrong}")
        if left := [trial.slot for trial in study.trials() if not trial.state.closed]:
            found.append(f"trials of {study.name} are left: {left}")
    events = jobs.events(job.id, limit=100_000)
    told = Counter(event.data["slot"] for event in events if event.kind == "trial.ended")
    if told != Counter(range(trials)):
        found.append(f"the ends of trials were told so: {told}")
    if [event.n for event in events] != list(range(1, len(events) + 1)):
        found.append("the numbers of events have gaps")
    return found
