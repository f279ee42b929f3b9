"""A study's files on a node of Ray: its supervisor's where they are seen, else what Ray brings, once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from recsweep.common.files import content_hash
from recsweep.common.scratch import PREPARING, own_name
from recsweep.datasets.files import DataFiles
from recsweep.planning.plan import StudyPlan
from recsweep.running.ray_link import Link

Fetch = Callable[[], Mapping[str, bytes]]
"""Gives the files of a data set by name, from Ray's object store."""


def key_of(files: DataFiles) -> str:
    """Names the bytes of a data set's files."""
    return content_hash(dict(files.hashes))[:32]


def read(files: DataFiles) -> dict[str, bytes]:
    """The files of a data set, to be brought to the nodes."""
    return {name: (files.folder / name).read_bytes() for name in files.hashes}


class Sent:
    """The files of data sets in Ray's object store: each goes there once, whoever needs it.

    Args:
        link: the connection to Ray.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sent: dict[str, Fetch] = {}

    def fetch(self, plan: StudyPlan) -> Fetch | None:
        """Brings a study's files to a node; None where all nodes are this machine, or have them."""
        if not self._link.is_spread or plan.files.builtin:
            return None
        key = key_of(plan.files)
        if key not in self._sent:
            self._sent[key] = partial(self._link.ray.get, self._link.ray.put(read(plan.files)))
        return self._sent[key]

    def clear(self) -> None:
        """Ray is left; what it had is gone."""
        self._sent.clear()


def outputs_here(plan: StudyPlan, own: Path | None = None) -> StudyPlan:
    """A study whose outputs are those of its supervisor where they are seen, else in a folder of this node.

    What lies there are logs, prepared data and weights; nothing of it is a result, and the winner is trained
    again for its test where its weights are on another node.

    Args:
        own: the folder of this node.
    """
    if plan.sweep.outputs.is_dir():
        return plan
    name = content_hash(str(plan.sweep.outputs.absolute()))[:16]
    outputs = (own or _own()) / name
    outputs.mkdir(parents=True, exist_ok=True)
    return replace(plan, sweep=plan.sweep.model_copy(update={"outputs": outputs}))


def data_here(plan: StudyPlan, fetch: Fetch | None, own: Path | None = None) -> StudyPlan:
    """A study whose data files are where this node has them; they are fetched where it has none yet.

    Args:
        fetch: brings them; None: they are seen here.
        own: the folder of this node.
    """
    files = plan.files
    if fetch is None or files.builtin or all((files.folder / name).is_file() for name in files.hashes):
        return plan
    entry = (own or _own()) / "data" / key_of(files)
    folder = entry / files.folder.name
    if not folder.is_dir():
        _write(fetch(), entry, files.folder.name)
    return replace(plan, files=replace(files, folder=folder))


def _write(content: Mapping[str, bytes], entry: Path, name: str) -> None:
    """Files, whole or not at all; of two workers of a node that do so at once, one wins."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{PREPARING}{own_name()}-", dir=entry.parent))
    try:
        (temporary / name).mkdir()
        for file, data in content.items():
            (temporary / name / file).write_bytes(data)
        with suppress(OSError):
            os.rename(temporary, entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _own() -> Path:
    return Path.home() / ".cache" / "recsweep" / "node"
