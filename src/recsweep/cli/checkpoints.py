"""`recsweep checkpoints`: the checkpoints of studies, here and where they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from recsweep.api.slots import require_place, store_of
from recsweep.cli.declare import KEEP, command
from recsweep.cli.options import say_aside, studies_of
from recsweep.cli.stores import as_json
from recsweep.common.errors import SweepPaused, UserError
from recsweep.common.files import counted
from recsweep.common.paths import is_made
from recsweep.planning.plan import StudyPlan
from recsweep.running.aside import show_markdown
from recsweep.sweeps.options import DEFINING, OF_A_STUDY, STORE, WHICH

if TYPE_CHECKING:
    from recsweep.checkpoints.keeper import Keeper
    from recsweep.checkpoints.units import Unit


@command(
    KEEP,
    "recsweep checkpoints sync --checkpoints /mnt/share/checkpoints",
    *WHICH,
    *OF_A_STUDY,
    *DEFINING,
    "checkpoints",
    *STORE,
    "json",
    arguments=[click.Argument(["action"], type=click.Choice(["ls", "sync"]), metavar="ACTION")],
)
def checkpoints(action: str, json: bool, **options: Any) -> None:
    """List the checkpoints on this machine (ls), or send those that are not at their place yet (sync)."""
    studies = studies_of(options)
    require_place(studies.sweep)
    if action == "sync":
        _sync(studies.chosen)
        return
    rows = [row for plan in studies.chosen for row in _rows(plan)]
    if json:
        click.echo(as_json(rows), nl=False)
    elif not rows:
        click.echo("no checkpoints are on this machine", err=True)
    else:
        from recsweep.looking.listing import markdown

        shown = [{name: _shown(value) for name, value in row.items()} for row in rows]
        show_markdown(markdown(shown, ("epoch", "score", "KiB")))


def _begun(plan: StudyPlan) -> StudyPlan:
    """A study as it was opened, with its start: that is part of its definition."""
    from recsweep.search.starts import as_begun

    if not is_made(plan.storage_url):
        return plan
    with store_of(plan) as store:
        return as_begun(plan, store) if store.find_study(plan.name) is not None else plan


def _rows(plan: StudyPlan) -> Iterator[dict[str, Any]]:
    from recsweep.running.keeping import keeper_of

    keeper = keeper_of(_begun(plan))
    for unit in keeper.all_units():
        found = unit.manifest()
        if found is None:
            continue
        yield {
            "study": plan.name,
            "trial": found.slot,
            "kind": "weights" if unit.folder.name.startswith("trial-") else "state",
            "epoch": found.epoch,
            "score": found.score,
            "KiB": round(sum(facts["bytes"] for facts in found.files.values()) / 1024),
            "written": found.written,
            "sent": _sent(keeper, unit),
        }


def _sent(keeper: Keeper, unit: Unit) -> str:
    if keeper.mirror is None:
        return ""
    return "yes" if unit.is_sent(keeper.mirror.depot) else "no"


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _sync(plans: list[StudyPlan]) -> None:
    """Send what is missing.

    Raises:
        UserError: there is no place to send it to.
        SweepPaused: the place does not take it.
    """
    from recsweep.running.left_over import settle
    from recsweep.running.study_run import StudyRun

    if plans and plans[0].sweep.checkpoints.path is None:
        raise UserError(
            "checkpoints are sent nowhere; the sweep has no checkpoints.path; name one with --checkpoints"
        )
    left = 0
    for plan in plans:
        if not is_made(plan.storage_url):
            continue
        begun = _begun(plan)
        with store_of(begun) as store:
            study = store.find_as_opened(begun.name, begun.definition)
            if study is None:
                continue
            left += not settle(StudyRun(begun, study, say_aside))
    if left:
        raise SweepPaused(f"checkpoints of {counted(left, 'study')} are not sent; see above; run it again")
    click.echo("all checkpoints are at their place")


COMMANDS = [checkpoints]
