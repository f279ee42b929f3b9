"""Sequences without their padding, packed step by step, as a recurrence goes through them.

torch's own packing copies a step at a time, forward and backward, and padding it again does so too: hundreds
of small copies a batch. Here every item's place is computed at once where the sequences are, and nothing is
asked of the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Lengths:
    """The lengths of some sequences, the longest one first, each at least 1."""

    here: torch.Tensor
    """[rows] int64, on the CPU, where batches are planned."""
    there: torch.Tensor
    """[rows] int64, the same where the sequences are."""

    @property
    def longest(self) -> int:
        """Of all of them."""
        return int(self.here[0])


@dataclass(frozen=True)
class Packing:
    """The first items of all sequences, then all second ones, and so on; none of padding."""

    sizes: torch.Tensor
    """[longest] int64, on the CPU: how many sequences have such a step."""
    steps: torch.Tensor
    """[items] int64: the place of each item in its sequence."""
    rows: torch.Tensor
    """[items] int64: its sequence."""

    @classmethod
    def of(cls, lengths: Lengths) -> Packing:
        """The packing of sequences of these lengths."""
        rows, longest = len(lengths.here), lengths.longest
        sizes = rows - torch.bincount(lengths.here, minlength=longest).cumsum(0)[:longest]
        device = lengths.there.device
        every = torch.arange(longest, device=device)
        there = (lengths.there > every[:, None]).sum(1)
        items = int(sizes.sum())
        steps = torch.repeat_interleave(every, there, output_size=items)
        begins = there.cumsum(0) - there
        return cls(sizes, steps, torch.arange(items, device=device) - begins[steps])

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """[items, d], of one value [rows, d] for each sequence."""
        result: torch.Tensor = _Spread.apply(self, values)  # type: ignore[no-untyped-call]
        return result

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """[rows, d]: the sum over each sequence's items, of their values [items, d]."""
        result: torch.Tensor = _Sums.apply(self, values)  # type: ignore[no-untyped-call]
        return result

    def added(self, values: torch.Tensor) -> torch.Tensor:
        """`sums` without autograd, in an order that does not change from run to run."""
        padded = values.new_zeros(len(self.sizes), int(self.sizes[0]), values.shape[1])
        padded[self.steps, self.rows] = values
        return padded.sum(0)


class _Spread(torch.autograd.Function):
    """Its gradient is a sum over the same items; torch's would add them up one by one, in any order."""

    @staticmethod
    def forward(ctx: Any, packing: Packing, values: torch.Tensor) -> torch.Tensor:
        ctx.packing = packing
        return values[packing.rows]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, ctx.packing.added(gradients[0])


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, packing: Packing, values: torch.Tensor) -> torch.Tensor:
        ctx.packing = packing
        return packing.added(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, gradients[0][ctx.packing.rows]
