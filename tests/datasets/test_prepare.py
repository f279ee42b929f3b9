"""The cache of splits among users: what is not ours, not whole or not honest is made anew."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.splits import held_out, make_tiny, prepared
from recsweep.common.files import dump_yaml, file_hash
from recsweep.datasets import prepare as module
from recsweep.datasets.prepare import prepare
from recsweep.recbole_api import catalog

NOBODY = 65534


def settings(plan):
    return plan.settings(plan.defaults, plan.sweep.seed)


def entries(plan) -> list[Path]:
    return sorted(plan.outputs.cache.iterdir())


def content_of(folder: Path) -> dict[str, object]:
    """Names, permissions and bytes below a folder."""
    return {
        str(path.relative_to(folder)): (
            stat.S_IMODE(path.stat().st_mode),
            path.is_file() and path.read_bytes(),
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(("mask", "of_folder", "of_file"), [(0o022, 0o755, 0o644), (0o007, 0o770, 0o660)])
def test_an_entry_is_for_all_whom_the_umask_lets_in(tmp_path, mask, of_folder, of_file):
    plan = make_tiny(tmp_path)
    before = os.umask(mask)
    try:
        prepared(plan)
    finally:
        os.umask(before)
    (entry,) = entries(plan)
    assert stat.S_IMODE(entry.stat().st_mode) == of_folder
    assert {stat.S_IMODE(path.stat().st_mode) for path in entry.iterdir()} == {of_file}


def test_no_file_of_an_entry_is_a_pickle_or_holds_one(tmp_path):
    plan = make_tiny(tmp_path)
    prepared(plan)
    (entry,) = entries(plan)
    json.loads((entry / "split.json").read_text())
    for path in entry.iterdir():
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK")), "neither a pickle nor torch's archive of one"


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def sign(entry: Path, **changes) -> None:
    """Make a manifest that fits the files, as somebody would who can write there."""
    key = changes.pop("key")
    hashes = {name: file_hash(entry / name) for name in ("split.json", "arrays.bin")}
    text = dump_yaml({"key": key, "format": module.FORMAT, "statistics": {}, "hashes": hashes, **changes})
    (entry / "manifest.yaml").write_text(text)


def poisoned_json(entry: Path, **changes) -> None:
    path = entry / "split.json"
    content = json.loads(path.read_text())
    content["split"].update(changes)
    path.write_text(json.dumps(content))


HARM = {
    "a pickle as the description": lambda entry, harm: (entry / "split.json").write_bytes(pickle.dumps(harm)),
    "a pickle as the arrays": lambda entry, harm: (entry / "arrays.bin").write_bytes(pickle.dumps(harm)),
    "a class of pandas": lambda entry, harm: poisoned_json(
        entry, **{"class": "pandas.core.computation.expr.Expr"}
    ),
    "no split at all": lambda entry, harm: (entry / "split.json").write_text('{"arrays": [], "split": null}'),
    "arrays from beyond": lambda entry, harm: (entry / "split.json").write_text(
        json.dumps({"arrays": [{"type": "int64", "shape": [10**12], "at": 0}], "split": {}})
    ),
    "very deep": lambda entry, harm: (entry / "split.json").write_text("[" * 100_000),
    "not even text": lambda entry, harm: (entry / "split.json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("poison", HARM.values(), ids=HARM.keys())
def test_a_poisoned_entry_whose_hashes_fit_runs_nothing_and_is_made_anew(tmp_path, poison):
    plan = make_tiny(tmp_path)
    first = prepared(plan)
    (entry,) = entries(plan)
    for path in entry.iterdir():  # a new file: what others have mapped stays theirs
        replaced = path.with_name("new")
        replaced.write_bytes(path.read_bytes())
        replaced.replace(path)
    poison(entry, Harm(tmp_path / "harmed"))
    sign(entry, key=first.key)
    again = prepared(plan)
    assert not (tmp_path / "harmed").exists()
    assert (again.cached, again.kept) == (False, True)
    assert held_out(again.split) == held_out(first.split)
    assert prepared(plan).cached


def test_an_old_entry_with_a_pickle_beside_is_left_alone(tmp_path):
    plan = make_tiny(tmp_path)
    first = prepared(plan)
    (entry,) = entries(plan)
    (entry / "objects.pkl").write_bytes(pickle.dumps(Harm(tmp_path / "harmed")))
    assert prepared(plan).cached
    assert first.kept
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "manifest", [{"key": "0" * 64}, {"format": 1}, {"hashes": None}, {"hashes": {}}, {"hashes": [1]}], ids=str
)
def test_a_manifest_of_something_else_is_not_believed(tmp_path, manifest):
    plan = make_tiny(tmp_path)
    first = prepared(plan)
    (entry,) = entries(plan)
    sign(entry, **{"key": first.key, **manifest})
    assert not prepared(plan).cached
    assert prepared(plan).cached


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    plan = make_tiny(tmp_path)
    prepared(plan)
    (entry,) = entries(plan)
    for name in ("arrays.bin", "manifest.yaml"):
        (entry / name).unlink()
        os.mkfifo(entry / name)
        assert not prepared(plan).cached
    assert prepared(plan).cached


@pytest.mark.parametrize("kind", ["file", "dangling", "link"])
def test_what_is_no_folder_gives_way_to_an_entry(tmp_path, kind):
    plan = make_tiny(tmp_path)
    prepared(plan)
    (entry,) = entries(plan)
    if kind == "link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "mine").write_text("kept")
    shutil.rmtree(entry)
    if kind == "file":
        entry.write_text("x")
    else:
        entry.symlink_to(tmp_path / "elsewhere")
    assert prepared(plan).kept
    assert prepared(plan).cached
    assert not entry.is_symlink()
    if kind == "link":
        assert (tmp_path / "elsewhere" / "mine").read_text() == "kept"


def test_an_entry_that_cannot_be_replaced_stays_and_ours_stands_beside_it(tmp_path, monkeypatch):
    plan = make_tiny(tmp_path)
    first = prepared(plan)
    (entry,) = entries(plan)
    (entry / "arrays.bin").unlink()
    (entry / "arrays.bin").write_bytes(b"not what it was")
    before = content_of(entry)
    monkeypatch.setattr(module.shutil, "rmtree", not_theirs(module.shutil.rmtree, entry))
    again = prepared(plan)
    assert held_out(again.split) == held_out(first.split)
    assert again.kept
    assert [path.name for path in entries(plan)] == [entry.name, f"{entry.name}-{os.geteuid()}"]
    assert prepared(plan).cached
    assert content_of(entry) == before


def not_theirs(remove, foreign: Path):
    """`rmtree` as another user's folder answers to it: nothing goes."""
    return lambda path, *args, **kwargs: None if Path(path) == foreign else remove(path, *args, **kwargs)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_split_is_used_unkept_where_the_cache_is_not_ours(tmp_path, monkeypatch, code):
    plan = make_tiny(tmp_path)

    def refused(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.tempfile, "mkdtemp", refused)
    found = prepared_without_scratch(plan, monkeypatch, tmp_path)
    assert (found.cached, found.kept) == (False, False)
    assert held_out(found.split)["u1"] == ["i4", "i5"]
    assert prepare(settings(plan), plan.files, plan.outputs.cache, {found.key: found}).split is found.split


