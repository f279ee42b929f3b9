"""The checkpoints of a study as workers and supervisors have them, and which weights stay. Free of torch."""

from __future__ import annotations

from recsweep.checkpoints.bucket import Bucket
from recsweep.checkpoints.keeper import Hands, Keeper
from recsweep.checkpoints.manifest import Identity
from recsweep.checkpoints.mirror import Mirror, prefix_of
from recsweep.common.place import sent_to
from recsweep.common.provenance import commit, versions
from recsweep.planning.plan import StudyPlan
from recsweep.running.study_run import StudyRun
from recsweep.study import Trial, best


def keeper_of(plan: StudyPlan, hands: Hands | None = None) -> Keeper:
    """The checkpoints of a study."""
    identity = Identity(plan.name, plan.content_hash, versions(), commit())
    folder = plan.outputs.checkpoints(*plan.folder_names)
    mirror = None
    if depot := sent_to(plan.sweep.checkpoints.path, plan.outputs.all_checkpoints):
        own = folder.relative_to(plan.outputs.all_checkpoints)
        mirror = Mirror(Bucket(depot), folder, prefix_of(own, identity.definition))
    return Keeper(identity, folder, mirror, hands or Hands.made())


def keep_the_best(run: StudyRun, keeper: Keeper) -> None:
    """Remove the weights of trials that others beat, here and where they are sent.

    What is beaten stays so, whatever other workers find meanwhile: what they write now is not among it.
    """
    kept = best_slots(run)
    beaten = {trial.slot for trial in run.results()} - kept
    for folder in keeper.folder.glob("trial-*"):
        slot = folder.name.removeprefix("trial-")
        if slot.isdigit() and int(slot) in beaten:
            keeper.forget_weights(int(slot))
    keeper.send_weights(sorted(kept), beaten)


def best_slots(run: StudyRun) -> set[int]:
    """The slots of the best trials, as many as are kept."""
    left: list[Trial] = run.results()[:]
    kept: set[int] = set()
    while len(kept) < run.plan.sweep.checkpoints.keep_best:
        found = best(left, maximize=run.plan.maximize)
        if found is None:
            break
        kept.add(found.slot)
        left.remove(found)
    return kept
