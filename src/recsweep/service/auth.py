"""Who may do what: tokens on every route but health, and sessions for pages, made of the same tokens.

A token comes from the environment, or is made at the first start in a file that only its owner can read. It
is compared in constant time and told to nobody. A session is a signed cookie: a role, and until when.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from recsweep.common.errors import UserError
from recsweep.common.masking import remember

TOKEN, READ_TOKEN = "RECSWEEP_TOKEN", "RECSWEEP_READ_TOKEN"
"""Variables of the environment. They are no options: arguments can be read by everybody."""
SHORTEST = 16
"""Characters of a token that is to stand between a network and the service."""
SESSION = "recsweep_session"
"""The name of the cookie."""
SESSION_SECONDS = 12 * 3600
_BYTES = 32


class Role(StrEnum):
    """May look, or may change things too."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Tokens:
    """The tokens of a service.

    Attributes:
        write: whose bearer may do everything.
        read: whose bearers may look.
        given: the first one was given by the user, not made here.
        file: where it stands, where it was made here.
    """

    write: str
    read: tuple[str, ...] = ()
    given: bool = True
    file: Path | None = None

    def __repr__(self) -> str:
        return f"<Tokens: {1 + len(self.read)}>"

    def role_of(self, token: str) -> Role | None:
        """The role of a bearer; None for a token that is none of ours. Each is compared, whatever comes."""
        offered = _digest(token)
        may_write = hmac.compare_digest(offered, _digest(self.write))
        may_read = [hmac.compare_digest(offered, _digest(one)) for one in self.read]
        if may_write:
            return Role.WRITE
        return Role.READ if any(may_read) else None

    def session(self, role: Role, now: float | None = None) -> str:
        """The value of a cookie for somebody who has shown a token of that role."""
        ends = int((time.time() if now is None else now) + SESSION_SECONDS)
        body = f"{role.value}.{ends}"
        return f"{body}.{self._signed(body)}"

    def role_of_session(self, cookie: str, now: float | None = None) -> Role | None:
        """The role of a session; None where it is over, or was not made by us with the tokens of today."""
        body, _, signature = cookie.rpartition(".")
        role, _, ends = body.partition(".")
        if not hmac.compare_digest(_digest(signature), _digest(self._signed(body))):
            return None
        in_time = ends.isdigit() and int(ends) > (time.time() if now is None else now)
        return Role(role) if in_time else None

    def _signed(self, body: str) -> str:
        key = hashlib.sha256("\0".join(("recsweep session", self.write, *self.read)).encode()).digest()
        return hmac.new(key, body.encode("utf-8", "replace"), "sha256").hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def tokens_of(folder: Path, environment: Mapping[str, str] = os.environ) -> Tokens:
    """The tokens of the environment; where it gives none, one of a file that is made at the first start.

    Args:
        folder: of the file.

    Raises:
        UserError: a token cannot be sent in a header, or others can read the file.
    """
    read = tuple(environment.get(READ_TOKEN, "").split())
    given = environment.get(TOKEN, "").strip()
    file = None if given else folder / "service-token"
    write = given or _from_file(folder / "service-token")
    for name, token in ((TOKEN, write), *((READ_TOKEN, one) for one in read)):
        remember(token)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise UserError(f"{name} holds what no header can; use letters and digits; make one by `{_MAKE}`")
    if write in read:
        raise UserError(f"{TOKEN} and {READ_TOKEN} hold the same token; who reads could write; give another")
    return Tokens(write, read, bool(given), file)


_MAKE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def _from_file(path: Path) -> str:
    """The token that a file holds, which is made with one where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Whole or not at all, and never open to others, not even for a moment: two servers may start at once.
        draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, encoding="ascii", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        text = file.read(4096).strip()
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{path} holds the service's token, and is open to others (mode {mode:04o}); who has read it may "
            "do everything; remove it, and start again to have a new one"
        )
    if not text:
        raise UserError(f"{path} holds no token; it is empty; remove it, and start again to have a new one")
    return text


def require_safe(host: str, tokens: Tokens) -> None:
    """Refuse to listen on a network with a token that was not chosen for it.

    Raises:
        UserError: the token was not given by the user, or one is short.
    """
    if is_local(host):
        return
    if not tokens.given:
        raise UserError(
            f"--host {host} lets others reach the service; they need a token that you chose; give one of "
            f"{SHORTEST} characters or more as {TOKEN}, made by `{_MAKE}`, and put a proxy with TLS in front"
        )
    for name, given in ((TOKEN, (tokens.write,)), (READ_TOKEN, tokens.read)):
        if any(len(token) < SHORTEST for token in given):
            raise UserError(
                f"--host {host} lets others reach the service; {name} has fewer than {SHORTEST} characters, "
                f"which can be guessed; make one by `{_MAKE}`, and put a proxy with TLS in front"
            )


def is_local(host: str) -> bool:
    """True for addresses that only this machine reaches."""
    return host in ("127.0.0.1", "::1", "localhost")
