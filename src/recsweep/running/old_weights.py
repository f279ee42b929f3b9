"""The weights of a study that was archived (`--restart`): kept apart, before its successor has any."""

from __future__ import annotations

from pathlib import Path

from recsweep.running.study_run import StudyRun
from recsweep.study.earlier import split_archived


def keep_apart(run: StudyRun) -> None:
    """Move weights that the study's predecessor left where its own will be, below the archive's time.

    Asked whenever a study is opened: a kill between archiving and moving is made good by the next run, as
    long as no trial has come to a score, and before that nothing of the predecessor's is replaced.
    """
    found = list(run.plan.outputs.checkpoints(*run.plan.folder_names).glob("trial-*"))
    # Looked at in this order: weights come after the score, so these are none of this study's.
    if not found or any(trial.score is not None for trial in run.own_results()):
        return
    name, archives = run.study.name, run.study.store.names()
    times = [one.rpartition("@")[2] for one in archives if split_archived(one)[0] == name != one]
    if times:
        _move(run, found, max(times))


def _move(run: StudyRun, found: list[Path], stamp: str) -> None:
    apart = run.plan.outputs.archived_checkpoints(*run.plan.folder_names, stamp=stamp)
    try:
        apart.mkdir(parents=True, exist_ok=True)
        for folder in found:
            folder.rename(apart / folder.name)
    except FileNotFoundError:
        return  # another process was faster
    except OSError as error:
        run.say(
            f"{run.label}: the weights of the archived study cannot be moved to {apart} "
            f"({error.strerror}); the new study's will replace them"
        )
        return
    run.say(f"{run.label}: the weights of the archived study are kept in {apart}")
