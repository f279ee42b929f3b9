"""Tokens and sessions: where they come from, who has which role, and where a service may listen."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from recsweep.common.errors import UserError
from recsweep.common.masking import mask
from recsweep.service.auth import SESSION_SECONDS, Role, Tokens, require_safe, tokens_of

LONG = "x" * 16


def test_a_token_is_made_once_and_for_its_owner_alone(tmp_path: Path):
    first = tokens_of(tmp_path / "outputs", {})
    assert first.file is not None
    assert stat.S_IMODE(first.file.stat().st_mode) == 0o600
    assert first.file.read_text().strip() == first.write
    assert len(first.write) >= 32
    assert tokens_of(tmp_path / "outputs", {}).write == first.write
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["service-token"]
    assert first.write not in mask(f"it was {first.write}")
    assert first.write not in repr(first)


def test_a_token_that_others_can_read_is_refused(tmp_path: Path):
    file = tokens_of(tmp_path, {}).file
    assert file is not None
    file.chmod(0o644)
    with pytest.raises(UserError, match="open to others"):
        tokens_of(tmp_path, {})
    file.chmod(0o600)
    file.write_text("")
    with pytest.raises(UserError, match="is empty"):
        tokens_of(tmp_path, {})
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match=r"(?i)symbolic links|loop"):
        tokens_of(tmp_path, {})


def test_tokens_of_the_environment_go_first(tmp_path: Path):
    tokens = tokens_of(tmp_path, {"RECSWEEP_TOKEN": "w", "RECSWEEP_READ_TOKEN": "r1 r2"})
    assert (tokens.write, tokens.read, tokens.given, tokens.file) == ("w", ("r1", "r2"), True, None)
    assert list(tmp_path.iterdir()) == []
    for wrong in ({"RECSWEEP_TOKEN": "with space"}, {"RECSWEEP_TOKEN": "wörd"}):
        with pytest.raises(UserError, match="RECSWEEP_TOKEN"):
            tokens_of(tmp_path, wrong)
    with pytest.raises(UserError, match="the same token"):
        tokens_of(tmp_path, {"RECSWEEP_TOKEN": "w", "RECSWEEP_READ_TOKEN": "w"})


def test_a_token_has_its_role():
    tokens = Tokens("w", ("r1", "r2"))
    assert [tokens.role_of(one) for one in ("w", "r1", "r2", "", "W", "w\0")] == [
        Role.WRITE,
        Role.READ,
        Role.READ,
        None,
        None,
        None,
    ]


def test_a_session_ends_and_cannot_be_made_by_others():
    tokens = Tokens("w", ("r",))
    cookie = tokens.session(Role.READ, now=1000)
    assert tokens.role_of_session(cookie, now=1000 + SESSION_SECONDS - 1) is Role.READ
    assert tokens.role_of_session(cookie, now=1000 + SESSION_SECONDS) is None, "it has expired"
    assert Tokens("another").role_of_session(cookie, now=1000) is None
    body, signature = cookie.rsplit(".", 1)
    for wrong in (
        "",
        ".",
        "read",
        f"write.{body.split('.')[1]}.{signature}",
        f"{body}.",
        f"read.99999999999.{signature}",
    ):
        assert tokens.role_of_session(wrong, now=1000) is None
    assert "w" not in cookie.split(".")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_may_have_any_token(host: str):
    require_safe(host, Tokens("w", given=False))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org", ""])
def test_a_network_needs_a_long_token_of_ones_own(host: str):
    with pytest.raises(UserError, match=r"need a token that you chose.*TLS"):
        require_safe(host, Tokens(LONG, given=False))
    with pytest.raises(UserError, match=r"fewer than 16.*TLS"):
        require_safe(host, Tokens("short"))
    with pytest.raises(UserError, match="RECSWEEP_READ_TOKEN"):
        require_safe(host, Tokens(LONG, ("short",)))
    require_safe(host, Tokens(LONG, (LONG + "r",)))
