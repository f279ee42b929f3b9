"""Where a store is. The address may hold a password or a token, so it has a type of its own.

Whatever prints it gets the masked form; only what opens the store asks for the whole one, by `reveal`.
"""

from __future__ import annotations

import importlib.util
import re
import stat
from pathlib import Path
from typing import Any

from recsweep.common.masked import Malformed, Masked
from recsweep.common.masking import MASK, remember

FORMS = "use sqlite:///FILE, postgresql+psycopg://HOST/DATABASE or journal:///FILE"

# The kinds that Optuna keeps its studies in, with the module that talks to each.
_DRIVERS = {
    "journal": None,
    "sqlite": "sqlite3",
    "sqlite+pysqlite": "sqlite3",
    "postgresql": "psycopg2",
    "postgresql+psycopg2": "psycopg2",
    "postgresql+psycopg": "psycopg",
    "mysql": "MySQLdb",
    "mysql+mysqldb": "MySQLdb",
    "mysql+pymysql": "pymysql",
    "mariadb+pymysql": "pymysql",
}
_FORM = re.compile(r"(?P<kind>[A-Za-z][\w+.-]*)://(?P<rest>.*)")
# As SQLAlchemy reads it: the password ends at the first `@`.
_SERVER = re.compile(
    r"(?:(?P<user>[^:/?]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>\[[^/?]*\]|[^/:?]*)(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
_NUMBERED = re.compile(r"[A-Za-z]+(?:[_.-][A-Za-z]+)*\d{0,3}(?:[_.-]\d{1,8})*")
_PLAIN = re.compile(r"[A-Za-z_][\w.-]{0,31}")
# Options of a connection whose values are no secrets; the values of all others are masked.
_OPEN_OPTIONS = {
    *("host", "hostaddr", "port", "dbname", "sslmode", "sslrootcert", "connect_timeout", "timeout"),
    *("application_name", "target_session_attrs", "charset", "keepalives", "channel_binding", "gssencmode"),
}
_SECRET_OPTION = re.compile("pass|pwd|secret|token|key|cred|auth", re.IGNORECASE)
_MOST = 4096
"""Characters of an address, and bytes of a file that holds one."""


class AddressError(Malformed):
    """No address of a store."""

    def __init__(self, problem: str, fix: str = FORMS) -> None:
        super().__init__(problem, fix)


class StoreAddress(Masked):
    """The address of a store: a URL of SQLAlchemy's with its driver, or `journal:///FILE`.

    Args:
        text: the whole address.
        makes_folder: whether the folder of its file may be made; else it must be there.

    Raises:
        AddressError: not an address that a store can be opened at.
    """

    __slots__ = ("file", "kind", "makes_folder", "secret")

    kind: str
    """`sqlite`, `journal`, `postgresql`, …"""
    file: Path | None
    """The file that the store is in; None for one on a server."""
    secret: bool
    """True where a part of it may be a secret."""

    def __init__(self, text: str, *, makes_folder: bool = False) -> None:
        self._text, self.makes_folder = text, makes_folder
        _check_text(text)
        found = _FORM.fullmatch(text)
        if found is None:
            raise AddressError("the address of a store begins with its kind and `://`, but this one does not")
        dialect, rest = found["kind"], found["rest"]
        self.kind = dialect.split("+")[0]
        if self.kind in ("sqlite", "journal"):
            self.file, self.secret, self._shown = _of_file(self.kind, dialect, rest)
        else:
            self.file = None
            self.secret, self._shown = _of_server(dialect, rest)
        _check_driver(dialect)

    @classmethod
    def of(cls, given: Any) -> StoreAddress:
        """An address from its text; one that is an address already stays.

        Raises:
            AddressError: it is neither.
        """
        if isinstance(given, StoreAddress):
            return given
        if not isinstance(given, str):
            raise AddressError(f"the address of a store must be text, but is a {type(given).__name__}")
        return cls(given.strip())

    def below(self, folder: Path) -> StoreAddress:
        """The same address; one of a file in a folder of ours, which is made with what is in it."""
        if self.file is None or not self.file.absolute().is_relative_to(folder.absolute()):
            return self
        return StoreAddress(self._text, makes_folder=True)

    def check_place(self) -> None:
        """Refuse a file that cannot be a store, before anything is made.

        Raises:
            AddressError: its folder is not there, or it is something else.
        """
        if self.file is None:
            return
        if self.file.exists() and not self.file.is_file():
            raise AddressError(f"{self.file} is no file; a store is a file of its own", "name another file")
        if not self.makes_folder and not self.file.parent.is_dir():
            raise AddressError(
                f"there is no folder {self.file.parent}; a store is not made in one that is missing",
                "make the folder, or correct the path",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._text, self.makes_folder)


def _restored(text: str, makes_folder: bool) -> StoreAddress:
    return StoreAddress(text, makes_folder=makes_folder)


def read_address(path: Path) -> StoreAddress:
    """The address that a file holds, which nobody but its owner may read.

    Raises:
        AddressError: there is no such file, others can read it, or it holds something else.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise AddressError(f"{path} is no file", "name a file that holds the address of the store")
        if about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(about.st_mode)
            raise AddressError(
                f"{path} is open to others (mode {mode:04o}), and it may hold a password",
                f"run `chmod 600 {path}`",
            )
        text = path.read_text(encoding="utf-8")[: _MOST + 1].strip()
    except FileNotFoundError:
        raise AddressError(f"{path} is not there", "make it, with the address of the store in it") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, AddressError):
            raise
        raise AddressError(f"{path} cannot be read ({type(error).__name__})", "correct the path") from None
    if not text:
        raise AddressError(f"{path} is empty", "write the address of the store into it")
    return StoreAddress.of(text)


def _check_text(text: str) -> None:
    if len(text) > _MOST:
        raise AddressError(f"the address of a store has at most {_MOST} characters")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise AddressError("the address of a store is one line without control characters")


def _check_driver(dialect: str) -> None:
    if dialect not in _DRIVERS:
        kind = dialect if _PLAIN.fullmatch(dialect.replace("+", "_")) else MASK
        raise AddressError(f"there are no stores of the kind `{kind}`")
    module = _DRIVERS[dialect]
    if module is not None and importlib.util.find_spec(module) is None:
        fix = (
            "write postgresql+psycopg://…"
            if dialect.startswith("postgresql")
            else "install it, or use another"
        )
        raise AddressError(f"stores of the kind `{dialect}` need the package {module}, which is missing", fix)


def _of_file(kind: str, dialect: str, rest: str) -> tuple[Path, bool, str]:
    """File, whether there is a secret, and the masked form of the address of a file."""
    path, mark, query = rest.partition("?")
    shown_query, secret = _options(query)
    if path and not path.startswith("/"):
        raise AddressError(f"three slashes come after `{dialect}:`", f"write {dialect}:///FILE")
    name = path.removeprefix("/")
    if not name or name == ":memory:" or name.startswith("file:"):
        raise AddressError(
            f"a store is a file, but this {dialect} address names none; what is in memory no worker sees",
            f"write {dialect}:///FILE",
        )
    if found := re.search(r"[$`;|&<>\"'*]", name):
        raise AddressError(
            f"the file of a store has no {found[0]!r} in its name, which shells take for a command",
            "name another file",
        )
    if mark and kind == "journal":
        raise AddressError("a journal takes no options after `?`", f"write {dialect}:///FILE")
    return Path(name), secret, f"{dialect}://{path}{mark}{shown_query}"


def _of_server(dialect: str, rest: str) -> tuple[bool, str]:
    """True where there is a secret, and the masked form of a server's address. Remembers what is secret."""
    found = _parts_of_server(rest)
    user, password, database = found["user"] or "", found["password"] or "", found["database"]
    if password:
        remember(password)
    token_user = looks_like_token(user)
    if token_user:
        remember(user)
    shown_query, secret = _options(found["query"] or "")
    _check_port(found["port"] or "")
    open_database = not database or (_PLAIN.fullmatch(database) and not looks_like_token(database))
    if not open_database:
        remember(database)
    host = found["host"]
    shown = (
        f"{dialect}://{MASK + '@' if found['user'] is not None else ''}"
        + (host if re.fullmatch(r"[\w.,-]*|\[[0-9a-fA-F:.]*\]", host) else MASK)
        + (f":{found['port']}" if found["port"] else "")
        + ("" if database is None else f"/{database if open_database else MASK}")
        + (f"?{shown_query}" if found["query"] is not None else "")
    )
    return bool(password) or token_user or secret or not open_database, shown


def _parts_of_server(rest: str) -> re.Match[str]:
    found = _SERVER.fullmatch(rest)
    if found is not None and not any("@" in (found[part] or "") for part in ("host", "port", "database")):
        return found
    for part in re.split("[:@]", rest.rpartition("@")[0]):
        remember(part)
    raise AddressError(
        "the part before the host is not readable; an `@`, `:` or `/` in a user or password is quoted",
        "write %40 for `@`, %3A for `:` and %2F for `/`",
    )


def _check_port(port: str) -> None:
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        remember(port)  # of `user:password` without a host
        raise AddressError(
            "the port is no number from 1 to 65535",
            "write USER@HOST:PORT/DATABASE, such as me@db:5432/sweeps",
        )


def _options(query: str) -> tuple[str, bool]:
    """The options after `?`, masked but for those that hold no secret; and True where any is masked."""
    shown, secret = [], False
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        if name in _OPEN_OPTIONS and "@" not in value:
            shown.append(part)
            continue
        if len(value or name) > 5 or _SECRET_OPTION.search(name):  # not every `1` and `true`
            remember(value or name)
        secret = True
        shown.append(f"{name}={MASK}" if value and _PLAIN.fullmatch(name) else MASK)
    return "&".join(shown), secret


def looks_like_token(name: str) -> bool:
    """True where a name is more likely a key: long, or letters and digits mixed; `sweeps_2026` is a name."""
    mixed = any(c.isdigit() for c in name) and any(c.isalpha() for c in name)
    return len(name) > 32 or (mixed and len(name) >= 12 and not _NUMBERED.fullmatch(name))
