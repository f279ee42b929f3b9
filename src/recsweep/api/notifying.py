"""Word of how a sweep ended, to whoever is to know: what there is to say, and when.

It is said by the process that ends the sweep. A job of Snakemake leaves a note of its own end where the
pipeline finds it, and the pipeline says it once for all of them. Where nobody is to know, nothing of this is
done.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from recsweep.api.notify_send import send
from recsweep.api.seen import results_of
from recsweep.api.studies import Studies
from recsweep.common.errors import EXIT_PAUSED, RecsweepError, disk_trouble
from recsweep.common.files import write_text
from recsweep.common.masking import mask
from recsweep.planning.plan import StudyPlan
from recsweep.sweeps.notify import Event

Tell = Callable[[str], None]
FINISHED: Event = "finished"
PAUSED: Event = "paused"
FAILED: Event = "failed"
_MOST_BEST = 20
"""Models whose best is told."""
_LONGEST = 600
"""Characters of a reason."""


@contextmanager
def told_to_others(studies: Studies, again: Callable[[], str], tell: Tell, *, is_job: bool) -> Iterator[None]:
    """Tell how what runs within ends.

    Args:
        again: gives what runs it again.
        tell: takes a line where somebody could not be told.
        is_job: it is one job of a run, which tells by itself.
    """
    try:
        yield
    except BaseException as error:
        event, why = _event_of(error), _why(error)
        if is_job:
            _leave_note(studies, event, why)
        else:
            notify(studies, event, why, again(), tell)
        raise
    if not is_job:
        notify(studies, FINISHED, "", again(), tell)


def notify(studies: Studies, event: Event, why: str, again: str, tell: Tell) -> None:
    """Tell of an end, where that is wanted. What goes wrong is a line, and costs some seconds at most."""
    config = studies.sweep.config
    try:
        addresses = config.notify.addresses(event)
        if not addresses:
            return
        title = f"recsweep: {config.sweep} {event}"
        troubles = send(addresses, title, mask(_body(studies, event, why, again)))
    except Exception as error:  # the sweep has ended, and its end is not to be another one
        troubles = [mask(f"{type(error).__name__}: {error}")]
    for trouble in troubles:
        tell(f"warning: nobody was notified that the sweep {event}: {trouble}")


def notify_of_jobs(studies: Studies, event: Event, again: str, tell: Tell) -> None:
    """The same by a pipeline, for all of its jobs: of an end that is no good one they have left notes."""
    if event == FINISHED:
        notify(studies, event, "", again, tell)
        return
    notes = [file.read_text(encoding="utf-8").partition("\n") for file in _notes(studies)]
    paused = bool(notes) and all(word == PAUSED for word, _, _ in notes)
    why = "\n".join(dict.fromkeys(text.strip() for _, _, text in notes))
    notify(studies, PAUSED if paused else FAILED, why, again, tell)


def forget_notes(studies: Studies) -> None:
    """Remove what the jobs of an earlier run have left."""
    for file in _notes(studies):
        file.unlink(missing_ok=True)


def _folder(studies: Studies) -> Path:
    return studies.all[0].outputs.endings


def _notes(studies: Studies) -> list[Path]:
    return sorted(_folder(studies).glob("*.txt"))


def _leave_note(studies: Studies, event: Event, why: str) -> None:
    with suppress(RecsweepError):
        if not studies.sweep.config.notify.addresses(event):
            return
    name = "-".join(part for plan in studies.chosen[:1] for part in plan.folder_names if part)
    with suppress(OSError):
        write_text(_folder(studies) / f"{name}.txt", f"{event}\n{mask(why)}\n")


def _event_of(error: BaseException) -> Event:
    """A stop, a limit, a store that is away or a full disk is a pause: the same command goes on."""
    paused = isinstance(error, KeyboardInterrupt) or disk_trouble(error) is not None
    return PAUSED if paused or getattr(error, "exit_code", None) == EXIT_PAUSED else FAILED


def _why(error: BaseException) -> str:
    text = (
        str(error)
        if isinstance(error, RecsweepError | KeyboardInterrupt)
        else f"{type(error).__name__}: {error}"
    )
    return "" if isinstance(error, KeyboardInterrupt) and not text else text[:_LONGEST]


def _body(studies: Studies, event: Event, why: str, again: str) -> str:
    """All that there is to say: how far, the best of each model, where the results are, how to go on."""
    lines = [f"Sweep {studies.sweep.config.sweep} on {socket.gethostname()}: {event}."]
    lines += [why] if why else []
    with suppress(RecsweepError, OSError):  # whatever ended it may keep us from the store too
        lines += _found(studies.all)
    lines.append(f"Results: {studies.all[0].outputs.results.absolute()}")
    lines += [] if event == FINISHED else [f"Go on with: {again}"]
    return "\n".join(lines)


def _found(every: Sequence[StudyPlan]) -> list[str]:
    """Trials done of all, and the best of each model."""
    results = results_of(list(every))
    done, budget = (
        sum(result.trained for result in results),
        sum(plan.budget - plan.inherits for plan in every),
    )
    lines = [f"{done} of {budget} trials done."]
    last = [result for result in results if result.record.is_last and result.winner is not None]
    for result in last[:_MOST_BEST]:
        metric, winner = result.record.metric, result.winner
        test = (result.test or {}).get(metric.lower())
        tested = f", {test:.4f} on test" if test is not None else ""
        score = winner.score if winner is not None and winner.score is not None else float("nan")
        lines.append(f"{result.record.label}: {metric} {score:.4f} on validation{tested}")
    return lines + ([f"and {len(last) - _MOST_BEST} more"] if len(last) > _MOST_BEST else [])
