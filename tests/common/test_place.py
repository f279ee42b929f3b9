"""Where checkpoints are kept: how a place is written, and what is refused."""

from __future__ import annotations

import pytest

from recsweep.common import place
from recsweep.common.masking import mask
from recsweep.common.place import PlaceError, check_folder, checked_place, is_folder, missing_package


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("/mnt/share/", "/mnt/share"),
        ("../share", "../share"),
        ("file:///mnt/a%20b", "/mnt/a b"),
        ("s3://bucket", "s3://bucket"),
        ("S3://bucket/a/b/", "s3://bucket/a/b"),
        ("gs://my.bucket/x", "gs://my.bucket/x"),
        ("memory://xy", "memory://xy"),
    ],
)
def test_places(text, meant):
    assert checked_place(text) == meant
    assert is_folder(meant) == ("://" not in meant)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has 1 to"),
        ("a\nb", "has 1 to"),
        ("ftp://host/x", "no places of the kind `ftp`"),
        ("simplecache::s3://b", "no places|one, without"),
        ("a::b", "one, without `::`"),
        ("s3://", "the name of the bucket"),
        ("s3:///prefix", "the name of the bucket"),
        ("s3://bucket/../other", "the parts of a prefix are names"),
        ("s3://bucket//x", "the parts of a prefix are names"),
        ("file://host/x", "three slashes"),
    ],
)
def test_what_is_none_is_refused(text, problem):
    with pytest.raises(PlaceError, match=problem):
        checked_place(text)


@pytest.mark.parametrize(
    "text", ["s3://AKIA1234567890AB:S3cretS3cret99@bucket/x", "s3://bucket/x?key=S3cretS3cret99"]
)
def test_a_secret_in_it_is_refused_and_not_repeated(text):
    with pytest.raises(PlaceError) as caught:
        checked_place(text)
    assert "S3cret" not in str(caught.value)
    assert "S3cret" not in mask(f"somebody quotes {text}")


def test_a_folder_whose_share_is_not_mounted_is_refused(tmp_path):
    check_folder(str(tmp_path / "new"))
    check_folder("s3://bucket")
    with pytest.raises(PlaceError, match="there is no folder"):
        check_folder(str(tmp_path / "mnt" / "new"))
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match="is no folder"):
        check_folder(str(tmp_path / "file"))


def test_the_package_that_a_bucket_needs_is_named(monkeypatch):
    monkeypatch.setattr(place.importlib.util, "find_spec", lambda name: None)
    assert [missing_package(one) for one in ("s3://b", "gs://b", "/mnt/x", "memory://b")] == [
        *("s3fs", "gcsfs", "", "")
    ]
