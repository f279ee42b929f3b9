"""The studies that the options of a command name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recsweep.api.studies import Studies, no_outputs
from recsweep.cli.declare import source
from recsweep.cli.openly import secrets_in_the_open
from recsweep.common.errors import InputError, UserError
from recsweep.common.files import unusable
from recsweep.common.names import checked_name
from recsweep.planning.plan import find_study, plan_sweep
from recsweep.running.aside import say_aside as say_aside
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.loading import Sweep, load_sweep, read_overridden, read_sweep
from recsweep.sweeps.options import TRACKERS_TOO, variable
from recsweep.sweeps.overrides import OVERRIDES

if TYPE_CHECKING:
    from recsweep.report.results import StudyResult


def overridden(options: dict[str, Any], *, whole: bool = True) -> Sweep:
    """The sweep with what the options override.

    Args:
        whole: with the data set and model files that it names.
    """
    overrides, named = given_options(_with_trackers(options))
    load = load_sweep if whole else read_overridden
    sweep = load(options["config"], overrides, named)
    for line in secrets_in_the_open(sweep, typed=source_of("storage") == "commandline"):
        say_aside(f"recsweep: {line}")
    return sweep


def _with_trackers(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the trackers that `--wandb` and `--mlflow` turn on beside those of the file."""
    too = [name for name in TRACKERS_TOO if options.get(name)]
    if not too:
        return options
    given = str(options.get("track") or "").split()
    own = given or list(read_sweep(options["config"]).config.tracking.on())
    return {**options, "track": " ".join(dict.fromkeys([*own, *too]))}


def given_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings over a sweep, and what those that the environment gives are called there."""
    overrides = {name: options[name] for name in OVERRIDES if name in options}
    sources = {name: source_of(name) for name in overrides}
    both = {"storage", "storage_file"}
    if all(overrides.get(name) for name in both) and "commandline" in {sources[name] for name in both}:
        # What the command says goes before what the environment says.
        overrides = {n: v for n, v in overrides.items() if n not in both or sources[n] == "commandline"}
    return overrides, {name: variable(name) for name, source in sources.items() if source == "environment"}


def source_of(name: str) -> str | None:
    """Where an option of the running command has its value from: `commandline`, `environment`, `default`."""
    return source(click.get_current_context(silent=True), name)


def is_whole(options: dict[str, Any]) -> bool:
    """True where no part of a sweep was named: it is all of it."""
    return not any(options[name] for name in ("dataset", "model", "phase", "study_name"))


def studies_of(options: dict[str, Any], *, with_data: bool = True) -> Studies:
    """The studies that the options name.

    Args:
        with_data: their data files must be there; to look at what was found, they need not.

    Raises:
        InputError: any mistake in any of the files or options.
    """
    sweep = overridden(_beside(options))
    if trouble := unusable(sweep.config.outputs):
        raise no_outputs(sweep, trouble)
    plans = plan_sweep(sweep, with_data=with_data)
    dataset, model, phase = (options.get(name) for name in ("dataset", "model", "phase"))
    if dataset and model:
        chosen = find_study(plans, dataset, model)
    else:
        chosen = [p for p in plans if dataset in (None, p.dataset_name) and model in (None, p.model_name)]
    if phase:
        phases = {plan.phase for plan in chosen}
        chosen = [plan for plan in chosen if plan.phase == phase]
        if not chosen:
            raise InputError("--phase", f"no study has the phase {phase}", nearest(phase, phases))
    if name := options.get("study_name"):
        if len(chosen) != 1:
            raise UserError(
                f"--study-name {name}: a name is for one study, but {len(chosen)} were asked for; "
                "name one with --dataset, --model and --phase"
            )
        try:
            checked_name(name)
        except ValueError as error:
            raise InputError("--study-name", str(error), "choose another name") from None
        named = replace(chosen[0], study_name=name)
        plans = [named if plan is chosen[0] else plan for plan in plans]
        chosen = [named]
    return Studies(sweep, plans, chosen)


def _beside(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the study that was asked for, where the sweep itself does not list it."""
    listed = read_sweep(options["config"]).config
    for single, several in (("model", "models"), ("dataset", "datasets")):
        name = options.get(single)
        names = (options.get(several) or " ".join(getattr(listed, several))).split()
        if name and name not in names:
            options = {**options, several: " ".join([*names, name])}
    phase = options.get("phase")
    phases = (options.get("phases") or " ".join(listed.search.phases)).split()
    return {**options, "phases": phase} if phase and phase not in phases else options


def say_what_moved(results: Iterable[StudyResult]) -> None:
    """A line for each data set or study that is no longer what its sweep's files say."""
    from recsweep.search.begun import OTHERWISE

    moved: dict[str, str] = {}
    for result in results:
        if result.moved == OTHERWISE:
            moved[result.record.label] = f"{OTHERWISE}; what is shown was found as it was searched"
        elif result.moved:
            what = "what is shown was found on what was there when it was tuned"
            moved[result.record.dataset_name] = f"the data {result.moved}; {what}"
    for name, how in moved.items():
        say_aside(f"{name}: {how}")


def as_log(text: str | None) -> Path | None:
    """The file of a log that was asked for; its folder must be there.

    Raises:
        InputError: it cannot be written there.
    """
    if not text:
        return None
    path = Path(text)
    if not path.parent.is_dir():
        raise InputError("--log", f"there is no folder {path.parent}", "make it, or give another file")
    if path.is_dir():
        raise InputError("--log", f"{path} is a folder", "give a file")
    return path


def as_path(text: str | None) -> Path | None:
    """A path that was given, or None."""
    return Path(text) if text else None
