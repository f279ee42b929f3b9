"""The manifest of a checkpoint: read back, refused, held against the files beside it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from recsweep.checkpoints.manifest import Identity, Manifest, facts_of

OWN = Identity("s/d/m/full", "d" * 64, {"torch": "2.13.0"}, "c" * 40)
ABOUT = Manifest(OWN.study, OWN.definition, {"torch": "2.13.0"}, OWN.commit, 3, 1, 7, 0.25, "2026-11-27")


@pytest.fixture
def manifest(tmp_path):
    """Of a file that is there."""
    (tmp_path / "state.pt").write_bytes(b"x" * 100)
    return replace(ABOUT, files={"state.pt": facts_of(tmp_path / "state.pt")})


def test_it_is_read_back(manifest):
    assert Manifest.of(manifest.text()) == manifest


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_part_of_one_is_none(manifest, cut):
    assert Manifest.of(manifest.text()[: -cut - 1]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"form": 2},
        {"slot": "3"},
        {"slot": True},
        {"epoch": -1},
        {"versions": {"torch": 2}},
        {"files": {}},
        {"files": {"../state.pt": {"bytes": 1, "sha256": "0" * 64}}},
        {"files": {"state.pkl": {"bytes": 1, "sha256": "0" * 64}}},
        {"files": {"state.pt": {"bytes": 1, "sha256": "0"}}},
        {"files": {"state.pt": {"sha256": "0" * 64}}},
    ],
    ids=str,
)
def test_what_it_cannot_say_makes_it_none(manifest, change):
    assert Manifest.of(json.dumps({**json.loads(manifest.text()), **change})) is None


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "[" * 100_000, b"\xff\xfe"])
def test_anything_else_is_none(text):
    assert Manifest.of(text) is None


def test_files_that_changed_are_found(manifest, tmp_path):
    file = tmp_path / "state.pt"
    assert manifest.damage(tmp_path) == ""
    file.write_bytes(b"x" * 99 + b"y")
    assert manifest.damage(tmp_path) == "the SHA-256 of state.pt differs"
    file.write_bytes(b"x" * 99)
    assert manifest.damage(tmp_path) == "state.pt is not whole"
    file.unlink()
    assert "cannot be read" in manifest.damage(tmp_path)


@pytest.mark.parametrize(
    ("own", "why"),
    [
        (OWN, ""),
        (replace(OWN, study="renamed"), ""),
        (replace(OWN, definition="e" * 64), "it is of a study with another definition"),
        (replace(OWN, versions={"torch": "2.14"}), "it was written with torch 2.13.0, and 2.14 is here"),
        (replace(OWN, commit="f" * 40), "it was written by another state of recsweep's code"),
    ],
)
def test_those_of_others_are_told_apart(manifest, own, why):
    assert manifest.foreign(own) == why
