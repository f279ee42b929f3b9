"""Negatives of samples: RecBole's own, number for number, or those of a faster stream.

RecBole draws one number for each sample, then one more for each that got a wrong one, until there is none.
That is done here on arrays, or compiled, with words from the same generator of NumPy's, which is left where
RecBole leaves it.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api.seen import Seen, UsedItems

_Array = np.ndarray[Any, Any]
_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64 - 1
_SAMPLES_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Samples:
    """The samples of an epoch, and what no negative of theirs may be."""

    kind: str
    """`unseen`: an item that the sample's user has; `others`: the sample's own item."""
    owners: torch.Tensor
    """[samples] int64, users or items."""
    n_items: int
    """With padding, item 0."""
    wrong: Callable[[_Array, _Array], _Array]
    """[some] bool, of owners and items [some]."""
    columns: tuple[torch.Tensor, ...] = ()
    """Tensors by which the kernels say the same themselves."""

    @classmethod
    def of(cls, loader: Any) -> Samples:
        """Those of RecBole's training loader: its sampler is for sequences, or for users."""
        fields, sampler = loader._dataset.inter_feat.interaction, loader._sampler
        items, n_items = fields[loader.config["ITEM_ID_FIELD"]], int(sampler.item_num)
        if type(sampler).__name__ == "RepeatableSampler":
            return cls("others", items.contiguous(), n_items, np.equal)
        part = Seen.of_part(loader._dataset)
        seen = UsedItems([part], n_items)
        columns = (torch.from_numpy(seen.bits), torch.from_numpy(part.ends), part.items.contiguous())
        users = fields[loader.config["USER_ID_FIELD"]].contiguous()
        return cls("unseen", users, n_items, seen.holds, columns)


class Draws(ABC):
    """Negatives, epoch after epoch.

    Args:
        samples: whose.
        times: negatives of a sample.
        kernels: the compiled operators, or None.
    """

    def __init__(self, samples: Samples, times: int, kernels: Any | None) -> None:
        self._samples, self._times, self._kernels = samples, times, kernels

    def begin(self) -> None:  # noqa: B027  # RecBole's draws know no epochs
        """An epoch begins."""

    @abstractmethod
    def draw(self, rows: torch.Tensor) -> torch.Tensor:
        """[times x rows] int64: first negatives of samples [rows] int64, then the second, …"""


class RecboleDraws(Draws):
    """By `numpy.random.randint`, as RecBole's samplers."""

    def draw(self, rows: torch.Tensor) -> torch.Tensor:
        return self._on_arrays(rows) if self._kernels is None else self._compiled(rows)

    def _compiled(self, rows: torch.Tensor) -> torch.Tensor:
        asked = self._samples
        generator: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]  # numpy's stubs lack it
        words = generator.ctypes
        address = ctypes.cast(words.next_uint32, ctypes.c_void_p).value
        draw = getattr(self._kernels, f"draw_{asked.kind}")
        numbers = (rows, self._times, asked.owners, *asked.columns, asked.n_items)
        with generator.lock:
            found: torch.Tensor = draw(address, words.state_address, *numbers)
        return found

    def _on_arrays(self, rows: torch.Tensor) -> torch.Tensor:
        asked = self._samples
        owners = np.tile(asked.owners.numpy()[rows.numpy()], self._times)
        values = np.random.randint(1, asked.n_items, len(owners))
        wrong = np.flatnonzero(asked.wrong(owners, values))
        while len(wrong):
            values[wrong] = np.random.randint(1, asked.n_items, len(wrong))
            wrong = wrong[asked.wrong(owners[wrong], values[wrong])]
        return torch.from_numpy(values)


class HashedDraws(Draws):
    """By a hash of the sample's number, with a key that NumPy's generator gives for each epoch.

    An epoch's negatives are drawn at once, in the order of the data, where a user's samples lie together;
    they depend neither on batches nor on threads. The law is RecBole's: uniform over the items left.
    """

    def __init__(self, samples: Samples, times: int, kernels: Any | None) -> None:
        super().__init__(samples, times, kernels)
        self._values = torch.empty((times, 0), dtype=torch.int32)

    def begin(self) -> None:
        asked, key = self._samples, int(np.random.randint(0, 2**63 - 1))
        if self._kernels is None:
            self._values = self._on_arrays(key)
            return
        draw = getattr(self._kernels, f"hash_{asked.kind}")
        self._values = draw(key, self._times, asked.owners, *asked.columns, asked.n_items)

    def draw(self, rows: torch.Tensor) -> torch.Tensor:
        return self._values[:, rows].reshape(-1).long()

    def _on_arrays(self, key: int) -> torch.Tensor:
        owners = self._samples.owners.numpy()
        values = np.empty(self._times * len(owners), dtype=np.int32)
        for begin in range(0, len(values), _SAMPLES_AT_ONCE):
            asked = np.arange(begin, min(begin + _SAMPLES_AT_ONCE, len(values)))
            attempt = 0
            while len(asked):
                found = _hashed(key, attempt, asked, self._samples.n_items)
                values[asked] = found
                asked = asked[self._samples.wrong(owners[asked % len(owners)], found)]
                attempt += 1
        return torch.from_numpy(values.reshape(self._times, -1))


def _hashed(key: int, attempt: int, samples: _Array, n_items: int) -> _Array:
    """As the kernel's: splitmix64 makes a try's key, `lowbias32` (Wellons 2018) a sample's word of that."""
    mixed = (key + (attempt + 1) * _GOLDEN) & _WORD
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
    mixed ^= mixed >> 31
    word = samples.astype(np.uint32) * np.uint32(0x9E3779B9) + np.uint32(mixed & (2**32 - 1))
    word ^= word >> np.uint32(16)
    word *= np.uint32(0x7FEB352D)
    word += np.uint32(mixed >> 32)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x846CA68B)
    word ^= word >> np.uint32(16)
    found: _Array = 1 + ((word.astype(np.uint64) * np.uint64(n_items - 1)) >> np.uint64(32)).astype(np.int64)
    return found
