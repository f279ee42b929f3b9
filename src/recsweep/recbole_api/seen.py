"""The items that each user has in each part of a split, in two arrays a part instead of a set a user.

RecBole makes a set of Python numbers for each user and part, in every process that trains, and a tensor for
each user that is validated: some gigabytes for 20 million interactions. The arrays here are made with the
split, lie in its file, and all workers of a machine share their pages. Negatives are drawn by the same random
numbers, and are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

ATTRIBUTE = "seen_items"
"""Where a data set holds those of its part."""
_BITS = 1 << 26
"""Users times items up to which a bit stands for each pair: 8 MiB."""
_PAIRS_AT_ONCE = 1 << 18
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Seen:
    """Some different items for each user, in ascending order."""

    counts: torch.Tensor
    """[users] int64."""
    items: torch.Tensor
    """[pairs] int64, those of one user behind those of the user before."""

    @classmethod
    def of(cls, users: torch.Tensor, items: torch.Tensor, n_users: int, n_items: int) -> Seen:
        """Those of interactions, each a user and an item."""
        return cls._of_pairs(users.numpy() * np.int64(n_items) + items.numpy(), n_users, n_items)

    @classmethod
    def _of_pairs(cls, pairs: _Array, n_users: int, n_items: int) -> Seen:
        pairs.sort()
        first = np.ones(len(pairs), dtype=bool)
        np.not_equal(pairs[1:], pairs[:-1], out=first[1:])
        pairs = pairs[first]
        counts = np.bincount(pairs // n_items, minlength=n_users)
        pairs %= n_items
        return cls(torch.from_numpy(counts), torch.from_numpy(pairs))

    @classmethod
    def of_part(cls, dataset: Any) -> Seen:
        """Those of a part of a split, as they were kept with it, or counted now."""
        if kept := _kept(dataset):
            return cls(kept["counts"], kept["items"])
        users, items = (dataset.inter_feat[name] for name in (dataset.uid_field, dataset.iid_field))
        return cls.of(users, items, int(dataset.user_num), int(dataset.item_num))

    def of_user(self, user: int) -> torch.Tensor:
        """[some] int64."""
        return self.items[self.ends[user] : self.ends[user + 1]]

    @cached_property
    def ends(self) -> _Array:
        """[users + 1]: where each user's items begin, and the last one's end."""
        found = np.zeros(len(self.counts) + 1, dtype=np.int64)
        np.cumsum(self.counts.numpy(), out=found[1:])
        return found

    def pairs(self, n_items: int) -> _Array:
        """[pairs] int64: user times the number of items, and the item, in ascending order."""
        users = np.repeat(np.arange(len(self.counts)) * n_items, self.counts.numpy())
        users += self.items.numpy()
        return users

    def holds(self, users: _Array, items: _Array) -> _Array:
        """[asked] bool: the user has the item; both [asked]."""
        return self._find(users, items)[0]

    def without(self, some: Seen, n_items: int, *, of_its_users: bool = False) -> Seen:
        """The items that users have here, and not in some; these themselves where that is all of them.

        Args:
            of_its_users: of those users alone who have any in some.
        """
        places = []
        for users, items in _blocks(some.pairs(n_items), n_items):
            found, where = self._find(users, items)
            places.append(where[found])
        shared = np.concatenate(places)
        asked = some.counts > 0 if of_its_users else torch.ones(len(self.counts), dtype=torch.bool)
        owners = np.searchsorted(self.ends, shared, side="right") - 1
        counts = (self.counts - torch.from_numpy(np.bincount(owners, minlength=len(self.counts)))) * asked
        if int(counts.sum()) == len(self.items):
            return self
        left = torch.repeat_interleave(asked, self.counts)
        left[torch.from_numpy(shared)] = False
        chosen = self.items.numpy()[left.numpy()]  # torch would number them first
        return Seen(counts, torch.from_numpy(chosen))

    def _find(self, users: _Array, items: _Array) -> tuple[_Array, _Array]:
        """[asked] bool and int64: the user has the item, and where it stands."""
        low, high = self.ends[users], self.ends[users + 1]
        ends, last = high, len(self.items) - 1
        own = self.items.numpy()
        while (low < high).any():
            middle = (low + high) >> 1
            less = own[np.minimum(middle, last)] < items
            less &= low < high
            low, high = np.where(less, middle + 1, low), np.where(less, high, np.minimum(middle, high))
        found: _Array = low < ends
        found &= own[np.minimum(low, last)] == items if last >= 0 else False
        return found, low


def keep_with(dataset: Any) -> None:
    """Count what the users of a part have, and keep it there."""
    found = Seen.of_part(dataset)
    kept = {"counts": found.counts, "items": found.items, "rows": len(dataset.inter_feat)}
    setattr(dataset, ATTRIBUTE, kept)


def keep_hidden_with(dataset: Any, before: Any) -> None:
    """Keep what the users of a part had before and not in it, where it is not simply what all users had.

    Args:
        dataset: the part.
        before: the part before it, the only one.
    """
    had, right = Seen.of_part(before), Seen.of_part(dataset)
    hidden = had.without(right, int(dataset.item_num), of_its_users=True)
    if hidden is not had:
        kept = {"counts": hidden.counts, "items": hidden.items, "of": len(had.items)}
        getattr(dataset, ATTRIBUTE)["hidden"] = kept


def hidden_in(dataset: Any, before: Sequence[Seen], n_items: int) -> Seen:
    """The items that users of a part had in those before, and not in it: as kept with it, or found now."""
    kept = _kept(dataset).get("hidden")
    if kept is not None and [len(part.items) for part in before] == [kept["of"]]:
        return Seen(kept["counts"], kept["items"])
    return without(before, Seen.of_part(dataset), n_items)


def _kept(dataset: Any) -> Mapping[str, Any]:
    """All that was kept with a part; nothing where it is no more the same part."""
    kept: Mapping[str, Any] = getattr(dataset, ATTRIBUTE, None) or {}
    return kept if kept.get("rows") == len(dataset.inter_feat) else {}


def without(all_of: Sequence[Seen], some: Seen, n_items: int) -> Seen:
    """The items that users have in any of these, and not in some."""
    if len(all_of) == 1:
        return all_of[0].without(some, n_items)
    pairs = np.concatenate([seen.pairs(n_items) for seen in all_of])
    left = [~some.holds(*both) for both in _blocks(pairs, n_items)]
    return Seen._of_pairs(pairs[np.concatenate(left)], len(some.counts), n_items)


def _blocks(pairs: _Array, n_items: int) -> Iterator[tuple[_Array, _Array]]:
    """Users and items of some pairs at a time: they, and what is made of them, take memory too."""
    for begin in range(0, max(len(pairs), 1), _PAIRS_AT_ONCE):
        some = pairs[begin : begin + _PAIRS_AT_ONCE]
        yield some // n_items, some % n_items


class UsedItems:
    """In the place of a sampler's `used_ids`: a set for each user, made when it is asked for.

    Args:
        parts: the items of users in one part or more.
        n_items: with padding.
    """

    def __init__(self, parts: Sequence[Seen], n_items: int) -> None:
        self.parts, self.n_items = parts, n_items

    def __len__(self) -> int:
        return len(self.parts[0].counts)

    def __getitem__(self, users: Any) -> Any:
        if np.ndim(users) == 0:
            return {item for part in self.parts for item in part.of_user(int(users)).tolist()}
        return [self[user] for user in users]

    @cached_property
    def bits(self) -> _Array:
        """[users x n_items / 8] uint8, bits of pairs, the lowest first; empty where those are too many."""
        if len(self) * self.n_items > _BITS:
            return np.empty(0, dtype=np.uint8)
        pairs = np.zeros(len(self) * self.n_items, dtype=bool)
        for part in self.parts:
            pairs[part.pairs(self.n_items)] = True
        return np.packbits(pairs, bitorder="little")

    def holds(self, users: _Array, items: _Array) -> _Array:
        """[asked] bool: the user has the item in one of the parts."""
        bits = self.bits
        if not len(bits):
            found = self.parts[0].holds(users, items)
            for part in self.parts[1:]:
                found |= part.holds(users, items)
            return found
        asked = users * self.n_items + items
        return np.asarray((bits[asked >> 3] >> (asked & 7)) & 1, dtype=bool)

    def complete(self) -> bool:
        """Some user has every item."""
        most = np.sum([part.counts.numpy() for part in self.parts], axis=0)
        return any(len(self[user]) + 1 == self.n_items for user in np.flatnonzero(most + 1 >= self.n_items))


class Lists:
    """A tensor of items for each user, as RecBole's loader of a validation has them.

    Args:
        find: gives the items when they are first asked for: a search tests nothing.
    """

    def __init__(self, find: Callable[[], Seen]) -> None:
        self._find = find

    @cached_property
    def seen(self) -> Seen:
        """The items."""
        return self._find()

    def __getitem__(self, users: Any) -> Any:
        if np.ndim(users) == 0:
            return self.seen.of_user(int(users))
        return [self.seen.of_user(int(user)) for user in users]


def install(samplers: Any, loaders: Any, used_by: Any) -> None:
    """Let RecBole's splits be put together for a trial with these.

    Args:
        samplers, loaders: RecBole's modules with `Sampler` and `FullSortEvalDataLoader`.
        used_by: its module that makes them; changed in place.
    """
    used_by.Sampler = _sampler(samplers.Sampler)
    used_by.FullSortEvalDataLoader = _full_sort(loaders.FullSortEvalDataLoader)


def _sampler(base: type[Any]) -> type[Any]:
    class Sampler(base):  # type: ignore[misc]
        def get_used_ids(self) -> Mapping[str, UsedItems]:
            parts = [Seen.of_part(dataset) for dataset in self.datasets]
            found = {
                phase: UsedItems(parts[: number + 1], int(self.item_num))
                for number, phase in enumerate(self.phases)
            }
            if found[self.phases[-1]].complete():
                raise ValueError(
                    "Some users have interacted with all items, "
                    "which we can not sample negative items for them. "
                    "Please set `user_inter_num_interval` to filter those users."
                )  # RecBole's words
            return found

        def sample_by_key_ids(self, key_ids: Iterable[int], num: int) -> torch.Tensor:
            """As RecBole's, which asks a set for each: anew for what the user has, until none is left."""
            users = np.tile(np.asarray(key_ids), num)
            drawn = np.asarray(self.sampling(len(users)), dtype=np.int64)
            wrong = np.flatnonzero(self.used_ids.holds(users, drawn))
            while len(wrong):
                drawn[wrong] = self.sampling(len(wrong))
                wrong = wrong[self.used_ids.holds(users[wrong], drawn[wrong])]
            return torch.from_numpy(drawn)

    return Sampler


def _full_sort(base: type[Any]) -> type[Any]:
    class FullSortEvalDataLoader(base):  # type: ignore[misc]
        def __init__(self, config: Any, dataset: Any, sampler: Any, shuffle: bool = False) -> None:
            used = getattr(sampler, "used_ids", None)
            if config["MODEL_TYPE"].name == "SEQUENTIAL" or not isinstance(used, UsedItems):
                super().__init__(config, dataset, sampler, shuffle=shuffle)
                return
            right = Seen.of_part(dataset)
            self.uid_field, self.iid_field, self.is_sequential = dataset.uid_field, dataset.iid_field, False
            self.uid_list = torch.nonzero(right.counts).squeeze(1)
            self.uid2items_num = right.counts.numpy()
            self.uid2positive_item = Lists(lambda: right)
            before = used.parts[:-1] or used.parts
            self.uid2history_item = Lists(lambda: hidden_in(dataset, before, used.n_items))
            self.user_df = dataset.join(type(dataset.inter_feat)({self.uid_field: self.uid_list}))
            self.sample_size = len(self.user_df)
            super(base, self).__init__(config, dataset, sampler, shuffle=False)

    return FullSortEvalDataLoader
