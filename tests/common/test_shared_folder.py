"""What can be told of a folder that machines share."""

from __future__ import annotations

import fcntl
import time

import pytest

from recsweep.common import shared_folder
from recsweep.common.shared_folder import broken_locks, clock_ahead, file_system, room


def test_locks_hold_here_and_nothing_is_left(tmp_path):
    assert broken_locks(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_nobody_minds_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "lockf", lambda file, how: None)
    assert broken_locks(tmp_path) == ["POSIX locks (SQLite's)"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        broken_locks(tmp_path / "none")


def test_the_file_servers_clock_is_read_from_a_file(tmp_path, monkeypatch):
    assert abs(clock_ahead(tmp_path)) < 1
    now = time.time()
    monkeypatch.setattr(shared_folder.time, "time", lambda: now + 100)
    assert clock_ahead(tmp_path) == pytest.approx(100, abs=2)


def test_its_kind_and_its_room(tmp_path):
    assert file_system(tmp_path)
    free, files = room(tmp_path)
    assert free > 0
    assert files == -1 or files > 0
