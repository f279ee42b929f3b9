"""Optuna's journal file, with an end that is whole: a process may die, or a disk fill up, within a line.

Optuna reads past a torn last line, and appends to it: from then on nobody can read on. Here a torn
line is completed, or dropped, before anything is appended; whoever wrote it was never told that it is
written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file

from recsweep.common.errors import StoreDamaged, UserError

_LAST_LINE = 1 << 16
_FIRST = b'{"op_code"'


class WholeJournal(JournalFileBackend):
    """A journal file.

    Args:
        file: made if it is not there.
        tell: takes a line when a part of one was dropped.

    Raises:
        UserError: it is something else.
    """

    def __init__(self, file: Path, tell: Callable[[str], None] | None = None) -> None:
        self._file, self._tell = file, tell
        if file.is_file() and file.stat().st_size:
            _require_journal(file)
        super().__init__(str(file))
        if _is_torn(file):
            with get_lock_file(self._lock), file.open("r+b") as journal:
                self._mend(journal)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with get_lock_file(self._lock), self._file.open("r+b") as journal:
            self._mend(journal)
            journal.seek(0, os.SEEK_END)
            journal.write(lines.encode("utf-8"))
            journal.flush()
            os.fsync(journal.fileno())

    def _mend(self, journal: BinaryIO) -> None:
        dropped = mend(journal)
        if dropped and self._tell is not None:
            self._tell(
                f"the store journal:///{self._file} ended within a line, whose writer was stopped; "
                f"its {dropped} bytes were dropped, nobody was told that they are written"
            )

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        try:
            for log in super().read_logs(log_number_from):
                if not isinstance(log, dict) or "op_code" not in log:
                    raise ValueError
                yield log
        except ValueError:  # a line that is not JSON, or not UTF-8, and is not the last one
            raise StoreDamaged(
                f"the store journal:///{self._file} is damaged; line {_first_bad(self._file)} is none of "
                "Optuna's journal; put back a copy of it, or take that line out of a copy and go on with it"
            ) from None


def mend(journal: BinaryIO) -> int:
    """Complete the last line of a journal, or drop it where it is only a part; called under the lock.

    Returns:
        How many bytes were dropped.
    """
    size = journal.seek(0, os.SEEK_END)
    if not size:
        return 0
    journal.seek(size - 1)
    if journal.read(1) == b"\n":
        return 0
    begin, tail = _last_line(journal, size)
    whole = _is_whole(tail)
    if whole:
        journal.seek(size)
        journal.write(b"\n")
    else:
        journal.truncate(begin)
    journal.flush()
    os.fsync(journal.fileno())
    return 0 if whole else len(tail)


def _last_line(journal: BinaryIO, size: int) -> tuple[int, bytes]:
    """Where what stands behind the last line end begins, and what it is."""
    tail, begin = b"", size
    while begin and b"\n" not in tail:
        begin = max(0, begin - _LAST_LINE)
        journal.seek(begin)
        tail = journal.read(size - begin)
    kept = tail.rfind(b"\n") + 1
    return begin + kept, tail[kept:]


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _is_torn(file: Path) -> bool:
    with file.open("rb") as journal:
        size = journal.seek(0, os.SEEK_END)
        if not size:
            return False
        journal.seek(size - 1)
        return journal.read(1) != b"\n"


def _require_journal(file: Path) -> None:
    """A file that begins otherwise is somebody's own: nothing of it may be dropped."""
    with file.open("rb") as journal:
        begun = journal.read(len(_FIRST))
    if not _FIRST.startswith(begun):
        raise UserError(
            f"the store journal:///{file} is no journal of Optuna's; give the path of one, or a new name"
        )


def _first_bad(file: Path) -> int:
    with file.open("rb") as journal:
        for number, line in enumerate(journal, 1):
            try:
                found = json.loads(line)
            except ValueError:
                return number
            if not isinstance(found, dict) or "op_code" not in found:
                return number
    return 0
