"""How interactions become training, validation and test data: the ways that people know, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from recsweep.sweeps.moments import Moment, in_unit, is_date
from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.values import MOST_ROWS, MOST_SEED, Real, Text, Whole

NAMES: Mapping[str, Mapping[str, Any]] = {
    "random": {"type": "ratio", "order": "random", "group_by": "none"},
    "random_by_user": {"type": "ratio", "order": "random", "group_by": "user"},
    "temporal_by_user": {"type": "ratio", "order": "time", "group_by": "user"},
    "global_time": {"type": "ratio", "order": "time", "group_by": "none"},
}
"""Names that people know of what `ratio`, `order` and `group_by` say together."""
_IMPLIED: Mapping[str, Mapping[str, Any]] = {**NAMES, "k_fold": {"order": "random"}}
_OWN = ("leave_k_out", "global_date", "k_fold", "files", "cold_users", "cold_items")
_READ_BY: Mapping[str, tuple[str, ...]] = {
    "k": ("leave_k_out",),
    "valid_from": ("global_date",),
    "test_from": ("global_date",),
    "folds": ("k_fold",),
    "fold": ("k_fold",),
    "files": ("files",),
}
"""The ways that read a key; the older ones always took whatever stood there."""
LATER = frozenset({*_READ_BY, "seed"})
"""Keys that are no part of a study's definition while they are what they were before there was a choice."""


