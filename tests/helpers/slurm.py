"""A real SLURM of two nodes on this machine, in a folder of its own; as root, by `slurm-wlm` and `munge`.

Where the packages cannot be installed they may be unpacked (`dpkg -x`): put the folders of their programs on
PATH, and that of their libraries on LD_LIBRARY_PATH.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPLATE = Path(__file__).with_name("slurm.conf")


def program(name: str) -> str | None:
    """A daemon of SLURM's, by the name that the packages link to, or by its own."""
    found = shutil.which(name) or shutil.which(f"{name}-wlm")
    return found or next(
        (path for path in (f"/usr/sbin/{name}", f"/usr/sbin/{name}-wlm") if Path(path).exists()), None
    )


def missing() -> str:
    """Why there can be no SLURM here; empty where there can."""
    if os.geteuid() != 0:
        return "SLURM's daemons want root"
    needed = ("slurmctld", "slurmd", "slurmstepd", "munged", "sbatch")
    without = [name for name in needed if program(name) is None]
    return f"no {', '.join(without)}: apt-get install slurm-wlm munge" if without else ""


class Slurm:
    """The cluster: its commands, and its nodes `n1` (two fake GPUs) and `n2`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def jobs(self, *columns: str) -> list[list[str]]:
        """A row for each job that is not over, with columns of `squeue`; a task of an array is a job."""
        return [
            line.split("|") for line in self.ask("squeue", "-h", "-r", "-o", "|".join(columns)).splitlines()
        ]

    def wait(self, what: str, found: object, seconds: float = 60.0) -> object:
        """Wait until something is so."""
        until = time.monotonic() + seconds
        while not (value := found()):  # type: ignore[operator]
            assert time.monotonic() < until, f"{what} did not happen; {self.jobs('%i', '%T', '%r', '%N')}"
            self.hasten()
            time.sleep(0.5)
        return value

    def hasten(self) -> None:
        """A job that was requeued may begin at once; SLURM lets it wait for two minutes."""
        for job, reason in self.jobs("%i", "%r"):
            if reason == "BeginTime":
                subprocess.run(
                    ["scontrol", "update", f"jobid={job}", "starttime=now"],
                    env=self.environment,
                    capture_output=True,
                )


def _settings(folder: Path) -> dict[str, object]:
    ports = []
    for _ in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    stepd = Path(str(program("slurmstepd"))).resolve()
    unpacked = stepd.parents[1] / "lib" / "x86_64-linux-gnu" / "slurm-wlm"
    return {
        "folder": folder,
        "host": socket.gethostname().split(".")[0],
        "user": "root",
        "plugins": f"PluginDir={unpacked}" if unpacked.is_dir() else "",
        **dict(zip(("port", "port1", "port2"), ports, strict=True)),
    }


@contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """A cluster that is up, and gone afterwards with all of its jobs."""
    for name in ("state", "spool.n1", "spool.n2"):
        (folder / name).mkdir(parents=True)
    (folder / "slurm.conf").write_text(TEMPLATE.read_text().format(**_settings(folder)))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    for number in range(2):
        os.mknod(folder / f"gpu{number}", 0o666 | 0o020000, os.makedev(1, 3))
    (folder / "gres.conf").write_text(
        f"NodeName=n1 Name=gpu Type=fake File={folder}/gpu[0-1] Flags=nvidia_gpu_env\n"
    )
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    slurm = Slurm(folder)
    usual = _as_the_usual(folder)
    try:
        _start(slurm)
        slurm.wait(
            "both nodes idle",
            lambda: slurm.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%T") == "idle\nidle",
        )
        yield slurm
    finally:
        _end(folder)
        for link in usual:
            link.unlink()


def _as_the_usual(folder: Path) -> list[Path]:
    """Links to the configuration where SLURM looks by itself: Snakemake's jobs keep no variable of it."""
    usual = Path("/etc/slurm")
    if (usual / "slurm.conf").exists():
        return []
    usual.mkdir(exist_ok=True)
    made = [usual / name for name in ("slurm.conf", "cgroup.conf", "gres.conf")]
    for link in made:
        link.unlink(missing_ok=True)
        link.symlink_to(folder / link.name)
    return made


def _start(slurm: Slurm) -> None:
    folder, conf = slurm.folder, slurm.environment["SLURM_CONF"]
    slurm.ask(
        *(
            str(program("munged")),
            "--force",
            f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket",
        ),
        *(
            f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log",
            f"--seed-file={folder}/munge.seed",
        ),
    )
    slurm.ask(str(program("slurmctld")), "-f", conf)
    for node in ("n1", "n2"):
        slurm.ask(str(program("slurmd")), "-f", conf, "-N", node, "-d", str(program("slurmstepd")))


def _end(folder: Path) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        subprocess.run(["scancel", "--user=root"], env=environment, timeout=20)
        time.sleep(2)
    pids = []
    for name in ("slurmd.n1", "slurmd.n2", "slurmctld", "munged"):
        with suppress(OSError, ValueError):
            pids.append(int((folder / f"{name}.pid").read_text()))
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        time.sleep(2)
