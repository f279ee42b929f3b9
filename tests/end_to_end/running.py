"""Run the real command line on small sweeps of real interactions, as a user would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from helpers import warm
from recsweep.cli import cli
from recsweep.study import Store, Trial

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 240.0
Process = subprocess.Popen[str] | warm.Running


@dataclass
class Folder:
    """A folder of a user's own: config files, and outputs once something ran."""

    path: Path

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "config", self.path / "config")

    @property
    def outputs(self) -> Path:
        return self.path / "outputs"

    def sharing(self, cache: Path) -> Folder:
        """The same folder with a cache of splits that others share."""
        self.outputs.mkdir()
        (self.outputs / "cache").symlink_to(cache, target_is_directory=True)
        return self

    def edit(self, name: str, **changes: object) -> None:
        """Set keys of a config file; dots go deeper (`search.algo`)."""
        path = self.path / "config" / name
        data = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            *parents, last = key.split("__")
            target = data
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = value
        path.write_text(yaml.safe_dump(data, sort_keys=False))

    def command(self, name: str, *options: str) -> list[str]:
        config = [] if "--config" in options or name == "train" else ["--config", "config/smoke.yaml"]
        return [sys.executable, "-m", "recsweep", name, *config, *options]

    def run(self, name: str, *options: str, fresh: bool = False) -> subprocess.CompletedProcess[str]:
        """A command to its end; `fresh`: by an interpreter of its own, as users start it."""
        if not fresh and warm.POSSIBLE:
            return warm.run(self.command(name, *options)[3:], self.path, LIMIT_SECONDS)
        return subprocess.run(
            self.command(name, *options),
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            stdin=subprocess.DEVNULL,
        )

    def start(self, name: str, *options: str, fresh: bool = False) -> Process:
        """A command in a process group of its own, its lines readable as they come."""
        if not fresh and warm.POSSIBLE:
            return warm.start(self.command(name, *options)[3:], self.path)
        return subprocess.Popen(
            self.command(name, *options),
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            # A shell without job control starts what runs in its background deaf to Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def trials(self, study: str) -> list[Trial]:
        store = Store(f"sqlite:///{self.outputs}/recsweep.db")
        try:
            found = store.find_study(study)
            return found.trials() if found else []
        finally:
            store.close()


def tune_options(trials: int, epochs: int = 1, models: str = "FPMC") -> tuple[str, ...]:
    return ("--models", models, "--max-evals", str(trials), "--epochs", str(epochs), "--cooldown", "0")


def taken(command: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Those of options with a value each that a command takes."""
    flags = {flag for option in cli.commands[command].params for flag in option.opts}
    pairs = zip(options[::2], options[1::2], strict=True)
    return tuple(word for pair in pairs if pair[0] in flags for word in pair)


def read_until(process: Process, wanted: str) -> list[str]:
    """Lines up to the first one that holds `wanted`."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} was never said; said:\n{''.join(lines)}")


def worker_pids(parent: int) -> list[int]:
    """The workers of a supervisor: forked from its template, or started afresh where there is none."""
    return [child.pid for template in templates(parent) for child in template.children()] or [
        child.pid
        for child in psutil.Process(parent).children()
        if any("spawn_main" in word for word in child.cmdline())
    ]


def templates(parent: int) -> list[psutil.Process]:
    """What the workers of a supervisor are forked from."""
    own = [
        child
        for child in psutil.Process(parent).children()
        if any("template.main" in word for word in child.cmdline())
    ]
    # `info` is read when a process is found; one that has ended since is left out
    found = psutil.process_iter(["name"])
    return own or [one for one in found if one.info["name"] == warm.template_of(parent)]


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


def kill_group(process: Process) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def make(target: str, *settings: str) -> subprocess.CompletedProcess[str]:
    """A make target of this checkout; what pytest's own environment holds stays outside."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RECSWEEP_", "MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", target, *settings],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
    )
