"""A study's search and history, as an engine wants them."""

from __future__ import annotations

from recsweep.planning.plan import StudyPlan
from recsweep.running.study_run import StudyRun
from recsweep.search.engines.base import Observation, Search
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
    )


def observations(run: StudyRun) -> list[Observation]:
    """The outcome of every filled slot, in the order of slots."""
    return [
        Observation(trial.slot, trial.params, trial.score, trial.values, pruned=trial.state == State.PRUNED)
        for trial in run.results()
    ]


def running_beside(run: StudyRun, claim: Claim | None) -> list[Params]:
    """Parameters of the trials that others train now."""
    mine = claim.trial_id if claim else None
    return [trial.params for trial in run.running() if trial.params and trial.id != mine]
