"""`recsweep ensemble`: the best of several trained models together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from recsweep.api.slots import require_closed, store_of
from recsweep.cli.declare import RUN, argument, command
from recsweep.cli.options import studies_of
from recsweep.cli.trained import opened_run, scratch_of
from recsweep.common import scratch
from recsweep.common.errors import InputError, UserError
from recsweep.common.files import counted
from recsweep.planning.plan import StudyPlan
from recsweep.running.aside import show_markdown
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.options import DEFINING, STORE, WHICH

if TYPE_CHECKING:
    from recsweep.running.ensembles import Made


@command(
    RUN,
    "recsweep ensemble default/ml-100k",
    *WHICH,
    *DEFINING,
    "device",
    *STORE,
    arguments=[argument("names", nargs=-1, metavar="[STUDY]...")],
)
def ensemble(names: tuple[str, ...], **options: Any) -> None:
    """Choose an ensemble of the models whose weights a search kept, on validation, and test it once.

    STUDY is a part of a study's name, such as a data set's; not given: all of the sweep. All must have ended.
    """
    from recsweep.common.devices import resolve_device

    plans = _asked(studies_of(options).chosen, names)
    device = resolve_device(options["device"] or "auto")
    with scratch.used(scratch_of(options)), ExitStack() as stack:
        from recsweep.running.ensembles import candidates_of, make_ensemble

        runs = [stack.enter_context(opened_run(plan)) for plan in plans]
        store = stack.enter_context(store_of(plans[0]))
        made = make_ensemble(candidates_of(runs), store, device)
    _show(made)


def _asked(plans: list[StudyPlan], names: tuple[str, ...]) -> list[StudyPlan]:
    """The studies that are meant, each the last phase of its model, and all of one data set.

    Raises:
        InputError: a name means none of them.
        UserError: they are of several data sets, or one has not ended.
    """
    from recsweep.looking.listing import is_part

    last = [plan for plan in plans if plan.is_last]
    for name in names:
        if not any(is_part(name, plan.name) for plan in last):
            raise InputError("STUDY", f"the sweep has no study {name}", nearest(name, [p.name for p in last]))
    chosen = [plan for plan in last if not names or any(is_part(name, plan.name) for name in names)]
    if len({plan.dataset_name for plan in chosen}) > 1:
        sets = ", ".join(sorted({plan.dataset_name for plan in chosen}))
        raise UserError(f"an ensemble is of one data set, and {sets} were named; name one as STUDY")
    for plan in chosen:
        require_closed(plan)
    return chosen


def _show(made: Made) -> None:
    from recsweep.looking.listing import markdown

    rows = [{"weight": str(one.weight), "model": one.label} for one in made.members]
    show_markdown(markdown(rows, ("weight",)))
    choice = made.choice
    share = "" if choice.cases == choice.all_cases else f", on {choice.cases} of {choice.all_cases} cases"
    taken = f"{len(made.members)} of {counted(made.candidates, 'model')}, fused by {choice.chosen.fusion}"
    click.echo(f"\n{taken}{share}; the best alone is {made.single}")
    alone = choice.singles[choice.best_single]
    click.echo(f"validation {made.metric} {_beside(choice.chosen.score, alone)}; it was chosen by this")
    test, single = made.test.get(made.metric), (made.single_test or {}).get(made.metric)
    if test is not None:
        click.echo(f"test {made.metric} {_beside(test, single)}")
    click.echo(f"recsweep evaluate --trained {made.file} measures it by other metrics")


def _beside(value: float, single: float | None) -> str:
    if single is None:
        return f"{value:.4f}, the best alone was not tested"
    return f"{value:.4f}, the best alone {single:.4f}: {value - single:+.4f}"


COMMANDS = [ensemble]
