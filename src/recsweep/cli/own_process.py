"""torch as a process wants it that is recsweep's own, from its command to its end."""

from __future__ import annotations

import os

_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def load_torch(*, large_pages: bool = False) -> None:
    """Load it, if it is not there yet, without what none of our processes needs.

    Args:
        large_pages: take large arrays in large pages, of which fewer have to be cleared. For columns that are
            made once; of a training it was not measured.
    """
    if large_pages:
        os.environ.setdefault(_LARGE_PAGES, "1")
    from recsweep.recbole_api import lazy

    lazy.load_torch()
