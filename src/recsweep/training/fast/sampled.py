"""Validation among sampled candidates: RecBole's own draws, and the candidates of many users scored at once.

RecBole draws for one user after the other, anew in each validation, from NumPy's generator; the same is taken
from there here, in the same order. It then puts a batch's scores into a row of all items, minus infinity
elsewhere, which is what is ranked here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsweep.training.fast.base import Family
from recsweep.training.fast.scores import Matrix, Scores, rows_at_once
from recsweep.training.fast.table import Features, Labels, Pairs, Table

PAIRS_AT_ONCE = 1 << 16
"""Candidates that RecBole's own code scores in a row, in batches of its size."""
Part = tuple[torch.Tensor, Scores]
Draw = Callable[[int], NDArray[np.int64]]


class Candidates:
    """The users of a RecBole loader that samples candidates, and these.

    Args:
        loader: RecBole's `NegSampleEvalDataLoader` of pairs, without sequences.
        device: of the trial.
    """

    def __init__(self, loader: Any, device: torch.device) -> None:
        self._loader, self._data = loader, loader._dataset
        self._items = self._data.inter_feat[loader.iid_field].numpy()
        self._rows: torch.Tensor | None = None
        spans = [loader.uid2index[user] for user in loader.uid_list]
        right = [torch.from_numpy(np.unique(self._items[span])) for span in spans]
        self._spans, self._used = spans, [_array(loader._sampler.used_ids[u]) for u in loader.uid_list]
        self.labels = _labels(right, device)
        self.table = _table(loader, self.labels, device)
        self.n_items = int(self._data.item_num)
        self.pairs = self.labels.hidden

    def draw(self) -> None:
        """The candidates of the next validation, as RecBole would draw them."""
        times, draw = int(self._loader.times), _drawer(self._loader._sampler)
        seen = np.zeros(self.n_items, dtype=np.bool_)
        rows, items, counts = [], [], []
        for span, used in zip(self._spans, self._used, strict=True):
            own = np.arange(span.start, span.stop)
            seen[used] = True
            items += [self._items[own], _unseen(draw, len(own) * (times - 1), seen)]
            seen[used] = False
            rows.append(np.tile(own, times))
            counts.append(len(own) * times)
        device = self.table.device
        self._rows = torch.from_numpy(np.concatenate(rows))
        self.pairs = Pairs(
            *(torch.from_numpy(some).to(device) for some in (np.array(counts), np.concatenate(items)))
        )

    def scores(self, family: Family) -> Iterator[Part]:
        """Users and the scores of all items, minus infinity but for the candidates."""
        at_once = rows_at_once(self.n_items)
        for rows, scores in family.scores(self.table):
            for begin in range(0, len(rows), at_once):
                some = rows[begin : begin + at_once]
                owners, items = self.pairs.at(some)
                values = torch.full((len(some), self.n_items), -torch.inf, device=self.table.device)
                values[owners, items] = scores.at(owners + begin, items).to(values.dtype)
                yield some, Matrix(values)

    def recboles(self, trainer: Any) -> Iterator[Part]:
        """The same by the model's own `predict`, in RecBole's way."""
        trainer.tot_item_num = self.n_items
        ends, begin = self.pairs.ends.cpu(), 0
        most = rows_at_once(self.n_items)
        while begin < len(ends):
            done = int(ends[begin - 1]) if begin else 0
            after = int(torch.searchsorted(ends, done + PAIRS_AT_ONCE, right=True))
            after = min(max(after, begin + 1), begin + most)
            owners, items = (some.cpu() for some in self.pairs.within(begin, after))
            asked = self._interaction(slice(done, int(ends[after - 1])), items)
            batch = (asked, owners.to(trainer.device), owners[-1:], items)
            yield torch.arange(begin, after), Matrix(trainer._neg_sample_batch_eval(batch)[1])
            begin = after

    def _interaction(self, part: slice, items: torch.Tensor) -> Any:
        """Columns of candidates: of their users' interactions, with the features of the items themselves."""
        asked = self._data[self._rows[part]]  # type: ignore[index]
        asked[self._loader.iid_field] = items
        return self._data.join(asked)


def _labels(right: list[torch.Tensor], device: torch.device) -> Labels:
    """The right items; what is no candidate has no score, so that nothing need be hidden."""
    found = Pairs.of(right, device)
    return Labels(found, Pairs.none(len(right), device))


def _table(loader: Any, labels: Labels, device: torch.device) -> Table:
    data = loader._dataset
    users = torch.from_numpy(np.asarray(loader.uid_list, dtype=np.int64))
    frame = data.join(type(data.inter_feat)({loader.uid_field: users}))
    return Table.with_users(users.to(device), device, frame.__getitem__, labels, partial(Features.of, data))


def _array(items: Any) -> NDArray[np.int64]:
    return np.fromiter(items, dtype=np.int64, count=len(items))


def _unseen(draw: Draw, count: int, seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """RecBole's `sample_by_key_ids` for one user: drawn again until none is seen."""
    values = draw(count)
    wrong = np.flatnonzero(seen[values])
    while len(wrong):
        values[wrong] = draw(len(wrong))
        wrong = wrong[seen[values[wrong]]]
    return values


def _drawer(sampler: Any) -> Draw:
    """RecBole's `sampling`, on arrays."""
    if sampler.distribution == "uniform":
        return lambda count: np.random.randint(1, int(sampler.item_num), count)
    keys = np.array(list(sampler.prob), dtype=np.int64)
    chances = np.array([sampler.prob[key] for key in keys])
    others = np.array([sampler.alias[key] for key in keys], dtype=np.int64)

    def popular(count: int) -> NDArray[np.int64]:
        chosen, chance = np.random.randint(0, len(keys), count), np.random.random(count)
        return np.where(chances[chosen] > chance, keys[chosen], others[chosen])

    return popular
