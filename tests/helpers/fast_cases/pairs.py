"""Cases of general models that score pairs of a user and an item."""

from __future__ import annotations

from helpers.fast_cases.case import SIZES, Case

CASES: dict[str, Case] = {
    "BPR": Case({"embedding_size": 24}, (None,), SIZES),
}
