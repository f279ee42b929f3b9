"""Text without the secrets in it: every password and token that this process was given is known here.

An address of a store is printed masked by its own type (`address.py`). This is for the texts of others, which
may quote it or a part of it: messages of databases, values in error messages, tracebacks.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
_WORD = 12
"""Secrets of letters alone that are shorter are masked where they stand alone, not inside other words."""
_seen: set[str] = set()

# A user part, from the scheme to the last `@`; a path after three slashes may hold one that is none.
_USER_PART = re.compile(r"(\w://)(?!/)[^\s'\"]*@")
_NAMED = re.compile(
    r"([?&;,\s\"'(](?:\w*(?:passw|pwd|secret|token|credential|apikey|api_key|sslkey)\w*)\s*=\s*)"
    r"(?!=)('[^']*'|\"[^\"]*\"|[^\s&;,'\")]+)",
    re.IGNORECASE,
)


def remember(secret: str) -> None:
    """Keep a secret out of every text that is masked from now on, in whatever way it is quoted there."""
    for form in (secret, unquote(secret), unquote_plus(secret)):
        _seen.update({form, quote(form, safe=""), quote_plus(form), repr(form)[1:-1]} - {"", MASK})


def mask(text: str) -> str:
    """A text with `***` for each secret: those that were remembered, and what looks like one."""
    secrets = _seen | {os.environ.get("PGPASSWORD", "")} - {""}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _WORD or not (secret.isalpha() or len(secret) < 4):
            text = text.replace(secret, MASK)
        elif secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return _NAMED.sub(rf"\g<1>{MASK}", _USER_PART.sub(rf"\g<1>{MASK}@", text))


class MaskedErrors:
    """Standard error for a library that prints tracebacks of its own."""

    def write(self, text: str) -> None:
        sys.stderr.write(mask(text))

    def flush(self) -> None:
        sys.stderr.flush()


def mask_traceback(error: BaseException) -> str:
    """The traceback of an error as Python prints it, masked."""
    return mask("".join(traceback.format_exception(error)))
