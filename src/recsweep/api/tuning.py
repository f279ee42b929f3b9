"""A sweep run from Python, as `recsweep tune` runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsweep.api.found import Found, load
from recsweep.api.slots import require_device, require_place, require_ray
from recsweep.api.studies import Studies
from recsweep.api.sweep_run import SweepRun
from recsweep.common.address import StoreAddress
from recsweep.planning.plan import plan_sweep
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.loading import Sweep, load_sweep


def tune(
    sweep: Path | str | SweepConfig | Sweep,
    *,
    models: Sequence[str] | str | None = None,
    datasets: Sequence[str] | str | None = None,
    max_evals: int | None = None,
    outputs: Path | str | None = None,
    storage: str | StoreAddress | None = None,
    **overrides: Any,
) -> Found:
    """Run a sweep to its end: fill the slots of its studies, test their winners, write their files.

    It is what `recsweep tune` does, and goes on as that does where it was stopped before. Progress is shown
    on the standard error stream. Trials run in processes of their own, from a script or a notebook too.

    Args:
        sweep: a sweep file, `FILE.py:NAME`, or a sweep that was made here.
        models: only these, by the names of their files.
        datasets: only these.
        max_evals: trials of each study.
        outputs: the folder where everything is written.
        storage: the address of the store; by default SQLite in the output folder.
        overrides: any other option of `recsweep tune` that changes a sweep: `epochs=5`, `workers=2`,
            `pruner="none"`. The variables of the environment are not heeded.

    Returns:
        What the sweep found.

    Raises:
        InputError: a mistake in the sweep, in an option or in the data; nothing was run.
        UserError: what is in the store does not fit.
        SweepPaused: something that is no trial's fault; the same call goes on.
        StudiesFailed: some studies came to no end, the others did.
        KeyboardInterrupt: it was stopped; no trial is lost, the same call goes on.
    """
    named = {"models": models, "datasets": datasets, "max_evals": max_evals, "storage": storage}
    given = {**named, "outputs": None if outputs is None else str(outputs), **overrides}
    whole = load_sweep(sweep, given, {name: f"tune({name}=…)" for name in given})
    plans = plan_sweep(whole)
    require_ray(plans)
    require_place(whole)
    require_device(plans)
    SweepRun(Studies(whole, plans, plans), lambda: "the same call").tune(lambda file: None)
    return load(plans[0].storage_url).sweep(whole.config.sweep)
