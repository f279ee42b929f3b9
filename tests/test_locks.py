"""The locks of envs/, which stand beside each other in one environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recsweep.running.ray_link import RAY_VERSION

ENVS = Path(__file__).parent.parent / "envs"
LOCKS = sorted(ENVS.glob("*.lock"))


def pinned(path):
    """Versions by the name of the package, as pip compares names."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_an_extra_lock_names_nothing_that_the_base_has():
    base, ray = pinned(ENVS / "requirements.lock"), pinned(ENVS / "ray.lock")
    assert len(base) > 100
    assert ray["ray"] == RAY_VERSION
    assert base.keys() & ray.keys() == set()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_no_lock_names_a_package_index(path):
    assert "://" not in path.read_text(encoding="utf-8")
