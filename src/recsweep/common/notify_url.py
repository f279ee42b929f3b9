"""Where a notification goes. The address holds a token or a password, so its type prints itself masked."""

from __future__ import annotations

import re
from typing import Any

from recsweep.common.masked import Masked
from recsweep.common.masking import MASK, remember

_FORM = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<rest>\S+)")
_MOST = 4096
"""Characters of an address."""
_SHORTEST_SECRET = 6
"""Parts of an address that have fewer are no secrets, and stand in many texts."""


class NotifyUrlError(ValueError):
    """No address of a notification. Its message holds nothing of what was given."""

    fix = "write one as apprise has them, such as slack://…, mailto://… or json://HOST/PATH"


class NotifyUrl(Masked):
    """An address in apprise's form.

    What is made of it by `str`, `repr` or an f-string is masked but for its kind.

    Raises:
        NotifyUrlError: it is none.
    """

    __slots__ = ()

    def __init__(self, text: str) -> None:
        remember(text)
        found = _FORM.fullmatch(text)
        if found is None or len(text) > _MOST:
            raise NotifyUrlError(
                "must be an address of a service to notify, which begins with its kind and `://`"
            )
        self._text, self._shown = text, f"{found['kind'].lower()}://{MASK}"
        for part in re.split(r"[:/@?&=,]", found["rest"]):
            if len(part) >= _SHORTEST_SECRET and part not in ("localhost", "127.0.0.1"):
                remember(part)

    @classmethod
    def of(cls, given: Any) -> NotifyUrl:
        """An address from its text; one that is an address already stays.

        Raises:
            NotifyUrlError: it is neither.
        """
        if isinstance(given, NotifyUrl):
            return given
        if not isinstance(given, str):
            raise NotifyUrlError(f"must be text, but is a {type(given).__name__}")
        return cls(given.strip())

    def __reduce__(self) -> tuple[Any, ...]:
        return NotifyUrl, (self._text,)
