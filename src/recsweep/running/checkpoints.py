"""The weights of a study's best trial so far: written when it is better, removed when it is beaten."""

from __future__ import annotations

import shutil

from recsweep.common.errors import disk_trouble
from recsweep.running.study_run import StudyRun
from recsweep.study import Claim
from recsweep.training import training


def keep_if_best(run: StudyRun, claim: Claim, trained: training.Trained) -> None:
    """Write the weights of a trial that is the best so far, and remove those that it beat.

    Raises:
        SweepPaused: the disk is full.
    """
    best = run.winner()
    if best is None or best.id != claim.trial_id:
        return
    outputs = run.plan.outputs
    dataset, model, phase = run.plan.folder_names
    try:
        stored = training.save_checkpoints(
            outputs.trial_checkpoints(dataset, model, claim.slot, phase), trained
        )
    except (OSError, RuntimeError) as error:
        raise (disk_trouble(error) or error) from None
    if not stored:
        run.say(
            f"{run.label}: {run.plan.model.model} holds state that cannot be stored safely; no checkpoint"
        )
    best = run.winner()  # another worker may have been better meanwhile
    for other in outputs.checkpoints(dataset, model, phase).glob("trial-*"):
        if best is not None and other.name != f"trial-{best.slot}":
            shutil.rmtree(other, ignore_errors=True)
