"""Variables of the environment, or of the file `.env` in the working folder. Nothing of it is changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recsweep.common.masking import remember

FILE = Path(".env")
_SECRET = ("KEY", "PASSWORD", "TOKEN", "SECRET")


def given(names: Iterable[str], file: Path = FILE) -> dict[str, str]:
    """The variables of these names that are set: in the environment, else in the file. Secrets are masked."""
    in_file = read(file)
    found = {name: os.environ.get(name) or in_file.get(name, "") for name in names}
    for name, value in found.items():
        if value and any(word in name for word in _SECRET):
            remember(value)
    return {name: value for name, value in found.items() if value}


def read(file: Path = FILE) -> dict[str, str]:
    """The variables of a file of lines `NAME=value`, as compose reads them; empty where there is none.

    A value may stand in quotes; what follows ` #` outside of them is a comment.
    """
    text = ""
    with suppress(OSError, UnicodeDecodeError):
        text = file.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() and not name.startswith("#"):
            found[name.strip()] = _value(value.strip())
    return found


def _value(text: str) -> str:
    if len(text) > 1 and text[0] in "'\"" and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    return text.partition(" #")[0].strip()
