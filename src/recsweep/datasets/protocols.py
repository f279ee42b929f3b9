"""Ways of splitting a data set: how much each leaks and tests blindly, and which one fits.

What leaks: where each user's last interaction is for test, a model learns from what others did after it,
which nobody could know at that time (Ji et al. 2023, A critical study on data leakage in recommender system
offline evaluation, ACM TOIS 41(3)). A split at one moment for all has no such leak (Meng et al. 2020,
Exploring data splitting strategies, RecSys), but may test users of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsweep.common.orders import dense_ranks
from recsweep.datasets.facts import DataFacts, Interactions, tied
from recsweep.datasets.own_splits import parts_of
from recsweep.datasets.parts import TEST, TRAIN, VALID
from recsweep.sweeps.config import SplitConfig

PROTOCOLS: Mapping[str, SplitConfig] = {
    split.text: split
    for split in (
        SplitConfig(type="ratio", order="time", group_by="none"),
        SplitConfig(type="leave_one_out", order="time"),
        SplitConfig(type="ratio", order="time", group_by="user"),
        SplitConfig(type="ratio", order="random", group_by="user"),
    )
}
"""From what is nearest to use in life to what always can be done, by their texts."""
MOST_COLD = 0.5
"""Share of test interactions of users, or with items, without training: above, a split tests little else."""
MOST_TIED = 0.1
"""Share of held-out interactions that tie with others: above, the file's order decides what is tested."""
LEAST_USERS = 100
"""Users in the test: below, a mean over them says little."""
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SplitFacts:
    """The facts of a data set that was split.

    Attributes:
        train, valid, test: interactions in each part.
        test_users: users with test interactions.
        cold_users, cold_items: share of test interactions whose user, or item, has no training interaction.
        leak: share of test interactions older than others' training interactions; None without times.
        future: share of others' training interactions that are younger than one, the mean over the test.
        tied: share of test interactions at whose time the same user has another interaction.
    """

    train: int
    valid: int
    test: int
    test_users: int
    cold_users: float
    cold_items: float
    leak: float | None = None
    future: float | None = None
    tied: float | None = None


def split_facts(data: Interactions, split: SplitConfig, seed: int = 0) -> SplitFacts:
    """The facts of a data set that was split."""
    parts = parts_of(data, split, seed)
    train, test = parts == TRAIN, parts == TEST
    of_users, of_items = data.users[test], data.items[test]
    sizes = [int(np.count_nonzero(parts == part)) for part in (TRAIN, VALID, TEST)]
    found = SplitFacts(
        train=sizes[TRAIN],
        valid=sizes[VALID],
        test=sizes[TEST],
        test_users=int(np.count_nonzero(np.bincount(of_users))),
        cold_users=_share(~np.isin(of_users, data.users[train])),
        cold_items=_share(~np.isin(of_items, data.items[train])),
    )
    if data.times is None:
        return found
    later, of_others = _younger(data.users, data.times, train, test)
    future = _share(later / np.maximum(of_others, 1))
    return replace(found, leak=_share(later > 0), future=future, tied=_share(tied(data)[test]))


def _share(values: _Array) -> float:
    return float(values.mean()) if len(values) else 0.0


def _younger(users: _Array, times: _Array, train: _Array, test: _Array) -> tuple[_Array, _Array]:
    """For each test interaction: others' training interactions that are younger, and all of others."""
    ranks = dense_ranks(times)
    step = int(ranks.max(initial=0)) + 2
    up_to = np.cumsum(np.bincount(ranks[train], minlength=step))
    all_later = up_to[-1] - up_to[ranks[test]]
    own = users[train].astype(np.int64) * step + ranks[train]
    own.sort()
    last_of = np.cumsum(np.bincount(users[train], minlength=int(users.max(initial=0)) + 1))
    ends = last_of[users[test]]
    own_later = ends - np.searchsorted(own, users[test].astype(np.int64) * step + ranks[test], side="right")
    return all_later - own_later, len(own) - np.bincount(users[train], minlength=len(last_of))[users[test]]


@dataclass(frozen=True)
class Fit:
    """The way of splitting that fits a data set, and why not those before it in `PROTOCOLS`."""

    split: SplitConfig
    against: Mapping[str, str]


def fitting(facts: DataFacts, splits: Mapping[str, SplitFacts]) -> Fit:
    """The first of the protocols that nothing speaks against; the last one where something does for all.

    Args:
        splits: what each of `PROTOCOLS` makes of the data, by its name.
    """
    against: dict[str, str] = {}
    for name, split in PROTOCOLS.items():
        reasons = _against(split, facts, splits[name])
        if not reasons:
            return Fit(split, against)
        against[name] = "; ".join(reasons)
    return Fit(split, against)


def _against(split: SplitConfig, facts: DataFacts, made: SplitFacts) -> Sequence[str]:
    """Reasons not to split so."""
    if split.order == "random":
        return ()
    if facts.ties is None or facts.span == 0:
        return ("the data have no times" if facts.ties is None else "all times are the same",)
    found = []
    if made.test_users < LEAST_USERS and made.test_users < facts.users / 2:
        found.append(f"{made.test_users} of {facts.users} users would be tested")
    if made.cold_users > MOST_COLD:
        found.append(f"{made.cold_users:.0%} of the test would be of users without training")
    if made.cold_items > MOST_COLD:
        found.append(f"{made.cold_items:.0%} of the test would be with items without training")
    if split.group_by == "user" and split.type == "leave_one_out" and (made.tied or 0.0) > MOST_TIED:
        found.append(f"{made.tied:.0%} of the last interactions have the time of another one of their user")
    if split.group_by == "user" and facts.ties > 1 - MOST_TIED:
        found.append(f"{facts.ties:.0%} of the interactions have the time of another one of their user")
    return found
