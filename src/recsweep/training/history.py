"""The interactions that are known when lists are made: a user's sequence, and the items that it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recsweep.recbole_api.data import interaction, interactions
from recsweep.training.fast.table import Pairs, Table
from recsweep.training.scoring import Scorer

EVERYTHING, BEFORE_TEST = "all", "train+valid"
"""The whole data set; all but the test data, which is how a test sees the users."""
HISTORIES = (EVERYTHING, BEFORE_TEST)


@dataclass(frozen=True)
class History:
    """All that is known of the users of a data set."""

    users: torch.Tensor
    """[users] int64: those that a model can make a list for, by RecBole's numbers, in ascending order."""
    seen: Pairs
    """For each of all users, those without an item too, its items in ascending order."""
    _scorer: Scorer
    _rows: dict[str, torch.Tensor]
    _last: torch.Tensor
    """[all users] int64: where in the rows each user's last one is; of sequences alone."""

    @classmethod
    def of(cls, scorer: Scorer, upto: str = EVERYTHING) -> History:
        """The history of the users of a split, with the test data or without."""
        parts = scorer.split.parts[: 3 if upto == EVERYTHING else 2]
        columns = [part.inter_feat.interaction for part in parts]
        rows = {name: torch.cat([part[name] for part in columns]) for name in columns[0]}
        dataset = scorer.loader._dataset
        users = rows[dataset.uid_field].long()
        owners, items = interactions(dataset, rows)
        n_users, n_items = int(dataset.user_num), int(dataset.item_num)
        pairs = torch.unique(owners * n_items + items)
        counts = torch.bincount(pairs // n_items, minlength=n_users)
        last = torch.full((n_users,), -1).scatter_reduce(0, users, torch.arange(len(users)), "amax")
        return cls(torch.nonzero(last >= 0).squeeze(1), Pairs(counts, pairs % n_items), scorer, rows, last)

    def table(self, users: torch.Tensor) -> Table:
        """Some users as a family of models scores them, a row each."""
        loader, device = self._scorer.loader, self._scorer.device
        if not self._scorer.is_sequential:
            found = loader._dataset.join(interaction({loader.uid_field: users}))
            return Table.with_users(users.to(device), device, found.__getitem__)
        fields = self._sequences(users)
        config, item = loader.config, loader.iid_field
        sequences = fields[item + config["LIST_SUFFIX"]].long()
        lengths = fields[config["ITEM_LIST_LENGTH_FIELD"]].long()
        asked = loader.transform(loader._dataset, interaction(dict(fields)))
        return Table(
            users=users.to(device),
            items=fields[item].long().to(device),
            sequences=sequences.contiguous().to(device),
            lengths=lengths,
            device=device,
            columns=asked.__getitem__,
        )

    def _sequences(self, users: torch.Tensor) -> dict[str, torch.Tensor]:
        """The last row of each user, whose own item has become the last of its sequence."""
        config = self._scorer.loader.config
        suffix, count = config["LIST_SUFFIX"], config["ITEM_LIST_LENGTH_FIELD"]
        fields = {name: values[self._last[users]] for name, values in self._rows.items()}
        lengths = fields[count].long()
        for name, values in _lists(fields, suffix):
            width = values.shape[1]
            full = (lengths == width).view(-1, *[1] * (values.dim() - 1))
            longer = torch.where(full, values.roll(-1, dims=1), values)
            longer[torch.arange(len(users)), lengths.clamp(max=width - 1)] = fields[name].to(values.dtype)
            fields[name + suffix] = longer
            fields[count] = (lengths + 1).clamp(max=width).to(fields[count].dtype)
        return fields


def _lists(fields: dict[str, torch.Tensor], suffix: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The columns that hold what is in another column, of a user's rows until then."""
    for name in list(fields):
        if name + suffix in fields:
            yield name, fields[name + suffix]


def texts_of(dataset: Any, column: str) -> Any:
    """The data set's own ids of users or items, by RecBole's numbers; [numbers] NumPy array of str."""
    return dataset.field2id_token[column]
