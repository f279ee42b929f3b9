"""Values that YAML and JSON can hold, content hashes, and writes that are whole or not at all."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path, PurePath
from typing import Any, SupportsFloat

import yaml

_DIGEST_BLOCK = 1 << 20


def to_plain(value: Any) -> Any:
    """Turn a value into plain Python, nested to any depth.

    NumPy scalars and arrays, torch tensors, OrderedDicts, dataclasses, Paths, enums, sets and
    tuples become int, float, bool, str, None, list and dict with string keys, so that
    ``yaml.safe_load(yaml.safe_dump(to_plain(x)))`` equals ``to_plain(x)``; NaN and infinities stay
    floats (YAML knows them). Foreign types are recognised by what they can do (``tolist``), so
    neither NumPy nor torch is imported here.

    Raises:
        TypeError: for a type with no plain form; the message names it.
    """
    if isinstance(value, enum.Enum):
        return to_plain(value.value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str) or (isinstance(value, bool | int | float) and not hasattr(value, "dtype")):
        return _base_scalar(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, Set):
        return sorted((to_plain(item) for item in value), key=lambda v: (str(type(v)), str(v)))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [to_plain(item) for item in value]
    if callable(getattr(value, "detach", None)):
        value = value.detach().cpu()
    if callable(getattr(value, "tolist", None)):
        plain = value.tolist()
        if type(plain) is not type(value):
            return to_plain(plain)
        if isinstance(plain, SupportsFloat):  # a long double stays one
            return float(plain)
    raise TypeError(
        f"a value must have a plain form to be written, but got {type(value).__module__}."
        f"{type(value).__qualname__}; turn it into numbers, strings, lists or dicts first"
    )


def _base_scalar(value: Any) -> Any:
    for base in (bool, int, float, str):
        if isinstance(value, base):
            return base(value)
    raise TypeError(f"not a scalar: {value!r}")


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        name = str(to_plain(key))
        if name in plain:
            raise TypeError(f"keys must stay distinct as text, but {name!r} occurs twice")
        plain[name] = to_plain(item)
    return plain


class _YamlDumper(yaml.SafeDumper):
    """SafeDumper without anchors: a reader should not have to follow `*id001`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    """Write floats so that YAML 1.1 readers see a float: `1e-05` alone would be a string there."""
    if math.isnan(value):
        text = ".nan"
    elif math.isinf(value):
        text = ".inf" if value > 0 else "-.inf"
    else:
        text = repr(value)
        if "e" in text:
            mantissa, exponent = text.split("e")
            mantissa += "" if "." in mantissa else ".0"
            exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
            text = f"{mantissa}e{exponent}"
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Escape the line breaks that only YAML knows: between single quotes they become spaces."""
    style = '"' if any(mark in value for mark in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_YamlDumper.add_representer(float, _represent_float)
_YamlDumper.add_representer(str, _represent_text)


def dump_yaml(value: Any, header: str = "") -> str:
    """YAML text of a value made plain, keys in their order, with an optional comment on top."""
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    text: str = yaml.dump(to_plain(value), Dumper=_YamlDumper, sort_keys=False, allow_unicode=True, width=100)
    return comment + text


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `3 studies`."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else several}"


def canonical_json(value: Any) -> str:
    """One text per content: sorted keys, no spaces. The input of every content hash.

    NaN and infinities become strings, since JSON has no word for them.
    """
    return json.dumps(_finite(to_plain(value)), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return f"float:{value}"
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_DIGEST_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; move it there when the block ends without error.

    A reader sees the old file or the new one, never a part, also when the process is killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def umask() -> int:
    """The permissions that this process keeps from others."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def unusable(folder: Path) -> str:
    """Why there can be no folder at a place, as far as is seen without making it; empty where there can."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        return str(error.strerror)
    return "" if there.is_dir() else f"{there} is no folder"


def write_text(target: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_yaml(target: Path, value: Any, header: str = "") -> None:
    """Write a value as YAML that `yaml.safe_load` reads back equal."""
    write_text(target, dump_yaml(value, header))


def write_json(target: Path, value: Any) -> None:
    """Write a value as indented JSON (NaN and infinities as JavaScript's literals)."""
    write_text(target, json.dumps(to_plain(value), indent=2) + "\n")
