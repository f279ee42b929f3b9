"""Whole sweeps on a real PostgreSQL with a marked password, which is then looked for everywhere.

Looked for: what the commands say, every file that they leave (results, logs, pages, `.snakemake`), and the
arguments of every process of the machine while they run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers.postgres import Guarded, Postgres
from helpers.workspace import make_workspace
from running import LIMIT_SECONDS, ROOT, Folder, read_until, taken, tune_options

COMMANDS = ("snakemake", "recsweep tune", "recsweep prepare", "recsweep dashboard")
PASSWORD = "mArk3d-51c0@pw/1"
MARKS = (b"mArk3d-51c0", b"51c0%40pw", b"51c0@pw")

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look at")


@dataclass
class Watch:
    """Looks at the arguments of all processes, again and again, in a thread.

    Args:
        folder: what stands in the arguments of our own.
    """

    folder: str
    looked: int = 0
    found: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    """Which of our own commands were seen."""

    def look(self) -> None:
        self.looked += 1
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    arguments = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                text = arguments.replace(b"\0", b" ").decode(errors="replace")
                if self.folder in text:
                    self.commands.update(name for name in COMMANDS if name in text)
                if any(mark in arguments for mark in MARKS):
                    self.found.add(text)


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    watch, end = Watch(str(folder)), threading.Event()

    def work() -> None:
        while not end.wait(0.03):
            watch.look()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watch
    finally:
        end.set()
        thread.join()
    assert watch.looked
    assert watch.found == set()


def marked_files(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    return [str(path) for path in files if any(mark in path.read_bytes() for mark in MARKS)]


def unmarked(said: str) -> bool:
    return not any(mark.decode() in said for mark in MARKS)


def environment(guarded: Guarded) -> dict[str, str]:
    return {**os.environ, "RECSWEEP_STORAGE": guarded.url(PASSWORD), "PYTHONPATH": str(ROOT / "src")}


def run(command: list[str], folder: Path, guarded: Guarded) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(guarded),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
    )


def snakemake(sweep: str, *settings: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    return [*command, "--config", f"sweep_file={sweep}", *settings]


def a_sweep_whose_first_rule_fails(folder: Path) -> None:
    """The config is sound, a row of the data is not: that is found by `recsweep prepare`."""
    make_workspace(folder, rows=["1\t1\t100", "1\t2\tnever"])


def test_snakemake_tells_nothing_of_a_plan_or_of_a_rule_that_fails(
    tmp_path: Path, postgres: Postgres
) -> None:
    guarded = postgres.guarded(PASSWORD)
    a_sweep_whose_first_rule_fails(tmp_path)
    # Without the profile, which keeps the rules quiet.
    command = [*snakemake(f"{tmp_path}/sweep.yaml"), "--printshellcmds", "--workflow-profile", "none"]
    with watching(tmp_path) as watch:
        planned = run([*command, "--dry-run"], tmp_path, guarded)
        failed = run([*command, "--verbose"], tmp_path, guarded)
    assert watch.commands == {"snakemake", "recsweep prepare"}
    assert planned.returncode == 0, planned.stderr
    assert "recsweep tune" in planned.stdout + planned.stderr
    assert failed.returncode != 0
    assert "RuleException" in failed.stderr or "Error in rule prepare_dataset" in failed.stderr
    for done in (planned, failed):
        assert unmarked(done.stdout + done.stderr)
        assert guarded.user not in done.stdout + done.stderr
    assert marked_files(tmp_path) == []


@pytest.mark.long
def test_an_address_on_snakemakes_command_line_is_warned_of_and_stays_there(
    tmp_path: Path, postgres: Postgres
) -> None:
    guarded = postgres.guarded("another-51d1")
    a_sweep_whose_first_rule_fails(tmp_path)
    url = guarded.url("another-51d1")
    failed = run(snakemake(f"{tmp_path}/sweep.yaml", f"storage={url}"), tmp_path, guarded)
    assert failed.stderr.count("give it as RECSWEEP_STORAGE, or by --storage-file") == 1
    assert "another-51d1" not in failed.stdout + failed.stderr
    for path in (tmp_path / ".snakemake").rglob("*"):
        assert not path.is_file() or b"another-51d1" not in path.read_bytes(), path


@pytest.mark.long
def test_make_hands_the_address_on_by_the_environment(tmp_path: Path, postgres: Postgres) -> None:
    guarded = postgres.guarded(PASSWORD)
    make_workspace(tmp_path)
    make = ["make", "-s", "-C", str(ROOT), "-o", "setup"]
    given = [f"CONFIG={tmp_path}/sweep.yaml", f"OUTPUTS={tmp_path}/outputs"]
    with watching(tmp_path) as watch:
        done = run([*make, "dry-run", "ESTIMATE=0", *given], tmp_path, guarded)
        wrong = run(
            [*make, "dry-run", "ESTIMATE=0", *given, f"STORAGE={guarded.url('wrong-word')}"],
            tmp_path,
            guarded,
        )
        a_sweep_whose_first_rule_fails(tmp_path)
        failed = run([*make, "tune-all", *given, "MAX_EVALS=3"], tmp_path, guarded)
    assert watch.commands == {"recsweep tune", "recsweep prepare", "snakemake"}
    assert done.returncode == 0, done.stderr
    assert "toy/NARM: 20 of 20 trials to run" in done.stdout
    assert wrong.returncode == 2
    assert "password authentication failed" in wrong.stderr  # STORAGE goes before RECSWEEP_STORAGE
    assert "wrong-word" not in wrong.stdout + wrong.stderr
    assert failed.returncode == 2
    (last,) = [line for line in failed.stderr.splitlines() if line.startswith("recsweep: not complete")]
    assert last.endswith(f"; go on with: make tune-all MAX_EVALS=3 {given[1]} {given[0]}")
    for one in (done, wrong, failed):
        assert unmarked(one.stdout + one.stderr)


@pytest.mark.long
def test_a_whole_sweep_and_all_that_looks_at_it_tell_nothing(tmp_path: Path, postgres: Postgres) -> None:
    guarded = postgres.guarded(PASSWORD)
    folder = Folder(tmp_path)
    options = ("--config", f"{tmp_path}/config/smoke.yaml", *tune_options(2))
    said = []
    with watching(tmp_path) as watch:
        for command in ("open", "worker", "tune", "summarize", "evaluate", "plots", "doctor"):
            done = run(folder.command(command, *taken(command, options)), tmp_path, guarded)
            assert done.returncode == 0 or command == "doctor", done.stderr
            said.append(done.stdout + done.stderr)
        said.append(run(folder.command("tune", "--dry-run", *options), tmp_path, guarded).stdout)
        dashboard = subprocess.Popen(
            folder.command("dashboard", *taken("dashboard", options), "--port", "0"),
            cwd=tmp_path,
            env=environment(guarded),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = read_until(dashboard, "dashboard on http://")
        address = lines[-1].split()[2]
        for path in ("api/studies", "api/studies/1", "api/studies/none"):
            try:
                with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:
                    said.append(answer.read().decode())
            except urllib.error.HTTPError as error:
                said.append(error.read().decode())
        dashboard.terminate()
        said += [*lines, dashboard.communicate(timeout=30)[0]]
    assert {"recsweep tune", "recsweep dashboard"} <= watch.commands
    assert all(map(unmarked, said))
    assert marked_files(tmp_path) == []


@pytest.mark.long
def test_snakemake_runs_a_whole_sweep_and_tells_nothing(tmp_path: Path, postgres: Postgres) -> None:
    guarded = postgres.guarded(PASSWORD)
    folder = Folder(tmp_path)
    settings = ("models=FPMC", "max_evals=2", "epochs=1", "cooldown=0")
    command = [
        *snakemake(f"{tmp_path}/config/smoke.yaml", *settings, "workers_per_study=1"),
        "--printshellcmds",
    ]
    with watching(tmp_path) as watch:
        done = run(command, tmp_path, guarded)
        report = run([*command, "--report", "report.html"], tmp_path, guarded)
    assert done.returncode == 0, done.stderr
    assert (folder.outputs / "results/smoke/summary.md").is_file()
    assert not (folder.outputs / "recsweep.db").exists(), "the jobs did not get the address"
    assert {"recsweep tune", "recsweep prepare"} <= watch.commands
    for one in (done, report):
        assert unmarked(one.stdout + one.stderr)
    assert marked_files(tmp_path) == []
