"""Trials of evidence: trained on their own seeds and splits, tested once, gone on with after a kill."""

from __future__ import annotations

import dataclasses

import pytest

from helpers import phased
from recsweep.common.owner import this_process
from recsweep.running.events import EpochDone
from recsweep.running.worker import Worker
from recsweep.search.evidence import open_evidence, wanted_evidence
from recsweep.statistics.users import UserScores
from recsweep.study import Store
from recsweep.sweeps.config import EvidenceConfig, ModelConfig, SplitConfig

AT_RANDOM = SplitConfig(type="ratio", order="random")
SIZE = {"type": "choice", "values": [16]}
BPR = ModelConfig(model="BPR", defaults={"embedding_size": 16}, space={"embedding_size": SIZE})


class Killed(BaseException):
    """In the place of a signal that nothing outlives."""


@pytest.fixture
def made(make_plan, tmp_path):
    """Makes the evidence of a search that has ended, in a store of its own."""
    stores = []

    def make(name: str, random: bool = False, **numbers: int):
        search = make_plan("FPMC", max_evals=1, outputs=tmp_path / name)
        wanted = {"evidence": EvidenceConfig(**numbers)}
        search = dataclasses.replace(search, sweep=search.sweep.model_copy(update=wanted))
        if random:
            drawn = search.dataset.model_copy(update={"split": AT_RANDOM})
            search = dataclasses.replace(search, dataset=drawn, model=BPR)
        store = Store(search.storage_url)
        stores.append(store)
        phased.fill(search, store, [0.5])
        plan = open_evidence(wanted_evidence(search, store), store)
        return plan, store.find_study(plan.name)

    yield make
    for store in stores:
        store.close()


def trained(plan, study, send=lambda event: None, owner=None):
    study.put_back_orphans()
    study.ensure_slots(plan.budget)
    Worker(owner or this_process(), send).search(plan)
    return study.results()


def outcomes(trials):
    return [(t.slot, t.seed, t.params, t.score, t.curve, t.result.metrics, t.result.test) for t in trials]


def test_each_seed_is_trained_and_tested_and_leaves_no_weights(made):
    plan, study = made("whole", training_seeds=2)
    first, second = trained(plan, study)
    assert (first.seed, second.seed) == (plan.points[0].training_seed, plan.points[1].training_seed)
    assert first.params == second.params == plan.points[0].configuration.params
    assert first.score != second.score
    for trial, point in zip((first, second), plan.points, strict=True):
        file = plan.outputs.evidence_users(*plan.folder_names[:2], point.training_seed, point.split_seed)
        users = UserScores.read(file)
        assert users.means() == pytest.approx(trial.result.test, abs=1e-6)
        assert users.about["training_seed"] == trial.seed
    assert not list(plan.outputs.checkpoints(*plan.folder_names).glob("trial-*"))
    assert len(trained(plan, study)) == 2, "nothing is trained twice"


def test_splits_drawn_anew_have_other_users_rows_and_the_same_seeds(made):
    plan, study = made("drawn", random=True, training_seeds=1, split_seeds=2)
    first, second = trained(plan, study)
    assert first.seed == second.seed
    assert first.result.test != second.result.test


def test_killed_evidence_ends_as_undisturbed_evidence(made):
    whole = outcomes(trained(*made("whole", training_seeds=2)))
    plan, study = made("killed", training_seeds=2)
    gone = dataclasses.replace(this_process(), pid=2**22 - 3)

    def kill_in_the_second(event):
        if isinstance(event, EpochDone) and event.slot == 1:
            raise Killed

    with pytest.raises(Killed):
        trained(plan, study, kill_in_the_second, gone)
    assert [trial.slot for trial in study.results()] == [0]
    assert outcomes(trained(plan, study)) == whole
