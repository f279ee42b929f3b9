"""A study's search and history, as an engine wants them."""

from __future__ import annotations

from recsweep.common.files import canonical_json
from recsweep.planning.plan import StudyPlan
from recsweep.running.study_run import StudyRun
from recsweep.search.engines.base import Observation, Search
from recsweep.search.engines.proposals import starting_points
from recsweep.search.starts import settled_starts
from recsweep.study import Claim, State, Study
from recsweep.sweeps.space import Params


def search_of(plan: StudyPlan, study: Study) -> Search:
    """The search of a study."""
    config = plan.sweep.search
    return Search(
        plan.space,
        plan.defaults,
        plan.maximize,
        config.algo,
        config.startup_trials,
        settled_starts(plan, study),
        tuple(plan.directions) if len(plan.directions) > 1 else (),
        config.noise,
    )


def observations(run: StudyRun) -> list[Observation]:
    """The outcome of every filled slot, in the order of slots."""
    return [
        Observation(trial.slot, trial.params, trial.score, trial.values, pruned=trial.state == State.PRUNED)
        for trial in run.results()
    ]


def take(run: StudyRun, search: Search, claim: Claim | None, params: Params) -> bool:
    """Make a point that of a claimed trial; False, and a line says so, where another one has it."""
    if claim is None:
        raise AssertionError("a point is taken for a slot that was claimed")
    wanted = canonical_json(params)  # plain equality does not tell True from 1
    fixed = next((n for n, one in enumerate(starting_points(search)) if canonical_json(one) == wanted), None)
    if fixed is None and (other := run.study.points.take(claim, params, run.plan.space)) is None:
        return True
    run.say(_repeated(run, claim, params, fixed if fixed is not None else other))
    return False


def _repeated(run: StudyRun, claim: Claim, params: Params, slot: int | None) -> str:
    """The line on a proposal that the store answers."""
    done = next((trial for trial in run.results() if trial.slot == slot), None)
    values = ", ".join(f"{name} {value}" for name, value in params.items())
    if done is None:
        result = "which trains it"
    elif done.score is None:
        result = "which failed"
    else:
        result = f"{run.plan.evaluation.metric} {done.score:.4f}"
    return (
        f"{run.label} trial {claim.slot}: {values} was proposed again, and is answered by trial {slot} "
        f"({result}); another is proposed"
    )


def running_beside(run: StudyRun, claim: Claim | None) -> list[Params]:
    """Parameters of the trials that others train now."""
    mine = claim.trial_id if claim else None
    return [trial.params for trial in run.running() if trial.params and trial.id != mine]