def prepared_without_scratch(plan, monkeypatch, folder: Path):
    """The scratch folder comes from `tempfile` too."""

    class Scratch:
        def __enter__(self):
            return str(folder)

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(module.tempfile, "TemporaryDirectory", Scratch)
    return prepared(plan)


def test_a_full_disk_is_no_foreign_cache(tmp_path, monkeypatch):
    plan = make_tiny(tmp_path)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "write_arrays", full)
    with pytest.raises(OSError, match="No space left"):
        prepared(plan)
    assert entries(plan) == []


@contextmanager
def another_user() -> Iterator[None]:
    """What this process does meanwhile is done as nobody."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_two_users_share_a_cache_whatever_it_lets_them_do():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        plan = make_tiny(Path(folder))
        first = prepared(plan)
        (entry,) = entries(plan)
        samples = first.split.statistics

        def other() -> tuple[bool, bool]:
            with another_user():
                if not os.access(catalog.recbole_folder() / "properties", os.R_OK, effective_ids=True):
                    pytest.skip("another user cannot read this environment")
                found = prepared(plan)
            assert found.split.statistics == samples
            return found.cached, found.kept

        assert other() == (True, True)
        entry.chmod(0o700)
        assert other() == (False, False), "unreadable, in a folder that is not theirs"
        plan.outputs.cache.chmod(0o1777)
        assert other() == (False, True), "kept beside the one that is unreadable"
        assert other() == (True, True)
        assert prepared(plan).cached, "ours is as it was"
        assert [path.name for path in entries(plan)] == [entry.name, f"{entry.name}-{NOBODY}"]
