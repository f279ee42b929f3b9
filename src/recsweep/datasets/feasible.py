"""A split that cannot work is refused before the first trial, with the numbers and the key to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recsweep.datasets.check import FILTERS, Checked
from recsweep.datasets.count import part_sizes
from recsweep.sweeps.config import DatasetConfig
from recsweep.sweeps.documents import Document


@dataclass(frozen=True)
class Models:
    """The models of a sweep, by what their samples are."""

    sequential: tuple[str, ...]
    """Those that see a user's interactions in order: the first one is no sample."""
    others: tuple[str, ...]

    @classmethod
    def of(cls, kinds: Mapping[str, str]) -> Models:
        """From RecBole's kind of each model."""
        sequential = tuple(name for name, kind in kinds.items() if kind == "sequential")
        return cls(sequential, tuple(name for name in kinds if name not in sequential))

    def each(self) -> Iterator[tuple[bool, str]]:
        """Pairs, of those that there are: True for the sequential models, and their names."""
        for sequential, names in ((False, self.others), (True, self.sequential)):
            if names:
                yield sequential, ", ".join(names)


def check_split(dataset: DatasetConfig, document: Document, checked: Checked, models: Models) -> list[str]:
    """Refuse a data set on which no model can be trained, validated and tested; remarks on the rest.

    Raises:
        InputError: one item, one user, an empty part, or users for whom no negative can be drawn.
    """
    counts = checked.counts
    if counts.all_items < 2:
        raise document.error(
            _filter_or(dataset, "path"),
            f"{counts.interactions} interactions of {counts.users} users are left, all with one item; "
            "there is nothing to rank",
            _relax(dataset) + "use data with two items or more",
        )
    if counts.users < 2:
        raise document.error(
            _filter_or(dataset, "path"),
            f"{counts.interactions} interactions are left, all of one user; metrics are means over users",
            _relax(dataset) + "use data with two users or more",
        )
    if checked.disorder is not None and models.sequential:
        raise checked.disorder.error(", ".join(models.sequential), len(dataset.split.files))
    for sequential, names in models.each():
        _check_parts(dataset, document, checked, sequential, names)
    if not counts.full_users:
        return []
    full = f"{counts.full_users} of {counts.users} users have interactions with all {counts.all_items} items"
    if models.others:
        raise document.error(
            ("max_user_interactions",),
            f"{full}; {', '.join(models.others)} can draw no negative for them",
            f"set `max_user_interactions: {counts.all_items - 1}`, which drops them, or use more items",
        )
    return [f"{document.path.stem}: {full}"]


def _check_parts(
    dataset: DatasetConfig, document: Document, checked: Checked, sequential: bool, names: str
) -> None:
    counts, split = checked.counts, dataset.split
    sizes = checked.own_sizes.get(sequential)
    sizes = sizes or part_sizes(checked.reading, counts.histories, sequential=sequential)
    if sizes is None or all(sizes):
        return
    if split.type == "leave_one_out":
        needed = 4 if sequential else 3
        raise document.error(
            ("split", "type"),
            f"no user has the {needed} interactions that `leave_one_out` needs for {names}, the most is "
            f"{counts.longest}; there would be nothing to validate on",
            _relax(dataset) + "use longer histories, or `type: ratio`",
        )
    train, valid, test = sizes
    key, change = _KEYS.get(split.type, ("ratio", "change `ratio` or `group_by`"))
    raise document.error(
        ("split", key),
        f"the split leaves {train} samples for training, {valid} for validation and {test} for test of "
        f"{names}; there are {counts.interactions} interactions of {counts.users} users, the most of one is "
        f"{counts.longest}",
        _relax(dataset) + f"{change}, or use more data",
    )


_KEYS = {
    "leave_k_out": ("k", "lower `k`"),
    "global_date": ("test_from", "change `valid_from` or `test_from`, or give the `time_unit` of the data"),
    "k_fold": ("folds", "lower `folds`"),
    "files": ("files", "name other `files`"),
    "cold_users": ("ratio", "change `ratio`"),
    "cold_items": ("ratio", "change `ratio`"),
}
"""The key that decides on the sizes of parts, and what to do about it."""


def _filter_or(dataset: DatasetConfig, key: str) -> tuple[str]:
    return next(((name,) for name in FILTERS if getattr(dataset, name)), (key,))


def _relax(dataset: DatasetConfig) -> str:
    used = [f"`{name}`" for name in FILTERS if getattr(dataset, name)]
    return f"relax {' or '.join(used)}, or " if used else ""
