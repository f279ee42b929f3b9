"""Python's garbage collector: held while thousands of objects are made that all stay, and off what stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[None]:
    """No collection within: each would go through all that is being made, and find nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settled() -> None:
    """Keep what is there now out of later collections.

    A full collection goes through every object, 50 ms and more for the modules of a server alone.
    """
    gc.collect()
    gc.freeze()
