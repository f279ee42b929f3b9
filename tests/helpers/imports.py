"""An import in a folder of its own, through the command's own options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsweep.cli.importing import import_
from recsweep.importing.importing import Imported, check_imported, import_data
from recsweep.importing.request import request_of


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files; texts as UTF-8."""
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return [folder / name for name in files]


def imported(folder: Path, *files: Path, checked: bool = True, **options: Any) -> Imported:
    """Import files as `toy`, and check what was written as a study does."""
    unset: dict[str, Any] = dict.fromkeys(import_.takes)
    settings = {"as": "toy", "into": str(folder / "config"), "data_folder": str(folder / "data")}
    switches = {"dry_run": False, "replace": False}
    done = import_data(request_of(list(files), {**unset, **settings, **switches, **options}))
    if checked and not done.request.dry_run:
        check_imported(done)
    return done


def rows_of(done: Imported, suffix: str = "inter") -> list[list[str]]:
    """The cells of an atomic file, its header first."""
    path = done.request.folder / f"{done.request.name}.{suffix}"
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
