"""Data sets and protocols that say less than they seem to: leaks in time, repeats, sampled metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from recsweep.alarms.alarm import Alarm

LEAK, REPEATS, SAMPLED = "leak", "repeats", "sampled"
MOST_LEAK, MOST_REPEATS = 0.01, 0.01
"""Shares that are let pass."""


def leaking(dataset: str, split: str, facts: Mapping[str, Any]) -> Iterator[Alarm]:
    """Training interactions are younger than test interactions of others; the number is the share of these.

    Args:
        split: in words.
        facts: of the data, as `datasets.prepare` keeps them with a split; what is not known raises nothing.
    """
    share, future = facts.get("leak"), facts.get("future")
    if share is None or share <= MOST_LEAK:
        return
    more = "" if future is None else f"; {future:.0%} of what others did is younger than a test on average"
    yield Alarm(
        LEAK,
        dataset,
        share,
        f"{share:.1%} of the test is older than training interactions of other users (split: {split}){more}",
        "Ji, Sun, Zhang and Li 2023; Meng, McCreadie, Macdonald and Ounis 2020",
        "split at one moment for all (type ratio, order time, group_by none) where recsweep doctor --data "
        "says that it fits, or name the leak beside the result",
    )


def repeating(dataset: str, facts: Mapping[str, Any]) -> Iterator[Alarm]:
    """Users interact with the same items again; the number is the share of interactions that do."""
    share = facts.get("repeats")
    if share is None or share <= MOST_REPEATS:
        return
    yield Alarm(
        REPEATS,
        dataset,
        share,
        f"{share:.1%} of the interactions repeat an earlier one of the same user and item; sequential models "
        "may recommend those, others may not, and to repeat the past can win",
        "Li, Jullien, Ariannezhad and de Rijke 2023",
        "set remove_duplicates in the data set's file, or compare models of one kind alone",
    )


def sampled(about: str, mode: Any) -> Iterator[Alarm]:
    """Test items are ranked among a few others only; the number is how many, 0 where that is not said.

    Args:
        mode: of RecBole's `eval_args`: `full`, `uni100`, `pop100`; by part, where it differs.
    """
    modes = mode.values() if isinstance(mode, Mapping) else [mode]
    few = next((str(one) for one in modes if one is not None and str(one) not in ("full", "labeled")), None)
    if few is None:
        return
    digits = "".join(character for character in few if character.isdigit())
    yield Alarm(
        SAMPLED,
        about,
        float(digits or 0),
        f"metrics are sampled ({few}): a test item is ranked among a few others, which orders models "
        "otherwise than ranking all items",
        "Krichene and Rendle 2020",
        "rank all items (mode: full)",
    )
