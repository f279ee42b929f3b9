"""A protocol in words, as every result states it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from recsweep.sweeps.protocol import FULL, Protocol

SAMPLED = "sampled metrics, which order models otherwise than a full ranking: Krichene and Rendle 2020"


def protocol_text(protocol: Protocol, items: int | None = None, *, predicts: bool = False) -> str:
    """`leave-one-out by time, 5-core, full ranking of 1,682 items`.

    Args:
        items: how many there are, where that is known.
        predicts: models are measured by what they predict, and rank nothing.
    """
    measured = "labels predicted, nothing ranked" if predicts else candidates_text(protocol, items)
    return ", ".join([protocol.split.text, *_filters(protocol), measured])


def candidates_text(protocol: Protocol, items: int | None = None) -> str:
    """The items that a test item is ranked among; with a warning where that is not all items."""
    if protocol.candidates == FULL:
        return "full ranking" + (f" of {items:,} items" if items is not None else "")
    kind, number = re.fullmatch(r"(uni|pop)(\d+)", protocol.candidates).groups()  # type: ignore[union-attr]
    how = "at random" if kind == "uni" else "by popularity"
    return f"ranked among {number} items drawn {how} ({protocol.candidates}; {SAMPLED})"


def _filters(protocol: Protocol) -> Iterator[str]:
    for name, wanted in protocol.keep.items():
        yield f"{name} in {wanted}" if isinstance(wanted, str) else f"{name} one of {'|'.join(wanted)}"
    for name, values in protocol.drop.items():
        yield f"{name} none of {'|'.join(values)}"
    if protocol.remove_duplicates is not None:
        kept = {"first": "first of repeats", "last": "last of repeats", "counted": "repeats counted"}
        yield kept[protocol.remove_duplicates]
    least = protocol.min_user_interactions, protocol.min_item_interactions
    if least[0] == least[1] > 0:
        yield f"{least[0]}-core"
        least = 0, 0
    most = protocol.max_user_interactions, protocol.max_item_interactions
    for kind, low, high in zip(("users", "items"), least, most, strict=True):
        if text := _between(low, high):
            yield f"{kind} with {text} interactions"


def _between(low: int, high: int | None) -> str:
    if high is None:
        return f"{low} or more" if low else ""
    return f"{low} to {high}" if low else f"at most {high}"
