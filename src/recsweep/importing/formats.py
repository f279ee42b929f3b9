"""The format of a file, and its bytes as a table's reader wants them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recsweep.common.errors import InputError
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.import_file import TableSource

TEXTS = ("csv", "tsv", "dat", "netflix")
"""Formats of a row a line, with fields between separators."""
LINES = ("json", "python")
"""Formats of an object a line."""
_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".dat": "dat",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_SEPARATORS = {"csv": ",", "tsv": "\t", "dat": "::", "netflix": ","}
_GZIP = b"\x1f\x8b"
_JOINT = b"\x1f"
"""Stands for a separator of two characters; no text has it."""
NETFLIX = ("movie", "user", "rating", "date")


@dataclass(frozen=True)
class Format:
    """A file and how it is read; `source` with nothing left to find out, but the columns."""

    path: Path
    kind: str
    separator: str
    encoding: str
    header: tuple[str, ...] | None
    """Names of its columns, where no line has them."""

    @property
    def quoted(self) -> bool:
        """True where a cell may stand between quotes, and hold separators and line ends."""
        return self.kind == "csv"

    @property
    def words(self) -> str:
        """The format as people say it."""
        names = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
        if self.kind in TEXTS and self.kind != "netflix":
            return f"fields between {names.get(self.separator, f'`{self.separator}`')}"
        return {"parquet": "Parquet", "json": "JSON lines", "python": "Python objects, one a line"}.get(
            self.kind, self.kind
        )


def format_of(path: Path, source: TableSource) -> Format:
    """The format of a file: as it is given, else by its name and its first line.

    Raises:
        InputError: it is not there, empty, or of no format that is taken.
    """
    if not path.is_file():
        problem = "is no file" if path.exists() else "there is no such file"
        raise InputError(path, problem, "name a file with rows", 1, 1)
    kind: str = source.format
    first = b"" if kind == "parquet" else _first_line(path)
    if kind == "auto":
        kind = _by_name(path, first)
    if kind in TEXTS + LINES and not first.strip():
        raise InputError(path, "the file is empty", "name a file with rows", 1, 1)
    separator = source.separator or (_separator(first, _SEPARATORS[kind]) if kind in TEXTS else "")
    header = NETFLIX if kind == "netflix" else source.header
    return Format(path, kind, separator, source.encoding, header)


def _first_line(path: Path) -> bytes:
    with opened(path) as file:
        try:
            return file.readline(1 << 20)
        except (EOFError, OSError, zlib.error) as error:
            raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> InputError:
    """A compressed file that cannot be taken apart."""
    return InputError(path, f"cannot be decompressed ({error})", "fetch it again, it may be cut off", 1, 1)


def _by_name(path: Path, first: bytes) -> str:
    """The format that a name stands for; a name that says nothing leaves it to the first line."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in (".zip", ".tar", ".tgz", ".bz2", ".7z", ".xz") or path.name.endswith(".tar.gz"):
        raise InputError(path, "is an archive", "unpack it, and name the file in it", 1, 1)
    kind = _BY_SUFFIX.get(suffix)
    if kind == "json" and first.lstrip().startswith(b"{'"):
        return "python"
    if kind is None and suffix not in (".txt", ".data", ".item", ".user", ".inter", ""):
        fix = nearest(suffix, _BY_SUFFIX)
        raise InputError(
            path, f"`{suffix}` is no ending of a format that is known here", f"{fix} Or give --format", 1, 1
        )
    return kind or ("json" if first.startswith(b"{") else "tsv")


def _separator(line: bytes, usual: str) -> str:
    """The separator that a line has: the usual one of its format, else the first of those that are."""
    found = [text for text in (usual, "::", "\t", ";", "|", ",") if text.encode() in line]
    return found[0] if found else usual


def opened(path: Path) -> BinaryIO:
    """A file's bytes, decompressed where they are compressed."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if compressed else path.open("rb")  # type: ignore[return-value]


class Bytes:
    """The bytes of a table as its reader takes them: one separator of one character, quotes counted."""

    def __init__(self, form: Format) -> None:
        self._file, self._change = opened(form.path), _changes(form)
        self._form, self._rest, self._ready = form, b"", b""
        self.closed, self.quotes = False, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes: about as many as were asked for, none at the end."""
        while not self._ready:
            try:
                block = self._file.read(max(size, 1 << 20))
            except (EOFError, OSError, zlib.error) as error:
                raise damaged(self._form.path, error) from None
            if self._change is None or not (block or self._rest):
                self._ready = block
                break
            # What is left at the end is a line, too.
            whole, end, self._rest = (self._rest + (block or b"\n")).rpartition(b"\n")
            self._ready = self._change(whole + end) if end else b""
        size = len(self._ready) if size < 0 else size
        given, self._ready = self._ready[:size], self._ready[size:]
        if self._form.quoted:
            self.quotes += given.count(b'"')
        return given

    def close(self) -> None:
        self._file.close()
        self.closed = True


def _changes(form: Format) -> Callable[[bytes], bytes] | None:
    """The change to whole lines before they are read."""
    if form.kind == "netflix":
        return _Netflix()
    if len(form.separator) > 1:
        separator = form.separator.encode(form.encoding)
        return lambda lines: lines.replace(separator, _JOINT)
    return None


def delimiter(form: Format) -> str:
    """The one character between the fields of `Bytes`."""
    return _JOINT.decode() if len(form.separator) > 1 else form.separator


class _Netflix:
    """Lines `1:` name a film, and those below are its ratings: the film goes before each of them."""

    def __init__(self) -> None:
        self.film = b""

    def __call__(self, lines: bytes) -> bytes:
        parts: list[bytes] = []
        for block in lines.replace(b"\r\n", b"\n").split(b":\n"):
            # All but the last line of a block are ratings of the film before; the last names the next film.
            rows, _, name = block.rpartition(b"\n")
            if rows:
                parts.append(self.film + b"," + rows.replace(b"\n", b"\n" + self.film + b",") + b"\n")
            if name and not name.isdigit():
                parts.append(name + b":\n")  # a row of too few fields, which is refused as such
            self.film = name or self.film
        return b"".join(parts)
