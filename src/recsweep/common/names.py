"""The one rule for names: of sweeps, data sets, model files, studies and phases."""

from __future__ import annotations

import re

MOST_LETTERS = 100
RULE = (
    f"a name has letters (a-z), digits, `.`, `_` and `-`, at most {MOST_LETTERS} in all, and begins with "
    "a letter, a digit or `_`"
)
"""A name is a part of paths, of the store's studies, of tables and of commands."""
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{MOST_LETTERS - 1}}}")


def is_name(text: str) -> bool:
    """True where a text may be a name."""
    return _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """A name as it is.

    Raises:
        ValueError: it breaks the rule; the message says the rule and the text.
    """
    if not is_name(text):
        shown = repr(text) if len(text) <= MOST_LETTERS else f"{text[:20]!r}… of {len(text)} characters"
        raise ValueError(f"{RULE}, but got {shown}")
    return text
