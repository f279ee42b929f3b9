"""Values written as Python writes them, read without running anything.

`ast.literal_eval` takes constants, lists, tuples and mappings of them alone; what could exhaust its parser
(a long text, deep brackets) is refused before.
"""

from __future__ import annotations

import ast
import itertools
from typing import Any

_MOST_CHARACTERS = 1_000_000
_MOST_DEPTH = 20


def literal(text: str) -> Any:
    """The value that a Python literal stands for.

    Raises:
        ValueError: it is none, too long, or too deep.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"is longer than {_MOST_CHARACTERS:,} characters")
    steps = (1 if character in "[{(" else -1 if character in "]})" else 0 for character in text)
    if max(itertools.accumulate(steps), default=0) > _MOST_DEPTH or text.count("-") > _MOST_CHARACTERS // 10:
        raise ValueError(f"has brackets within brackets more than {_MOST_DEPTH} deep")
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError("is no value, such as 0.01, 'text', true or [1, 2]") from None
