"""The command that trains winners again: evidence."""

from __future__ import annotations

from typing import Any

import click

from recsweep.api.evidence import EvidenceRun, announcements, last_phases, planned
from recsweep.api.slots import require_device, require_place, require_ray
from recsweep.cli.declare import RUN, command
from recsweep.cli.options import as_log, is_whole, studies_of
from recsweep.cli.tuning import show_summary
from recsweep.cli.typed import is_job, typed
from recsweep.sweeps.options import DEFINING, OF_A_STUDY, STORE, TRACKING, WHICH, WORKING

_SEEDS = ("training_seeds", "split_seeds", "top")
_WORKING = tuple(name for name in WORKING if name not in TRACKING)


@command(
    RUN,
    "recsweep evidence --config config/smoke.yaml --training-seeds 5",
    *(*WHICH, *OF_A_STUDY, *DEFINING, *_SEEDS, *_WORKING, *STORE),
    *("dry_run", "log"),
)
def evidence(dry_run: bool, log: str | None, **options: Any) -> None:
    """Train the best configurations again on other seeds and splits, and test each training once.

    It is for studies whose search has ended. What is trained already is not trained again.
    """
    log_file = as_log(log)
    studies = studies_of(options)
    searches = last_phases(studies.chosen)
    plans = planned(searches)
    if dry_run:
        for line in announcements(searches, plans):
            click.echo(line)
        return
    require_ray(plans)
    require_place(studies.sweep)
    require_device(list(plans), sure=True)
    EvidenceRun(studies, typed, log_file, is_job()).run(show_summary if is_whole(options) else None)


COMMANDS = [evidence]
