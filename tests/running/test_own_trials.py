"""Studies of models of one's own: taken up in the middle, moved, tried on other seeds, used for lists."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.workspace import make_workspace
from recsweep.common.owner import this_process
from recsweep.importing.new_model import new_model
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api import own_source
from recsweep.running.commands import Stop
from recsweep.running.events import EpochDone
from recsweep.running.study_run import StudyRun
from recsweep.running.winner import closed_winner, require_kept
from recsweep.running.worker import Worker
from recsweep.search.evidence import open_evidence, wanted_evidence
from recsweep.study import Store, Study
from recsweep.sweeps.loading import load_sweep
from recsweep.training.history import EVERYTHING
from recsweep.training.listing import listing

CPU = torch.device("cpu")
EPOCHS = 4
FILE = """\
model: {model}
defaults: {{embedding_size: 8, dropout_prob: 0.1}}
space:
  embedding_size: {{type: choice, values: [8, 16]}}
  dropout_prob: {{type: uniform, min: 0.0, max: 0.5}}
"""


def make(root: Path, model: str) -> Path:
    """A sweep of a model of one's own on a few rows."""
    workspace = make_workspace(root, sweep="sweep: mine\nmodels: [MyRec]\ndatasets: [toy]\n")
    (workspace.model.parent / "my_rec.py").write_text(new_model("MyRec", "toy")["models/my_rec.py"])
    (workspace.model.parent / "MyRec.yaml").write_text(FILE.format(model=model))
    return workspace.sweep


def package(root: Path) -> str:
    """A package as those of RecBole's family are: its model is built on a part in another folder of it."""
    code = new_model("MyGnn", "toy")["models/my_gnn.py"]
    start = "import torch\n"
    files = {
        "model/general_recommender/mygnn.py": code.replace(
            start, f"{start}from recbole_made.model.layers import scaled\n", 1
        ).replace("return products.sum(-1)", "return scaled(products).sum(-1)"),
        "model/layers.py": "def scaled(products):\n    return 2 * products\n",
        **dict.fromkeys(("__init__.py", "model/__init__.py", "model/general_recommender/__init__.py"), ""),
    }
    for name, text in files.items():
        (root / "recbole_made" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "recbole_made" / name).write_text(text)
    return "recbole_made.model.general_recommender.mygnn:MyGnn"


@pytest.fixture(params=["file", "package"])
def model(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    caches = (own_source.file_of, own_source.files, own_source.code_hash, own_source.tree, own_source._base)
    for one in caches:
        one.cache_clear()
    if request.param == "package":
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        yield package(tmp_path / "site")
        # a package of the next test has its name, and Python would find this one's folder for it
        for name in [one for one in sys.modules if one.split(".")[0] == "recbole_made"]:
            del sys.modules[name]
    else:
        yield "my_rec.py:MyRec"


@pytest.fixture
def opened() -> Iterator[object]:
    """Plans a sweep of one study, and opens that in its store."""
    stores: list[Store] = []

    def open_(sweep: Path, **given: object) -> tuple[StudyPlan, Study, Store]:
        given = {"max_evals": 2, "epochs": EPOCHS, "patience": 9, "cooldown": 0, **given}
        plan = plan_sweep(load_sweep(sweep, {"outputs": sweep.parent / "outputs", **given}))[0]
        plan.sweep.outputs.mkdir(exist_ok=True)
        stores.append(Store(plan.storage_url))
        study = stores[-1].open_study(
            plan.name, plan.definition, maximize=plan.maximize, record=plan.record()
        )
        study.ensure_slots(plan.budget)
        return plan, study, stores[-1]

    yield open_
    for store in stores:
        store.close()


def work(plan: StudyPlan, stop_after: int | None = None) -> list[tuple[int, int]]:
    """A worker until its end, or until so many epochs are over; the slot and epoch of each."""
    seen: list[tuple[int, int]] = []

    def send(event: object) -> None:
        if isinstance(event, EpochDone):
            seen.append((event.slot, event.epoch))

    worker = Worker(this_process(), send, lambda: Stop(now=True) if len(seen) == stop_after else None)
    worker.search(plan)
    worker.close()
    return seen


def outcomes(study: Study) -> list[object]:
    return [
        (one.slot, one.seed, one.params, one.score, one.curve, one.result.metrics) for one in study.results()
    ]


def test_a_study_is_taken_up_in_the_middle_elsewhere_too(model, opened, tmp_path):
    whole, ends, _ = opened(make(tmp_path / "whole", model))
    work(whole)
    broken, _, store = opened(make(tmp_path / "broken", model))
    assert work(broken, stop_after=EPOCHS + 2) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2)]
    store.close()
    shutil.move(tmp_path / "broken", tmp_path / "moved")
    own_source.file_of.cache_clear()
    moved, study, _ = opened(tmp_path / "moved" / "sweep.yaml")
    assert work(moved) == [(1, 3), (1, 4)]
    assert outcomes(study) == outcomes(ends)


def test_lists_are_made_by_its_winner_where_it_was_moved_to(model, opened, tmp_path):
    plan, study, store = opened(make(tmp_path / "first", model), max_evals=1)
    work(plan)
    store.close()
    shutil.move(tmp_path / "first", tmp_path / "moved")
    plan, study, store = opened(tmp_path / "moved" / "sweep.yaml", max_evals=1)
    run = StudyRun(plan, study, lambda text: None)
    with listing(require_kept(run, closed_winner(run)), CPU, EVERYTHING) as by:
        lists = list(by.lists(by.users, 3, with_seen=False))
    assert lists


def test_evidence_trains_its_best_again_on_other_seeds(model, opened, tmp_path):
    plan, study, store = opened(make(tmp_path / "first", model), max_evals=1, training_seeds=2)
    work(plan)
    found = open_evidence(wanted_evidence(plan, store), store)
    again = store.find_study(found.name)
    again.ensure_slots(found.budget)
    work(found)
    (best,), trials = study.results(), again.results()
    assert [one.params for one in trials] == [best.params] * 2
    assert len({best.seed, *(one.seed for one in trials)}) == 3
    assert all(set(one.result.test) == set(best.result.metrics) for one in trials)
