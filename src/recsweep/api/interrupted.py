"""The last words of a run on some studies that is stopped: how far it is, and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from recsweep.api.seen import results_of
from recsweep.api.slots import open_slots
from recsweep.common.errors import RecsweepError
from recsweep.common.files import counted
from recsweep.planning.plan import StudyPlan

_NAMED = 4
"""Studies that the last line names."""


@contextmanager
def told_how_to_go_on(
    chosen: list[StudyPlan], every: list[StudyPlan], again: Callable[[], str]
) -> Iterator[None]:
    """Where Ctrl-C ends what runs within, a summary of what there is is written.

    Args:
        chosen: the studies of the run, as they were begun.
        every: those of the sweep, for its summary.
        again: gives what runs them again.

    Raises:
        KeyboardInterrupt: with the line that is to be the last one.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_go_on(chosen, every, again())) from None


def how_to_go_on(chosen: list[StudyPlan], every: list[StudyPlan], again: str) -> str:
    """The last line of a run that came to no end: trials done and to run, the table, what runs them again."""
    found = [_counts(chosen), _table(every), "no trial is lost"]
    return f"{', '.join(text for text in found if text)}; go on with: {again}"


def _counts(chosen: list[StudyPlan]) -> str:
    budget = missing = 0
    left: list[str] = []
    for plan in chosen:
        with suppress(RecsweepError):  # whatever stopped us may keep us from the store too
            own, open_ = open_slots(plan)
            budget, missing = budget + own, missing + open_
            left += [plan.label] if open_ else []
    if not budget:
        return ""
    text = f"{budget - missing} of {counted(budget, 'trial')} done and {missing} to run"
    if len(chosen) == 1 or not left:
        return text
    others = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return f"{text} ({', '.join(left[:_NAMED])}{others})"


def _table(every: list[StudyPlan]) -> str:
    from recsweep.report.results import with_missing
    from recsweep.report.summary import write_summary

    with suppress(RecsweepError, OSError):
        outputs = every[0].outputs
        if results := results_of(every):
            write_summary(
                outputs, with_missing(results, [plan.record() for plan in every], every[0].sweep.outputs)
            )
            return f"what there is stands in {outputs.summary('md')}"
    return ""
