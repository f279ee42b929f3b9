"""The weights of a study's best trials so far: written when it is one, removed when it is beaten."""

from __future__ import annotations

from recsweep.checkpoints.keeper import Keeper
from recsweep.common.errors import disk_trouble
from recsweep.running.keeping import best_slots, keep_the_best
from recsweep.running.study_run import StudyRun
from recsweep.study import Claim
from recsweep.training import training


def keep_if_best(run: StudyRun, keeper: Keeper, claim: Claim, trained: training.Trained) -> None:
    """Write the weights of a trial that is among the best so far, and remove those that they beat.

    Another worker may beat the trial meanwhile, and remove what is being written.

    Raises:
        SweepPaused: the disk is full.
    """
    if claim.slot not in best_slots(run):
        return
    unit = keeper.weights(claim.slot)
    unit.remove()
    try:
        if training.save_checkpoints(unit.folder, trained):
            keeper.keep_weights(
                keeper.described(claim.slot, claim.attempt, trained.best_epoch, trained.score)
            )
        else:
            model = run.plan.model.model
            run.say(f"{run.label}: {model} holds state that cannot be stored safely; no checkpoint")
    except (OSError, RuntimeError) as error:
        if pause := disk_trouble(error):
            raise pause from None
        if claim.slot in best_slots(run):
            raise
    keep_the_best(run, keeper)
