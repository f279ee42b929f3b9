"""Fixtures of the tests that run real commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import Folder


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Folder:
    """A folder of a user's own; splits come from the cache that all tests share."""
    return Folder(tmp_path).sharing(cache)
