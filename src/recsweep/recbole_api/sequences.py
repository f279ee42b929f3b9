"""The samples of sequential models, made on whole columns: each interaction with those of its user before it.

RecBole fills and pads them row by row. Here they are windows of one array (`windows`), the same to the last
row for whoever looks at them.
"""

from __future__ import annotations

from typing import Any

import torch

from recsweep.recbole_api.windows import Windows


def with_samples(cls: type[Any]) -> type[Any]:
    """A sequential data set class that makes its samples so where columns have one value in a cell."""

    class Augmented(cls):  # type: ignore[misc]
        inter_feat: Any

        def data_augmentation(self) -> None:
            if all(column.dim() == 1 for column in self.inter_feat.interaction.values()):
                _augment(self, self.config["MAX_ITEM_LIST_LENGTH"])
            else:
                super().data_augmentation()

    return Augmented


def _augment(dataset: Any, longest: int) -> None:
    dataset._aug_presets()
    dataset._check_field("uid_field", "time_field")
    dataset.sort(by=[dataset.uid_field, dataset.time_field], ascending=True)
    rows = dataset.inter_feat
    users = rows[dataset.uid_field]
    places = torch.arange(len(users))
    begins = torch.ones(len(users), dtype=torch.bool)
    begins[1:] = users[1:] != users[:-1]
    first = torch.cummax(torch.where(begins, places, 0), dim=0).values
    targets = places[~begins]
    starts = torch.maximum(first[targets], targets - longest)
    lengths = targets - starts
    if len(users) + longest < 2**31:
        starts = starts.int()
    samples = {name: column[targets] for name, column in rows.interaction.items()}
    samples[dataset.item_list_length_field] = lengths
    for name, column in rows.interaction.items():
        if name != dataset.uid_field:
            array = torch.cat([column, column.new_zeros(longest)])
            samples[getattr(dataset, f"{name}_list_field")] = Windows(array, starts, lengths, longest)
    dataset.inter_feat = type(rows)(samples)
