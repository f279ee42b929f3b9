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


@pytest.mark.parametrize("name", ["ray", "cluster", "buckets", "trackers", "models"])
def test_an_extra_lock_names_nothing_that_the_base_has(name):
    base, extra = pinned(ENVS / "requirements.lock"), pinned(ENVS / f"{name}.lock")
    assert len(base) > 100
    assert extra
    assert base.keys() & extra.keys() == set()


def test_ray_is_locked_in_the_version_that_is_asked_for():
    assert pinned(ENVS / "ray.lock")["ray"] == RAY_VERSION


def test_fsspec_is_that_of_its_bucket_libraries():
    # Each of them asks for one version of it.
    assert pinned(ENVS / "buckets.lock")["s3fs"] == pinned(ENVS / "requirements.lock")["fsspec"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_no_lock_names_a_package_index(path):
    assert "://" not in path.read_text(encoding="utf-8")
