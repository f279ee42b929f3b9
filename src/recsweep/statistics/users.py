"""The scores of each user, of one tested model: a row a user, a column a metric."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from recsweep.common.errors import InputError
from recsweep.common.files import to_plain
from recsweep.common.parquet import read_parquet, write_parquet

Floats = NDArray[np.float64]
USER = "user"
"""The column that names a user."""
_ABOUT = "recsweep"
"""The note of the file that holds our facts."""


@dataclass(frozen=True)
class UserScores:
    """The worth of a tested model to each user.

    The mean of a column is the metric as RecBole computes it. Where RecBole weighs users (those with several
    test cases of their own, or GAUC by its positives), a user's value is its share in that mean.
    """

    users: NDArray[np.str_]
    """The data set's own ids, sorted as text: the same order for every model of a data set."""
    metrics: Mapping[str, Floats]
    """A value for each user, by RecBole's names in lower case (`ndcg@10`)."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Plain facts: which study and trial was tested."""

    @classmethod
    def of_rows(
        cls, users: NDArray[np.str_], rows: Mapping[str, Floats], about: Mapping[str, Any] | None = None
    ) -> UserScores:
        """Of test cases, of which a user may have several.

        Args:
            users: the user of each row.
            rows: a value for each row, by metric.
        """
        names, number = np.unique(users, return_inverse=True)
        share = len(names) / max(len(users), 1)
        found: dict[str, Floats] = {
            name: np.bincount(number, weights=values, minlength=len(names)).astype(np.float64) * share
            for name, values in rows.items()
        }
        return cls(names, found, about or {})

    def means(self) -> dict[str, float]:
        """Each metric over all users."""
        return {name: float(values.mean()) for name, values in self.metrics.items() if len(values)}

    def write(self, target: Path) -> None:
        """Write `users.parquet`, whole or not at all."""
        kinds = {USER: "text", **dict.fromkeys(self.metrics, "float64")}
        columns = {USER: self.users.tolist(), **self.metrics}
        write_parquet(target, kinds, columns, {_ABOUT: json.dumps(to_plain(self.about))})

    @classmethod
    def read(cls, path: Path) -> UserScores:
        """Read what `write` wrote.

        Raises:
            InputError: there is no such file, or it is none of this kind.
        """
        columns, notes = read_parquet(path)
        if USER not in columns:
            raise InputError(path, f"has no column `{USER}`", "name a file of scores per user")
        users = columns.pop(USER).astype(np.str_)
        metrics = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
        return cls(users, metrics, json.loads(notes.get(_ABOUT, "{}")))

    def write_csv(self, target: TextIO) -> None:
        """Write a row a user, a column a metric, every digit of each value."""
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow([USER, *self.metrics])
        columns = [values.tolist() for values in self.metrics.values()]
        writer.writerows(zip(self.users.tolist(), *columns, strict=True))
