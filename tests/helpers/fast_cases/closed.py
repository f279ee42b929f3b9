"""Cases of models that are computed, not learnt by gradients."""

from __future__ import annotations

from helpers.fast_cases.case import Case

CASES: dict[str, Case] = {}
