"""The command that trains what models are to be better than: baseline."""

from __future__ import annotations

from typing import Any

from recsweep.api.baselines import beside, train_baselines
from recsweep.api.interrupted import told_how_to_go_on
from recsweep.api.slots import require_device, require_ray
from recsweep.api.studies import make_outputs
from recsweep.api.sweep_run import display_of
from recsweep.cli.declare import RUN, command
from recsweep.cli.options import as_log, studies_of
from recsweep.cli.typed import typed
from recsweep.planning.plan import check_data
from recsweep.sweeps.options import DEFINING, STORE, WHICH, WORKING


@command(RUN, "recsweep baseline --dataset ml-100k", *WHICH, "dataset", *DEFINING, *WORKING, *STORE, "log")
def baseline(log: str | None, **options: Any) -> None:
    """Train the most popular items on each data set, to be better than; tune does it by itself."""
    log_file = as_log(log)
    studies = studies_of(options)
    plans = beside(studies)
    require_ray(plans)
    require_device(list(plans), sure=True)
    make_outputs(studies.sweep)
    check_data(studies.sweep)
    going_on = told_how_to_go_on(list(plans), studies.all, typed)
    with display_of(studies, "baseline", log_file) as display, going_on:
        train_baselines(plans, display)


COMMANDS = [baseline]
