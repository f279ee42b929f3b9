"""The studies of a sweep that are asked for, and the folder where everything is written."""

from __future__ import annotations

from dataclasses import dataclass

from recsweep.common.errors import InputError, disk_trouble
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.documents import short_value
from recsweep.sweeps.loading import Sweep


@dataclass(frozen=True)
class Studies:
    """A sweep, and what of it is asked for."""

    sweep: Sweep
    all: list[StudyPlan]
    """Every study of the sweep."""
    chosen: list[StudyPlan]
    """Those that were asked for."""


def no_outputs(sweep: Sweep, trouble: str) -> InputError:
    """An error about the folder where everything is written."""
    shown = short_value(str(sweep.config.outputs))
    return sweep.error(("outputs",), f"no folder {shown} can be written: {trouble}", "give another one")


def make_outputs(sweep: Sweep) -> None:
    """Make the folder where everything is written, before anything else is done.

    Raises:
        InputError: it cannot be made.
        SweepPaused: the disk is full.
    """
    try:
        sweep.config.outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_trouble(error) or no_outputs(sweep, str(error.strerror)) from None
