"""What the gate of the fast paths tries, by model; each kind of model has a file."""

from __future__ import annotations

from helpers.fast_cases import autoencoders, closed, context, graphs, pairs, sequential
from helpers.fast_cases.case import Case

__all__ = ["CASES", "Case"]

CASES: dict[str, Case] = {
    **sequential.CASES,
    **pairs.CASES,
    **graphs.CASES,
    **autoencoders.CASES,
    **context.CASES,
    **closed.CASES,
}
