"""The columns of a data set file: labels, and numbers that become classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import Field, model_validator

from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.values import MOST_ROWS, Whole


class Discretization(Frozen):
    """How a column of numbers becomes classes, in RecBole's words."""

    method: Literal["ED", "LD"]
    """`ED`: buckets of equal width; `LD`: by the square of the logarithm, for numbers with a long tail."""
    bucket: Whole | None = Field(None, ge=2, le=MOST_ROWS)
    """ED: how many."""

    @model_validator(mode="after")
    def _counted(self) -> Discretization:
        if (self.bucket is None) is (self.method == "ED"):
            raise ValueError("bucket is the number of buckets of method ED, which needs it, and LD does not")
        return self


def check_labels(scale: Mapping[str, tuple[float, float]], threshold: Mapping[str, float]) -> None:
    """Refuse labels of two kinds, and a scale that is none.

    Raises:
        ValueError: of which pydantic makes an error with its place.
    """
    if scale and threshold:
        raise ValueError("label_scale and label_threshold are two kinds of labels; keep one of them")
    for field, (least, most) in scale.items():
        if least >= most:
            raise ValueError(f"label_scale of `{field}` must go up, but got {least:g} to {most:g}")


def check_classes(classes: Collection[str], numbers: Collection[str]) -> None:
    """Refuse to make classes of what is no numerical feature.

    Raises:
        ValueError: likewise.
    """
    for field in classes:
        if field not in numbers:
            raise ValueError(f"discretization of `{field}`, which must be one of numerical_features")