class SplitConfig(Frozen):
    """How interactions become training, validation and test data."""

    type: Literal[
        "leave_one_out",
        "ratio",
        "leave_k_out",
        "global_date",
        "k_fold",
        "files",
        "cold_users",
        "cold_items",
    ] = "leave_one_out"
    """`leave_one_out`: each user's last interaction is for test, the one before for validation. `random`,
    `random_by_user`, `temporal_by_user` and `global_time` are `ratio` with its `order` and `group_by`."""
    ratio: tuple[Real, Real, Real] = (0.8, 0.1, 0.1)
    """For splits by ratio: training, validation and test, together 1; for `cold_users` and `cold_items`, of
    users or items."""
    order: Literal["time", "random"] = "time"
    """`time`: train on the past, test on what came later."""
    group_by: Literal["user", "none"] = "user"
    """For `ratio` and `k_fold`: divide each user's interactions, or all together."""
    k: Whole = Field(1, ge=1, le=MOST_ROWS)
    """For `leave_k_out`: interactions of each user for test, and as many for validation."""
    valid_from: Moment | None = None
    """For `global_date`: the first moment of validation, such as `1998-02-01`."""
    test_from: Moment | None = None
    """For `global_date`: the first moment of the test."""
    folds: Whole = Field(5, ge=3, le=1000)
    """For `k_fold`: parts, each of which is the test once."""
    fold: Whole = Field(1, ge=1, le=1000)
    """For `k_fold`: the fold that is the test of the search; the next one is for validation."""
    files: tuple[Text, ...] = Field(("train", "valid", "test"), min_length=2, max_length=3)
    """For `files`: parts of the names of training, validation and test files, as in `<name>.train.inter`. Of
    two, training and test, validation is a share of each user's training data, by `ratio`."""
    seed: Whole | None = Field(None, ge=0, le=MOST_SEED)
    """Draws what is drawn at random. None: the sweep's seed."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            return given
        name = given["type"].strip().lower().replace("-", "_")
        implied = _IMPLIED.get(name, {})
        for key, value in implied.items():
            if key != "type" and given.get(key, value) != value:
                raise ValueError(f"`type: {given['type']}` is `{key}: {value}`, but got {given[key]!r}")
        return {**given, "type": name, **implied}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.type == "ratio" or self.type in ("cold_users", "cold_items"):
            self._check_ratio()
        for name, readers in _READ_BY.items():
            value = getattr(self, name)
            if self.type not in readers and value != type(self).model_fields[name].default:
                raise ValueError(f"`{name}` belongs to type {readers[0]}, but type is {self.type}")
        if self.type == "global_date":
            self._check_moments()
        if self.type == "k_fold" and self.fold > self.folds:
            raise ValueError(f"`fold` must be one of the {self.folds} folds, but got {self.fold}")
        if self.type == "files" and len(set(self.files)) < len(self.files):
            raise ValueError(f"`files` must name different files, but got {list(self.files)}")
        return self

    def _check_ratio(self) -> None:
        if not min(self.ratio) > 0:
            raise ValueError(f"each part of `ratio` must be > 0, but got {list(self.ratio)}")
        if abs(sum(self.ratio) - 1) > 1e-9:
            raise ValueError(f"`ratio` must sum to 1, but sums to {sum(self.ratio):g}")

    def _check_moments(self) -> None:
        if self.valid_from is None or self.test_from is None:
            raise ValueError("`global_date` needs `valid_from` and `test_from`, such as 1998-02-01")
        if is_date(self.valid_from) != is_date(self.test_from):
            raise ValueError(
                f"both moments must be dates, or both numbers, but got {self.valid_from} and {self.test_from}"
            )
        if in_unit(self.valid_from) >= in_unit(self.test_from):
            raise ValueError(
                f"`valid_from` must be before `test_from`, but got {self.valid_from} and {self.test_from}"
            )

    @property
    def own(self) -> bool:
        """True for a way that RecBole has not: recsweep divides."""
        return self.type in _OWN

    @property
    def drawn(self) -> bool:
        """True where a seed decides who goes where."""
        by_seed = ("k_fold", "cold_users", "cold_items")
        return self.type in by_seed or self._at_random or (self.type == "files" and len(self.files) == 2)

    @property
    def _at_random(self) -> bool:
        return self.order == "random" and self.type in ("leave_one_out", "ratio", "leave_k_out")

    @property
    def needs_times(self) -> bool:
        """True where it divides by time."""
        by_order = ("leave_one_out", "ratio", "leave_k_out")
        return self.type == "global_date" or (self.order == "time" and self.type in by_order)

    @property
    def name(self) -> str:
        """The name that people know; `random_by_user` for a ratio at random, of each user."""
        if self.type != "ratio":
            return self.type
        said = {"type": "ratio", "order": self.order, "group_by": self.group_by}
        return next(name for name, keys in NAMES.items() if keys == said)

    @property
    def text(self) -> str:
        """`leave-one-out by time`, or `random by user 0.8:0.1:0.1`."""
        order = "by time" if self.order == "time" else "at random"
        parts = ":".join(f"{share:g}" for share in self.ratio)
        if self.type == "ratio":
            return f"{self.name.replace('_', ' ')} {parts}"
        of_whom = " of each user" if self.group_by == "user" else ""
        return {
            "leave_one_out": f"leave-one-out {order}",
            "leave_k_out": f"leave-{self.k}-out {order}",
            "global_date": f"global date (validation from {self.valid_from}, test from {self.test_from})",
            "k_fold": f"{self.folds}-fold at random{of_whom}, searched on fold {self.fold}",
            "files": f"files already split ({', '.join(self.files)})" + self._drawn_validation,
            "cold_users": f"cold-start users {parts}",
            "cold_items": f"cold-start items {parts}",
        }[self.type]

    @property
    def _drawn_validation(self) -> str:
        if self.type != "files" or len(self.files) == 3:
            return ""
        return f", {self.share_for_validation:.3g} of each user's training for validation"

    @property
    def share_for_validation(self) -> float:
        """The share of what is not for test that is for validation."""
        return self.ratio[1] / (self.ratio[0] + self.ratio[1])


def as_split(given: Any) -> Any:
    """The section, of `split: leave-one-out` too."""
    return {"type": given} if isinstance(given, str) else given


ByName = BeforeValidator(as_split, SplitConfig | Text)
"""`split: leave-one-out` is a split too."""
