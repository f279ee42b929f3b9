"""`recsweep doctor --cluster`: a node as one of several that work on a sweep; what is bad says what to do."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsweep.cli.options import say_aside
from recsweep.common import provenance, shared_folder
from recsweep.common.address import StoreAddress
from recsweep.common.cores import cores
from recsweep.common.errors import RecsweepError
from recsweep.common.files import counted
from recsweep.common.paths import is_made
from recsweep.planning.plan import StudyPlan
from recsweep.study import Store, Trial

Finding = tuple[str, str, bool]
SLOW_SECONDS = 0.25
"""A question to the store; each trial asks some ten, and one an epoch."""
SKEW_SECONDS = 5.0
ROOM_BYTES, ROOM_FILES = 2 * 2**30, 10_000
_QUESTIONS = 7
_LATEST = 20
"""Trials of each study that are looked at, the last ones: others may have run before an update."""


def examine_node(plans: list[StudyPlan]) -> Iterator[Finding]:
    """Look at all that a node needs to work on these studies; never raises for what it looks at."""
    plan = plans[0]
    yield "node", f"{socket.gethostname()}, {counted(cores(), 'core')} for this process", True
    yield _job()
    yield from _gpus(plan)
    folder = plan.sweep.outputs
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield from _folder(folder, plan.storage_url)
    except OSError as error:
        what = "see that it is mounted on this node, and that you may write there"
        yield "shared folder", f"{folder.absolute()}: {error.strerror or error}; {what}", False
    yield from _store(plans)


def _job() -> Finding:
    found = os.environ.get("SLURM_JOB_ID")
    return "job", f"{found} of SLURM" if found else "none of a scheduler that is known", True


def _gpus(plan: StudyPlan) -> Iterator[Finding]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    text = ", ".join(names) or "none"
    text += f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
    given = [gpu for gpu in (os.environ.get("SLURM_JOB_GPUS") or "").split(",") if gpu]
    wanted = plan.resources.gpus if plan.model.resources.gpus or plan.sweep.resources.gpus else 0
    if len(given) > len(names):
        why = f"but SLURM gave {len(given)}; see that the driver and torch's CUDA build fit (`nvidia-smi`)"
        yield "GPUs", f"{text}, {why}", False
    elif plan.sweep.training.device == "cuda" and not names:
        yield (
            "GPUs",
            f"{text}, but training.device is cuda; ask for a node with one, or use device auto",
            False,
        )
    elif wanted and len(names) < wanted:
        yield "GPUs", f"{text}, but resources.gpus is {wanted}; ask the scheduler for them", False
    else:
        yield "GPUs", text, True


def _folder(folder: Path, address: StoreAddress) -> Iterator[Finding]:
    kind = shared_folder.file_system(folder)
    shown = f"{folder.absolute()} on {kind or 'an unknown file system'}"
    far = kind.startswith(shared_folder.NETWORK)
    if far and address.kind == "sqlite":
        yield (
            "shared folder",
            f"{shown}, where the locks of the store's SQLite do not hold between machines; use PostgreSQL, "
            "or journal:///FILE in that folder",
            False,
        )
    else:
        yield "shared folder", shown, True
    yield _locking(folder)
    free, files = shared_folder.room(folder)
    text = f"{free / 2**30:.1f} GiB free" + (f", room for {files:,} files" if files >= 0 else "")
    fits = free >= ROOM_BYTES and not 0 <= files < ROOM_FILES
    yield "disk space", text if fits else f"{text}; make room: a disk that is full pauses every study", fits
    if far:
        yield _skew("file server", shared_folder.clock_ahead(folder))


def _locking(folder: Path) -> Finding:
    try:
        broken = shared_folder.broken_locks(folder)
    except OSError as error:
        what = "mount it with locks (NFS: without `nolock`), or take another folder"
        return (
            "locking",
            f"a lock cannot be taken in {folder.absolute()}: {error.strerror or error}; {what}",
            False,
        )
    if broken:
        return "locking", f"{', '.join(broken)} do not hold between two processes; take another folder", False
    return "locking", "each kind of lock holds between two processes of this node", True


def _skew(what: str, ahead: float) -> Finding:
    fine = abs(ahead) <= SKEW_SECONDS
    text = f"this node's clock is {abs(ahead):.2f} s {'ahead of' if ahead >= 0 else 'behind'} the {what}'s"
    return (
        "clock",
        text if fine else f"{text}; let NTP set both: times in the store and in logs mislead",
        fine,
    )


def _store(plans: list[StudyPlan]) -> Iterator[Finding]:
    address = plans[0].storage_url
    if not is_made(address):
        yield "store", f"{address}: not made yet; `recsweep open` makes it", True
        return
    try:
        store = Store(address, tell=say_aside)
    except RecsweepError as error:
        yield "store", str(error), False
        return
    try:
        yield "store", f"{address}: reached, {counted(len(store.names()), 'study')}", True
        yield from _latency(store)
        yield from _others(store, plans)
    except RecsweepError as error:
        yield "store", str(error), False
    finally:
        store.close()


def _latency(store: Store) -> Iterator[Finding]:
    """How long a question takes; and the clocks, by the question that took the shortest time."""
    asked: list[float] = []
    ahead: dict[float, float] = {}
    for _ in range(_QUESTIONS):
        began, here = time.perf_counter(), datetime.now(UTC).replace(tzinfo=None)
        there = store.now()
        asked.append(took := time.perf_counter() - began)
        if there is not None:
            ahead[took] = (here - there).total_seconds() + took / 2
    middle = statistics.median(asked)
    fine = middle <= SLOW_SECONDS
    text = f"{1000 * middle:.1f} ms a question"
    yield "store latency", text if fine else f"{text}; put the store nearer, or see what keeps it busy", fine
    if ahead:
        yield _skew("store", ahead[min(ahead)])


def _others(store: Store, plans: list[StudyPlan]) -> Iterator[Finding]:
    """Versions of the other workers of these studies, as their last trials tell."""
    own = {**provenance.versions(), "commit": provenance.commit()}
    hosts: set[str] = set()
    differing: dict[str, set[str]] = {}
    for plan in plans:
        study = store.find_study(plan.name)
        for trial in study.trials()[-_LATEST:] if study is not None else []:
            if trial.owner is None or not trial.environment:
                continue
            host = trial.owner.process.pid_space.split("/")[0]
            hosts.add(host)
            if found := _differences(own, trial):
                differing.setdefault(host, set()).update(found)
    here = socket.gethostname()
    if not hosts:
        yield "other workers", "none has run a trial of these studies yet", True
    for host in sorted(hosts):
        name = f"versions on {host}" + (" (this node)" if host == here else "")
        if host in differing:
            shown = ", ".join(sorted(differing[host]))
            what = "install the same lock everywhere (`make setup`): results of one study may differ"
            yield name, f"{shown}; {what}", False
        else:
            yield name, "as here", True


def _differences(own: dict[str, Any], trial: Trial) -> list[str]:
    theirs = {**trial.environment.get("versions", {}), "commit": trial.environment.get("commit")}
    return [
        f"{name} {theirs[name]} ({own[name]} here)"
        for name in own
        if theirs.get(name) is not None and theirs[name] != own[name]
    ]
