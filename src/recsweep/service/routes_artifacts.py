"""The files of a job: listed and handed out, inside its folder only."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse, Response, StreamingResponse

from recsweep.service.answers import Artifacts, Kind
from recsweep.service.asked import JobId
from recsweep.service.guard import Reader
from recsweep.service.problems import Trouble, errors
from recsweep.service.runner import LOG
from recsweep.service.service import TheService

router = APIRouter(tags=["artifacts"], dependencies=[Reader])
MOST_LISTED = 5_000
_BLOCK = 1 << 16
_KINDS = {"results": Kind.RESULT, "checkpoints": Kind.WEIGHTS, "logs": Kind.LOG, LOG: Kind.LOG}
_PASSING = ("cache", "scratch")
"""Folders of a job that hold no file of its own: splits that all jobs share, and what is being written."""
_FilePath = Annotated[str, PathParameter(max_length=1_000, description="As the list has it.")]


@router.get("/jobs/{job_id}/artifacts", response_model=Artifacts, responses=errors(404, 422))
def list_artifacts(service: TheService, job_id: JobId) -> Response:
    """The files of a job: results, the weights of its winners, logs."""
    service.jobs.get(job_id)
    found: list[dict[str, Any]] = []
    for path, name in _files(service.folder(job_id)):
        if len(found) == MOST_LISTED:
            return JSONResponse({"artifacts": found, "complete": False})
        status = path.stat()
        modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
        kind = _KINDS.get(name.partition("/")[0], Kind.OTHER)
        found.append({"path": name, "kind": kind, "bytes": status.st_size, "modified": modified})
    return JSONResponse({"artifacts": found, "complete": True})


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Its files by name; links are not followed."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if Path(root) != folder or name not in _PASSING)
        for name in sorted(names):
            path = Path(root) / name
            shown = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and shown.isprintable():
                yield path, shown


@router.get(
    "/jobs/{job_id}/artifacts/{path:path}",
    response_class=Response,
    responses={
        **errors(404, 422),
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    },
)
def get_artifact(service: TheService, job_id: JobId, path: _FilePath) -> Response:
    """One file of a job."""
    service.jobs.get(job_id)
    handle = _opened(service.folder(job_id), path)
    size, name = os.fstat(handle).st_size, quote(Path(path).name, safe="")
    headers = {"Content-Length": str(size), "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return StreamingResponse(_blocks(handle, size), 200, headers, "application/octet-stream")


def _opened(folder: Path, path: str) -> int:
    """A file of the folder, opened where it really is; nothing that lies elsewhere, whatever leads there.

    Raises:
        Trouble: there is no such file.
    """
    root = folder.resolve()
    try:
        real = (root / path).resolve(strict=True)
        within = real.relative_to(root).parts if real.is_relative_to(root) else ()
        if within and within[0] not in _PASSING:
            handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return handle
            os.close(handle)
    except (OSError, ValueError, RuntimeError):  # a NUL, a name that is too long, a ring of links
        pass
    raise Trouble(404, "the job has no such file", "ask for its artifacts", "path")


def _blocks(handle: int, size: int) -> Iterator[bytes]:
    """A file's bytes, as many as it had when it was opened."""
    with os.fdopen(handle, "rb") as file:
        while size > 0 and (block := file.read(min(_BLOCK, size))):
            size -= len(block)
            yield block
