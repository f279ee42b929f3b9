"""Cases of models that propagate over a graph."""

from __future__ import annotations

from helpers.fast_cases.case import Case

CASES: dict[str, Case] = {}
