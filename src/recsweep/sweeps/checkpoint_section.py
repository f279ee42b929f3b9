"""The section `checkpoints` of a sweep file. It decides nothing about what a study computes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from recsweep.common.place import checked_place
from recsweep.sweeps.sections import Frozen, Minutes, Most
from recsweep.sweeps.values import Text, Whole


class CheckpointsConfig(Frozen):
    """When a trial in training is kept, how much of it stays, and where."""

    every_epochs: Most | None = Field(None, ge=1)
    """A checkpoint after every so many epochs. None, and no `every_minutes`: every half a minute, in at most
    1 % of the time."""
    every_minutes: Minutes | None = None
    """A checkpoint once so many minutes have passed since the last one."""
    keep_last: Whole = Field(2, ge=1, le=1000)
    """Checkpoints that are kept of a trial in training, the last ones; none once its slot is filled."""
    keep_best: Most = Field(1, ge=0)
    """Trials of a study whose weights are kept, the best ones."""
    path: Annotated[Text, AfterValidator(checked_place)] | None = None
    """A folder that machines share, or a bucket, to which all of these are sent besides."""
