"""Ensembles of what searches found: candidates with weights, the choice, one test, its place in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recsweep.common.errors import UserError
from recsweep.common.files import counted
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan
from recsweep.recbole_api.settings import metric_names
from recsweep.running.keeping import best_slots
from recsweep.running.study_run import StudyRun
from recsweep.running.winner import closed_winner, kept_trial
from recsweep.statistics.ranking import METRICS
from recsweep.study import ENSEMBLE, TEST_ATTRIBUTE, Result, Store, Study, Trial
from recsweep.study.description import name_of
from recsweep.study.parts import Winner
from recsweep.sweeps.config import WHOLE
from recsweep.training.ensemble import Choice, Ensemble, Member, choose_members, tested, write_ensemble
from recsweep.training.scoring import TrainedModel


@dataclass(frozen=True)
class Candidate:
    """A trial whose weights were kept."""

    run: StudyRun
    trial: Trial
    trained: TrainedModel

    @property
    def label(self) -> str:
        return f"{self.run.plan.name} trial {self.trial.slot}"


@dataclass(frozen=True)
class Made:
    """An ensemble that was chosen and tested, beside the best model alone."""

    file: Path
    metric: str
    """Such as `ndcg@10`."""
    candidates: int
    choice: Choice
    members: Sequence[Member]
    single: str
    """The best model alone, on validation."""
    test: dict[str, float]
    single_test: dict[str, float] | None
    """Of the best alone, where it is the winner of its study and was tested."""


def candidates_of(runs: Sequence[StudyRun]) -> list[Candidate]:
    """The trials of closed studies whose weights were kept.

    Raises:
        RecsweepError: a study is not closed.
        UserError: fewer than two are there.
    """
    found = []
    for run in runs:
        closed_winner(run)
        for trial in _scored(run):
            if (kept := kept_trial(run, trial)) is not None:
                found.append(Candidate(run, trial, kept))
    if len(found) < 2:
        there = ", ".join(one.label for one in found) or "none"
        keep = max((run.plan.sweep.checkpoints.keep_best for run in runs), default=1)
        raise UserError(
            f"an ensemble needs the weights of two trials or more, and those of {len(found)} are there "
            f"({there}); checkpoints.keep_best is {keep}; set it to 10, say, before a search, or name "
            "several studies of the data set"
        )
    return found


def _scored(run: StudyRun) -> list[Trial]:
    """Trials with a score whose weights may be there: here, or where those of the best are sent."""
    folder = run.plan.outputs.checkpoints(*run.plan.folder_names)
    here = {path.name for path in folder.glob("trial-*")}
    best = best_slots(run)

    def may_be(trial: Trial) -> bool:
        return bool(trial.inherited) or trial.slot in best or f"trial-{trial.slot}" in here

    return [trial for trial in run.results() if trial.score is not None and may_be(trial)]


def make_ensemble(found: Sequence[Candidate], store: Store, device: torch.device) -> Made:
    """Choose an ensemble on validation, test it once, and keep it in the store and as a file.

    Raises:
        UserError: the sweep searches by what no ensemble can be chosen by, or the data are not the same.
    """
    plan = found[0].run.plan
    metric = _metric(plan)
    choice = choose_members([(one.label, one.trained) for one in found], device, metric)
    members = [
        Member(one.label, weight, one.trained, plan.files.hashes)
        for one, weight in zip(found, choice.chosen.weights, strict=True)
        if weight
    ]
    ensemble, single = Ensemble(choice.chosen.fusion, members), found[choice.best_single]
    test = _Kept(store, found, single, choice).test(ensemble, device)
    made = Made(
        plan.outputs.ensemble(plan.dataset_name),
        "{}@{}".format(*metric),
        len(found),
        choice,
        members,
        single.label,
        test,
        single.run.study.test_metrics(single.trial),
    )
    write_ensemble(made.file, ensemble, _facts(made))
    return made


def _metric(plan: StudyPlan) -> tuple[str, int]:
    """The metric that decides."""
    name, _, cutoff = plan.evaluation.metric.lower().partition("@")
    if name not in METRICS:
        raise UserError(
            f"{plan.name} searches by {plan.evaluation.metric}, and an ensemble is chosen by one of "
            f"{', '.join(METRICS)}; name studies that search by one of these"
        )
    return name, int(cutoff)


def _facts(made: Made) -> dict[str, Any]:
    single = {"model": made.single, "validation": made.choice.singles[made.choice.best_single]}
    return {
        "metric": made.metric,
        "validation": made.choice.chosen.score,
        "validation_cases": made.choice.cases,
        "test": made.test,
        "best_single": single if made.single_test is None else {**single, "test": made.single_test},
    }


class _Kept:
    """The study of an ensemble in the store: of one trial, tested once."""

    def __init__(self, store: Store, found: Sequence[Candidate], single: Candidate, choice: Choice) -> None:
        self._single, self._choice = single, choice
        plan = single.run.plan
        definition = {
            "ensemble": [one.label for one in found],
            "definitions": sorted({one.run.plan.content_hash for one in found}),
            "metric": plan.evaluation.metric,
        }
        name = name_of(plan.sweep_name, plan.dataset_name, ENSEMBLE, WHOLE)
        record = replace(
            plan.record().with_details(definition=definition, chain=(WHOLE,), inherits=False),
            study=name,
            model_name=ENSEMBLE,
            phase=WHOLE,
            kind=ENSEMBLE,
            budget=1,
            slots_inherited=0,
        )
        # What was chosen of other models is kept under another name.
        self.study: Study = store.open_study(name, definition, maximize=True, restart=True, record=record)

    def test(self, ensemble: Ensemble, device: torch.device) -> dict[str, float]:
        """The metrics on the test data: those of the store, or now."""
        trial = self._trial()
        if (stored := self.study.test_metrics(trial)) is not None:
            return stored
        plan = self._single.run.plan
        names = [name.lower() for name in metric_names(plan.evaluation) if name.lower() in METRICS]
        cutoffs = sorted({*plan.evaluation.topk, *plan.evaluation.cutoffs})
        users = tested(ensemble, device, names, cutoffs)
        users.write(plan.outputs.ensemble(plan.dataset_name).with_name("users.parquet"))
        found = users.means()
        self.study.set_attribute(TEST_ATTRIBUTE, {"trial_id": trial.id, "slot": 0, "metrics": found})
        return found

    def _trial(self) -> Trial:
        """The one trial, which the choice is; made where it is not there."""
        if not self.study.results():
            self.study.ensure_slots(1)
            claim = self.study.claim(1, this_process())
            if claim is not None:
                self.study.start(claim, {}, {}, self._single.run.plan.seed, {})
                self.study.finish(claim, self._choice.chosen.score, Result())
        (trial,) = self.study.results()
        winner = Winner(trial.id, trial.slot, trial.score, {})
        self.study.update_record(lambda record: record.closed(f"chosen of {self._count}", winner))
        return trial

    @property
    def _count(self) -> str:
        return counted(len(self._choice.singles), "model")
