"""How many trials studies are to run, and more of them for studies that are complete."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from recsweep.api.slots import RAISED, open_slots, store_of
from recsweep.common.errors import UserError
from recsweep.common.files import counted
from recsweep.common.paths import is_made
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.engine_table import Can

if TYPE_CHECKING:
    from recsweep.study import Study


def announce(plans: list[StudyPlan], best_params: str | None = None) -> None:
    """How many trials would run, study by study, before any does."""
    total = 0
    for plan in plans:
        budget, missing = open_slots(plan, best_params)
        total += missing
        follows = f", from the best of {plan.previous}" if plan.previous and not best_params else ""
        click.echo(f"{plan.label}: {missing} of {counted(budget, 'trial')} to run{follows}")
    config = plans[0].sweep if plans else None
    how = f" with {plans[0].how}" if plans else ""
    rules = {config.pruning.pruner, config.search.scheduler} - {"none"} if config else set()
    pruned = "".join(f", pruned by {rule}" for rule in rules)
    epochs = config.training.epochs if config else 0
    click.echo(
        f"{counted(len(plans), 'study')}, {counted(total, 'trial')} to run{how}{pruned}, "
        f"at most {counted(epochs, 'epoch')} each"
    )


# -- more trials ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """A study to which more trials are to be added."""

    plan: StudyPlan
    begun: StudyPlan
    study: Study | None
    before: dict[str, Any]
    """The trials that an earlier `--more` left in the study."""
    slots: int
    """It has, or is to have."""
    complete: bool

    @property
    def pending(self) -> bool:
        """True where the trials of an earlier `--more` are not all there."""
        return bool(self.before) and not self.before["done"] and self.before["to"] >= self.begun.budget


def with_more(
    plans: list[StudyPlan], more: int, best_params: str | None = None, *, record: bool = True
) -> list[StudyPlan]:
    """Complete studies with a budget of so many trials more.

    The command that adds them can be repeated until they are there, and adds nothing twice: it leaves in each
    study what it is to come to, and goes on to that where it finds it. When all are there, the next one adds
    as many again.

    Args:
        record: leave it there; a dry run does not.

    Raises:
        UserError: a study is not complete, or another number of trials was being added.
    """
    asked = [_asked(plan, best_params) for plan in plans]
    pending = next((one for one in asked if one.pending), None)
    run = pending.before["run"] if pending else uuid.uuid4().hex[:12]
    targets = [_target(one, more, run) for one in asked]
    if record:
        for one, target in zip(asked, targets, strict=True):
            if one.before.get("run") != run:
                _record(one.plan, {"by": more, "to": target, "run": run, "done": False})
    return [replace(one.plan, slots=target) for one, target in zip(asked, targets, strict=True)]


def _asked(plan: StudyPlan, best_params: str | None) -> _Asked:
    from recsweep.search.limits import closed
    from recsweep.search.starts import begin

    if plan.sweep.search.can(Can.GRID):
        raise UserError(f"{plan.label}: --more adds nothing to an exhaustive search; widen the space instead")
    if not is_made(plan.storage_url):
        return _Asked(plan, plan, None, {}, plan.budget, complete=False)
    with store_of(plan) as store:
        begun, _ = begin(plan, store, best_params)
        study = store.find_as_opened(begun.name, begun.definition)
        if study is None:
            return _Asked(plan, begun, None, {}, begun.budget, complete=False)
        slots = max(begun.budget, 1 + max(study.slots(), default=-1))
        complete = closed(replace(begun, slots=slots), study) is not None
        return _Asked(plan, begun, study, dict(study.attributes.get(RAISED) or {}), slots, complete)


def _target(one: _Asked, more: int, run: str) -> int:
    """How many slots a study is to have in the end."""
    label = one.plan.label
    if one.pending and one.before["by"] != more:
        raise UserError(
            f"{label}: --more {more} adds to a complete study, but of the trials that --more "
            f"{one.before['by']} has added some are to run; run that command first"
        )
    if one.before.get("run") == run:
        return int(one.before["to"])
    if not one.complete:
        raise UserError(
            f"{label}: --more {more} adds to a complete study, but of {one.slots} trials some are to run; "
            f"run `recsweep tune` with --max-evals {one.slots - one.begun.inherits} first"
        )
    if one.slots >= one.begun.most_trials:
        there = counted(int(one.begun.most_trials), "configuration")
        raise UserError(
            f"{label}: --more {more} adds nothing, as all {there} of its space are there; "
            "widen the space, or set search.noise: true to train some on other seeds"
        )
    return int(min(one.slots + more, one.begun.most_trials))


def _record(plan: StudyPlan, raised: dict[str, Any]) -> None:
    with store_of(plan) as store:
        study = store.find_study(plan.name)
        if study is not None:
            study.set_attribute(RAISED, raised)
            study.update_record(lambda one: one.raised(raised["to"], f"--more {raised['by']}"))
