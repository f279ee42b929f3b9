"""Troubles of one study while others can go on: said, kept, and listed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsweep.common.errors import (
    EXIT_BUG,
    LimitReached,
    RecsweepError,
    StudiesFailed,
    StudyPaused,
    StudyStopped,
    SweepPaused,
    UnsupportedEnvironment,
    disk_trouble,
)
from recsweep.common.tracebacks import keep_traceback
from recsweep.planning.plan import StudyPlan

if TYPE_CHECKING:
    from recsweep.running.progress import Display


class Troubles:
    """The troubles of a run on some studies.

    Args:
        display: is told of each as it comes.
        count: studies of the run; one alone ends with its own error, as nothing else is there to go on with.
    """

    def __init__(self, display: Display, count: int) -> None:
        self._display, self._count = display, count
        self._errors: list[Exception] = []
        self._lines: list[str] = []
        self._ended: set[tuple[str, str, str | None]] = set()

    @contextmanager
    def of(self, plan: StudyPlan) -> Iterator[None]:
        """Make what goes wrong within the study's trouble.

        Raises:
            SweepPaused: it is the store's, or the disk's.
        """
        try:
            yield
        except Exception as error:
            if _is_everybodys(error):
                raise
            self._ended.add((plan.dataset_name, plan.model_name, plan.phase))
            self._keep(plan, error)

    def end_before(self, plan: StudyPlan) -> bool:
        """True where a phase has nothing to start from, as the one before came to no end; that is said."""
        dataset_and_model = plan.dataset_name, plan.model_name
        if plan.previous is None or (*dataset_and_model, plan.previous) not in self._ended:
            return False
        self._ended.add((*dataset_and_model, plan.phase))
        self._say(f"{plan.label}: left out, for it starts from the best of {plan.previous}")
        return True

    def _keep(self, plan: StudyPlan, error: Exception) -> None:
        self._errors.append(error)
        alone = self._count == 1
        if alone and isinstance(error, RecsweepError) and error.exit_code != EXIT_BUG:
            return  # it is the one line with which the command ends
        text = str(error) if isinstance(error, RecsweepError) else f"{type(error).__name__}: {error}"
        line = text if text.startswith(plan.label) else f"{plan.label}: {text}"
        if isinstance(error, StudyStopped):
            self._say(line)  # a wish, and no failure to be looked into
            return
        kept = keep_traceback(plan.outputs.trouble(*plan.folder_names), error, {"study": plan.name})
        # Of trials that failed, their own traceback says why.
        self._say(f"{line}; traceback in {kept}" if kept and "traceback in" not in line else line)

    def _say(self, line: str) -> None:
        self._lines.append(line)
        self._display.line(line)

    def raise_any(self) -> None:
        """End a run in which there was trouble.

        Raises:
            StudiesFailed: with the list of what happened.
            RecsweepError: the trouble itself, of a run on one study.
        """
        if not self._errors:
            return
        alone = self._count == 1
        if alone or (len(self._errors) == 1 and isinstance(self._errors[0], LimitReached | StudyStopped)):
            raise self._errors[0]
        only_pauses = all(isinstance(error, LimitReached | StudyStopped) for error in self._errors)
        raise StudiesFailed(
            f"{len(self._lines)} of {self._count} studies came to no end, the others did:",
            self._lines,
            LimitReached.exit_code if only_pauses else EXIT_BUG,
        )


def _is_everybodys(error: Exception) -> bool:
    """True where no other study could do better: the store is away, the disk full, a library unfit."""
    if isinstance(error, StudyPaused):
        return False
    return isinstance(error, SweepPaused | UnsupportedEnvironment) or disk_trouble(error) is not None
