"""How many trials studies are to run; what is known of them is refused before the first trial of any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsweep.common.address import StoreAddress
from recsweep.common.devices import is_named, require
from recsweep.common.errors import InputError, StudyChanged, SweepPaused, UserError
from recsweep.common.paths import is_made
from recsweep.common.place import INSTALL, PlaceError, check_folder, missing_package
from recsweep.planning.plan import StudyPlan
from recsweep.running import ray_link
from recsweep.running.aside import say_aside
from recsweep.sweeps.engine_table import RAY
from recsweep.sweeps.scheduler_table import NO_SCHEDULER

if TYPE_CHECKING:
    from recsweep.study import Store, Study
    from recsweep.sweeps.loading import Sweep

RAISED = "raised"
"""Attribute of a study to which `--more` has added trials: how many, up to which slot, by which run, and
whether they are there."""


@contextmanager
def store_of(plan: StudyPlan) -> Iterator[Store]:
    """The store of a study, for a moment."""
    from recsweep.study import Store

    store = Store(plan.storage_url, tell=say_aside)
    try:
        yield store
    finally:
        store.close()


def open_slots(
    plan: StudyPlan, best_params: str | None = None, *, as_opened: bool = False
) -> tuple[int, int]:
    """Trials that a study may train, and how many of them are still to be; makes no store.

    Args:
        as_opened: with the start that it has in the store, where it is there.
    """
    from recsweep.search.limits import closed
    from recsweep.search.starts import as_begun, begin, check_files

    if not is_made(plan.storage_url):
        check_files(plan, best_params)
        return plan.budget, plan.budget
    with store_of(plan) as store:
        if as_opened and store.find_study(plan.name) is not None:
            begun = as_begun(plan, store)
        else:
            try:
                begun, _ = begin(plan, store, best_params)
            except InputError:
                raise
            except UserError:  # the phase before is to run first
                return plan.budget, plan.budget
        study = store.find_as_opened(begun.name, begun.definition)
        trained = begun.budget - begun.inherits
        if study is None:
            check_files(plan)
            return trained, trained
        if closed(begun, study):
            return trained, 0
        filled = {trial.slot for trial in study.results()} | ({0} if begun.inherits else set())
        return trained, sum(slot not in filled for slot in range(begun.budget))


def require_closed(plan: StudyPlan) -> None:
    """Refuse what needs a study's winner where the study has not ended.

    Raises:
        UserError: trials are still to run.
    """
    budget, missing = open_slots(plan, as_opened=True)
    if missing:
        raise UserError(
            f"{plan.label}: {missing} of {budget} trials are still to run; "
            f"the test split stays unseen until the study is closed; run `recsweep tune` first"
        )


def require_device(plans: list[StudyPlan], best_params: str | None = None, *, sure: bool = False) -> None:
    """Refuse a device that is not there where something would be trained on it, before a store is made.

    Args:
        sure: something is trained or tested, whatever the studies say.
    """
    device = plans[0].sweep.training.device if plans else "auto"
    if is_named(device) and (sure or any(_has_trials_to_run(plan, best_params) for plan in plans)):
        require(device)


def require_ray(plans: Sequence[StudyPlan]) -> None:
    """Refuse what needs Ray where Ray cannot be used, before anything is opened for it.

    Raises:
        UserError: it is not installed, or the store is none for a cluster.
    """
    for plan in plans[:1]:
        if plan.sweep.search.engine == RAY:
            ray_link.require("engine: ray", plan.storage_url)
            ray_link.require_no_client("engine: ray")
        elif plan.sweep.workers.on == "ray":
            ray_link.require("workers.on: ray", plan.storage_url)


def require_place(sweep: Sweep) -> None:
    """Refuse a place for checkpoints that cannot be reached from here, before the first trial.

    Raises:
        InputError: a package is not installed, or the folder above it is missing.
    """
    depot, key = sweep.config.checkpoints.path, ("checkpoints", "path")
    if depot is None:
        return
    if (package := missing_package(depot)) != "":
        problem = f"checkpoints at {depot} need {package}, which is not installed"
        raise sweep.error(key, problem, f"run `{INSTALL}`")
    try:
        check_folder(depot)
    except PlaceError as error:
        raise sweep.error(key, error.problem, error.fix) from None


def require_no_scheduler(plans: Sequence[StudyPlan]) -> None:
    """Refuse workers of their own in a study whose trials a scheduler of Ray Tune's compares.

    Raises:
        UserError: it has one.
    """
    for plan in plans[:1]:
        if (name := plan.sweep.search.scheduler) != NO_SCHEDULER:
            raise UserError(
                f"{plan.label}: its trials are ended by Ray Tune's {name}, which decides in the process of "
                "`recsweep tune` alone; give that one more --workers, on a cluster by RAY_ADDRESS, or search "
                "with --scheduler none"
            )


def prepare_workers(plans: Sequence[StudyPlan], best_params: str | None = None) -> None:
    """Start what workers are forked from where a trial is to run, so that it imports while data are checked.

    One that was begun before anything was known ends where none is. What is wrong with a study is told later,
    in its turn.
    """
    from recsweep.running.templates import TEMPLATES

    if _are_to_train_here(plans, best_params):
        TEMPLATES.get()
    else:
        TEMPLATES.end_unused()


def _are_to_train_here(plans: Sequence[StudyPlan], best_params: str | None) -> bool:
    if any("ray" in (plan.sweep.workers.on, plan.sweep.search.engine) for plan in plans[:1]):
        return False
    try:
        return any(_has_trials_to_run(plan, best_params) for plan in plans)
    except UserError:
        return False


def _has_trials_to_run(plan: StudyPlan, best_params: str | None) -> bool:
    try:
        return open_slots(plan, best_params)[1] > 0
    except StudyChanged:  # refused later, or begun anew
        return True


def refuse_if_changed(plan: StudyPlan, best_params: str | None, restart: bool) -> int:
    """Refuse what is known to be wrong with a study before the first trial of any.

    Returns:
        How many of its trials are to run.

    Raises:
        UserError: its trials are of another definition.
    """
    try:
        return open_slots(plan, best_params)[1]
    except StudyChanged:
        if not restart:
            raise
        return plan.budget


def settle_more(plan: StudyPlan) -> None:
    """The trials that `--more` has added to a study are there, where they are."""
    with store_of(plan) as store:
        study = store.find_study(plan.name)
        raised = study.attributes.get(RAISED) if study is not None else None
        if study is not None and raised and not raised["done"] and raised["to"] <= plan.budget:
            study.set_attribute(RAISED, {**raised, "done": True})


def go_on(plans: Iterable[StudyPlan]) -> None:
    """Take back what was asked of these studies until now: whoever tunes or opens them wants them to go on.

    What is asked from now on stands, for the study that runs and for those that are still to come.
    """
    from recsweep.study import take_back

    for plan, study in _there(plans):
        if take_back(study):
            say_aside(f"{plan.label}: was stopped by `recsweep stop`, and goes on")


def refuse_if_all_stopped(plans: Iterable[StudyPlan]) -> None:
    """Begin nothing of a run that was stopped whole, while another of its studies was worked on.

    Raises:
        SweepPaused: `recsweep stop --all` asked for it.
    """
    from recsweep.study import standing

    for _, study in _there(plans):
        flag = standing(study)
        if flag is not None and flag.everything:
            raise SweepPaused(
                f"not begun, as `recsweep stop --all` asked at {flag.at} on {flag.by}; no trial is lost, and "
                "running the same command again goes on"
            )


def _there(plans: Iterable[StudyPlan]) -> Iterator[tuple[StudyPlan, Study]]:
    """Those of these studies that are in their stores, while these are open."""
    of_stores: dict[StoreAddress, list[StudyPlan]] = {}
    for plan in plans:
        of_stores.setdefault(plan.storage_url, []).append(plan)
    for address, several in of_stores.items():
        if is_made(address):
            with store_of(several[0]) as store:
                found = [(plan, store.find_study(plan.name)) for plan in several]
                yield from ((plan, study) for plan, study in found if study is not None)
