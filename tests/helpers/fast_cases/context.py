"""Cases of context-aware models."""

from __future__ import annotations

from helpers.fast_cases.case import Case

CASES: dict[str, Case] = {}
