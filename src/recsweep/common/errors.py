"""The error tree. A message says which rule was broken, by which value, and how to fix it.

RecsweepError
├── UserError (exit 2)         the user can fix it
│   ├── InputError             a file or an option: ``FILE:LINE:COLUMN: problem; fix``
│   ├── StudyChanged           the config no longer matches the study in the store
│   ├── StudyForeign           another program made the study of that name
│   ├── StoreDamaged           the store is not whole
│   ├── ScheduleRefused        a setting that cannot change while a model is trained
│   └── UnsupportedEnvironment a library in a version that is known to give wrong results
├── SweepPaused (exit 3)       not a trial's fault; run again later, nothing is lost
│   ├── StoreUnavailable       the store cannot be reached or written
│   ├── TimeIsUp               a scheduler will soon end the job that this is
│   └── StudyPaused            one study cannot go on; others can
│       ├── LimitReached       a limit of time has ended it before its first trial
│       └── StudyStopped       `recsweep stop` asked for it
├── StudiesFailed (exit 1)     the end of a sweep in which some studies came to no end; lists them
├── EngineStateError (exit 1)  a search library did not leave the state that we read
├── SplitMismatch (exit 1)     a split does not hold the rows that were checked
└── TrialError                 a trial's own fault: recorded with its reason, the study goes on
    ├── TrialDiverged          NaN or infinite loss or score
    ├── TrialPruned            too poor to go on; recorded with its best until then
    ├── TrialStopped           closed by another process; its result is dropped
    ├── TrialInterrupted       told to stop; its slot goes back
    └── TrialLeft              left at an epoch's end, to go on later
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from recsweep.common.escape import for_terminal
from recsweep.common.masking import mask

EXIT_BUG = 1
EXIT_USER = 2
EXIT_PAUSED = 3


class RecsweepError(Exception):
    """Root of every error that recsweep raises on purpose. Its text is masked."""

    exit_code = EXIT_BUG

    def __str__(self) -> str:
        """One line without secrets; what it quotes is no command to a terminal."""
        return for_terminal(mask(super().__str__()))


class UserError(RecsweepError):
    """Something that the user can fix: ``what; why; what to do``."""

    exit_code = EXIT_USER


class InputError(UserError):
    """Bad input, with its place: ``FILE:LINE:COLUMN: problem; fix``.

    Args:
        source: the file, or the option that carried the value (``--max-evals``).
        problem: the rule and the value that broke it.
        fix: what to do about it.
        line: 1-based line, None where the source has no lines.
        column: 1-based column.
    """

    def __init__(
        self,
        source: str | Path,
        problem: str,
        fix: str,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.source, self.line, self.column = str(source), line, column
        self.problem, self.fix = problem, fix
        location = self.source if line is None else f"{self.source}:{line}:{column or 1}"
        super().__init__(f"{location}: {problem}; {fix}")


class StudyChanged(UserError):
    """The study in the store was made from another definition."""


class StudyForeign(UserError):
    """The study in the store was made by something else: its trials are none of ours."""


class StoreDamaged(UserError):
    """The store is not whole: a file that was cut off, an attribute that was overwritten."""


class ScheduleRefused(UserError):
    """A setting that cannot change while a model is trained, or not at that epoch.

    Attributes:
        number: of the entry in the schedule, from 0; -1 for settings that a state is taken up with.
        name: of the setting.
        problem: what is wrong with it.
        fix: what to do.
    """

    number, name, problem, fix = -1, "", "", ""

    @classmethod
    def at(cls, number: int, name: str, reason: str) -> ScheduleRefused:
        """The error of an entry, or of a state."""
        problem = f"`{name}`: {reason}"
        fix = "choose another epoch" if name == "from_epoch" else "leave it as it was before"
        where = "the state" if number < 0 else f"entry {number + 1} of the schedule"
        refused = cls(f"{where}: {problem}; {fix}")
        refused.number, refused.name, refused.problem, refused.fix = number, name, problem, fix
        return refused


class UnsupportedEnvironment(UserError):
    """A library is in a version with which results would be wrong or impossible."""


class SweepPaused(RecsweepError):
    """Not the fault of a trial. The sweep stops, no budget is burned, a re-run goes on."""

    exit_code = EXIT_PAUSED


class StoreUnavailable(SweepPaused):
    """The store cannot be reached, read or written."""


class TimeIsUp(SweepPaused):
    """A scheduler will soon end the job that this is."""


class StudyPaused(SweepPaused):
    """One study cannot go on, which is no trial's fault. The other studies can."""


class LimitReached(StudyPaused):
    """A limit of time has ended a study before its first trial."""


class StudyStopped(StudyPaused):
    """`recsweep stop` asked those that worked on a study to stop."""


class StudiesFailed(RecsweepError):
    """Some studies of a sweep came to no end. Each was told of, and its traceback kept."""

    def __init__(self, message: str, listed: Sequence[str] = (), exit_code: int = EXIT_BUG) -> None:
        super().__init__(message)
        self.listed, self.exit_code = listed, exit_code

    def __str__(self) -> str:
        """The message, and a line for each study."""
        return "\n  ".join([super().__str__(), *(str(RecsweepError(line)) for line in self.listed)])


class EngineStateError(RecsweepError):
    """A search library did not leave behind the state that we read from it."""


class SplitMismatch(RecsweepError):
    """A prepared split does not hold the interactions that were read and checked."""


class TrialError(RecsweepError):
    """One trial failed; its reason is recorded and the study goes on."""


class TrialDiverged(TrialError):
    """The loss or the validation score became NaN or infinite."""


class TrialPruned(TrialError):
    """The pruner ended the trial; the message says when and why."""


class TrialStopped(TrialError):
    """The trial was closed by another process; it is not counted."""


class TrialInterrupted(TrialError):
    """The worker was told to stop at the end of the epoch; the slot waits again."""


class TrialLeft(TrialError):
    """The trial stands at an epoch's end, in a file, and goes on from there when its turn comes."""


_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO})
# torch's writer does not say that the disk is full, only that it could not write on.
_DISK_MESSAGES = ("inline_container.cc", "PytorchStreamWriter failed", "No space left", "disk is full")


def disk_trouble(error: BaseException) -> SweepPaused | None:
    """A pause, where the error is a disk that cannot be written; None for any other error."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
        text = f"{error.filename or 'a file'}: {error.strerror}"
    elif not (isinstance(error, OSError | RuntimeError) and any(m in str(error) for m in _DISK_MESSAGES)):
        return None
    return SweepPaused(
        f"the disk cannot be written; {text}; "
        "free some space and run the same command again, no trial is lost"
    )
