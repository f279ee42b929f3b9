"""The trackers: each in a file of its own, the only importer of its library."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from recsweep.sweeps.tracker_table import TrackerRow
from recsweep.tracking.base import Given, Tracker


def make_tracker(row: TrackerRow, given: Given) -> Tracker:
    """The tracker of a row of the table, imported only now."""
    module, name = row.made_by.split(":")
    where = module if "." in module else f"{__name__}.{module}"
    tracker = getattr(import_module(where), name)(given)
    if not isinstance(tracker, Tracker):
        raise TypeError(f"{row.made_by} must be a Tracker, but is a {type(tracker).__name__}")
    return tracker


def missing(row: TrackerRow) -> str:
    """Why a tracker cannot be used here, and what to do; empty where it can."""
    if not row.library or find_spec(row.library) is not None:
        return ""
    how = f"run `{row.extra}`" if row.extra else f"install it (pip install {row.library})"
    return f"{row.library} is not installed; {how}"
