"""Where checkpoints are kept beside the outputs: a folder that machines share, or a bucket.

The address holds no password: what a bucket asks for is found by its own library in the environment, or in
fsspec's config.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote

from recsweep.common.address import looks_like_token
from recsweep.common.escape import for_terminal
from recsweep.common.masked import Malformed
from recsweep.common.masking import remember

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "file": "", "memory": ""}
"""The kinds of places that have a scheme, and the package that each needs beside fsspec."""
INSTALL = "make setup-buckets"
FORMS = "give a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
_SCHEME = re.compile(r"([A-Za-z][\w+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][\w.-]{1,221}")
_MOST = 1024


class PlaceError(Malformed):
    """No place for checkpoints."""

    def __init__(self, problem: str, fix: str = FORMS) -> None:
        super().__init__(problem, fix)


def checked_place(text: str) -> str:
    """A place as it is written, with no `/` at its end; `file:///FOLDER` as the folder.

    Raises:
        PlaceError: it is none.
    """
    text = text.strip()
    if not 0 < len(text) <= _MOST or for_terminal(text) != text:
        raise PlaceError(f"the place of checkpoints has 1 to {_MOST:,} characters that can be seen")
    found = _SCHEME.fullmatch(text)
    if found is None:
        if "::" in text:
            raise PlaceError("the place of checkpoints is one, without `::`")
        return text.rstrip("/") or "/"
    kind, rest = found[1].lower(), found[2]
    if kind not in PACKAGES:
        raise PlaceError(f"there are no places of the kind `{kind}` for checkpoints")
    if kind == "file":
        if not rest.startswith("/"):
            raise PlaceError("three slashes come after `file:`", "write the folder alone")
        return unquote(rest).rstrip("/") or "/"
    _check_bucket(kind, rest)
    return f"{kind}://{rest.rstrip('/')}"


def _check_bucket(kind: str, rest: str) -> None:
    bucket, _, prefix = rest.rstrip("/").partition("/")
    if "@" in bucket or ":" in bucket or "?" in rest:
        for part in re.split(r"[:@/?&=]", rest):
            if looks_like_token(part):
                remember(part)
        raise PlaceError(
            f"the place of checkpoints holds no user, password, port or option, but this {kind}:// does",
            "leave it to the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, …) or fsspec's config",
        )
    if not _BUCKET.fullmatch(bucket):
        raise PlaceError(f"the name of the bucket comes after `{kind}://`, but got {bucket!r}")
    if "::" in rest or any(part in ("", ".", "..") for part in prefix.split("/") if prefix):
        raise PlaceError("the parts of a prefix are names", f"write {kind}://{bucket}/PREFIX")


def is_folder(depot: str) -> bool:
    """True for a folder, which any program sees."""
    return "://" not in depot


def sent_to(depot: str | None, own: Path) -> str:
    """The place that checkpoints are sent to; empty where they stay.

    Args:
        depot: the place that was asked for.
        own: the folder that they are made in.
    """
    is_own = depot is not None and is_folder(depot) and Path(depot).resolve() == own.resolve()
    return "" if depot is None or is_own else depot


def missing_package(depot: str) -> str:
    """The package that a place needs and that is not installed; empty where nothing is missing."""
    package = "" if is_folder(depot) else PACKAGES[depot.partition("://")[0]]
    return package if package and importlib.util.find_spec(package) is None else ""


def check_folder(depot: str) -> None:
    """Refuse a folder that cannot be one: where a share is not mounted, nothing is made in its place.

    Raises:
        PlaceError: the folder above it is not there, or it is something else.
    """
    folder = Path(depot)
    if not is_folder(depot) or folder.is_dir():
        return
    if folder.exists():
        raise PlaceError(f"{folder} is no folder", "name a folder")
    if not folder.parent.is_dir():
        raise PlaceError(
            f"there is no folder {folder.parent}; checkpoints are not kept in one that is missing",
            "mount or make it, or correct the path",
        )
