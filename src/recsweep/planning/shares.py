"""How a budget is divided among the phases of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recsweep.common.files import counted
from recsweep.sweeps.config import SearchConfig
from recsweep.sweeps.sections import EPOCHS, TRIALS


def divide(total: int, shares: Sequence[float]) -> list[int]:
    """A budget in parts as near to the shares as whole numbers can be, none below 1.

    By largest remainders; of equal ones the earlier part gets more.
    """
    spare, whole = total - len(shares), sum(shares)
    exact = [max(0.0, share / whole * total - 1) for share in shares]
    scale = spare / sum(exact) if sum(exact) else 0.0
    parts = [math.floor(part * scale) for part in exact]
    order = sorted(range(len(shares)), key=lambda i: (parts[i] - exact[i] * scale, i))
    for position in order[: spare - sum(parts)]:
        parts[position] += 1
    return [part + 1 for part in parts]


def slots_of(search: SearchConfig, chain: Sequence[str], phase: str) -> int:
    """A phase's part of the trials of a model."""
    return divide(search.max_evals, _parts(search, chain))[chain.index(phase)]


def share_of(search: SearchConfig, chain: Sequence[str], phase: str) -> float | None:
    """A phase's part of the seconds or epochs of a model; None where trials are counted."""
    if search.budget == TRIALS or search.share is None:
        return None
    parts, position = _parts(search, chain), chain.index(phase)
    if search.budget == EPOCHS:
        return float(divide(max(len(parts), math.floor(search.share)), parts)[position])
    return search.share * parts[position] / sum(parts)


def share_text(share: float, unit: str) -> str:
    """`600 epochs`, `90.5 seconds`."""
    number = round(share, 1)
    return counted(int(number), unit.removesuffix("s")) if number == int(number) else f"{number:g} {unit}"


def _parts(search: SearchConfig, chain: Sequence[str]) -> list[float]:
    return [search.phase_shares.get(name, 1.0) for name in chain]  # type: ignore[call-overload]
