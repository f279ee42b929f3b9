"""For tests that need Ray, which is no part of the base lock."""

from __future__ import annotations

import pytest

from recsweep.running.ray_link import trouble

needs_ray = pytest.mark.skipif(trouble() is not None, reason=f"{trouble()}; `make test-ray` runs it")
