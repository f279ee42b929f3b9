"""For tests that need Ray, which is no part of the base lock."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from recsweep.running.ray_link import Link, trouble

needs_ray = pytest.mark.skipif(trouble() is not None, reason=f"{trouble()}; `make test-ray` runs it")


class KeptLink(Link):
    """One Ray for all tests of a file, as it takes seconds to start."""

    def close(self) -> None:
        """Later."""

    def end(self) -> None:
        super().close()


def kept_link(folder: Path) -> Iterator[KeptLink]:
    """A link that is open for as long as a fixture."""
    import_module("ray.tune")  # as the engine does, before a link is opened: what it reads then must not hold
    link = KeptLink()
    link.open(folder, 3)
    yield link
    link.end()
