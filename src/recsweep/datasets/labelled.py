"""The labels of the interactions that the filters leave: how many rows a model would learn as 1, and as 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsweep.common.errors import InputError
from recsweep.datasets.count import filtered_rows
from recsweep.datasets.tables import Tables
from recsweep.recbole_api.needs import LABEL
from recsweep.sweeps.config import DatasetConfig


@dataclass(frozen=True)
class Labels:
    """Rows by their label."""

    ones: int
    zeros: int


def count_labels(dataset: DatasetConfig, tables: Tables) -> Labels | None:
    """The labels that a data set's threshold or its column of labels gives; None where it gives none.

    Raises:
        InputError: a label that is neither 0 nor 1, a rating that is not on its scale, or nothing to compare
            with the threshold.
    """
    _check_scale(dataset, tables)
    inter = tables.kept_rows()
    rows = filtered_rows(tables, inter)
    for name, bound in dataset.label_threshold.items():
        values = inter.numbers[name][rows]
        if np.isnan(values).all():
            raise InputError(inter.path, f"`{name}` is empty in every row that is kept", "fill it in", 1, 1)
        filled = np.where(np.isnan(values), np.nanmean(values), values)  # as RecBole does
        ones = int(np.count_nonzero(filled >= bound))
        return Labels(ones, len(values) - ones)
    if LABEL not in inter.numbers:
        return None
    _check_column(tables)
    labels = inter.numbers[LABEL][rows]
    ones = int(np.count_nonzero(labels))
    return Labels(ones, len(labels) - ones)


def _check_scale(dataset: DatasetConfig, tables: Tables) -> None:
    """Every rating that is a label is there, and lies on the scale."""
    table = tables.interactions
    for name, (least, most) in dataset.label_scale.items():
        ratings = table.numbers[name]
        wrong = np.flatnonzero(~((ratings >= least) & (ratings <= most)))
        if len(wrong):
            row = int(wrong[0])
            found = "is empty" if np.isnan(ratings[row]) else f"lies outside, at {ratings[row]:g}"
            raise table.error(
                name,
                row,
                f"`{name}` is a label on a scale of {least:g} to {most:g} (`label_scale`), and {found}",
                "correct it, drop the row, or widen the scale",
            )


def _check_column(tables: Tables) -> None:
    table = tables.interactions
    labels = table.numbers[LABEL]
    wrong = np.flatnonzero((labels != 0) & (labels != 1))
    if len(wrong):
        row = int(wrong[0])
        found = "is empty" if np.isnan(labels[row]) else f"must be 0 or 1, but got {labels[row]:g}"
        raise table.error(LABEL, row, f"`{LABEL}` {found}", "use `label_threshold` for other numbers")
