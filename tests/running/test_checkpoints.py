"""The weights of the best trials, while several workers find better ones."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from helpers.phased import fill, workspace
from recsweep.checkpoints import keeper
from recsweep.common.errors import SweepPaused
from recsweep.running import checkpoints
from recsweep.running.checkpoints import keep_if_best
from recsweep.running.keeping import keep_the_best, keeper_of
from recsweep.running.study_run import StudyRun
from recsweep.search.starts import open_study
from recsweep.study import Store

SECOND = SimpleNamespace(slot=1, attempt=0)
TRAINED = SimpleNamespace(best_epoch=1, score=0.2)


@pytest.fixture
def run(tmp_path):
    """A study that keeps one trial's weights; of its two trials the second is the best."""
    plan = workspace(tmp_path, extra="checkpoints: {keep_best: 1}\n").plan()
    store = Store(plan.storage_url)
    study = open_study(plan, store)
    fill(plan, store, [0.1, 0.2], study=study)
    yield StudyRun(plan, study, [].append)
    store.close()


def written(folder) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("best", "last"):
        (folder / f"{name}.pth").write_text("weights")


def beat(run) -> None:
    """What another worker does with a better trial."""
    fill(run.plan, run.study.store, [0.3], study=run.study)
    keep_the_best(run, keeper_of(run.plan))


def test_weights_of_the_best_trial_are_kept(run, monkeypatch):
    monkeypatch.setattr(checkpoints.training, "save_checkpoints", lambda folder, trained: not written(folder))
    keep_if_best(run, keeper_of(run.plan), SECOND, TRAINED)
    manifest = keeper_of(run.plan).weights(1).manifest()
    assert manifest is not None
    assert sorted(manifest.files) == ["best.pth", "last.pth"]


@pytest.mark.parametrize("moment", ["are written", "were written", "are described"])
def test_weights_that_are_beaten_as_they_are_kept_are_no_error(run, monkeypatch, moment):
    def save(folder, trained) -> bool:
        written(folder)
        if moment != "are described":
            beat(run)
        if moment == "are written":
            (folder / "last.pth").stat()
        return True

    def facts_of(path):
        beat(run)
        return original(path)

    original = keeper.facts_of
    monkeypatch.setattr(checkpoints.training, "save_checkpoints", save)
    if moment == "are described":
        monkeypatch.setattr(keeper, "facts_of", facts_of)
    keep_if_best(run, keeper_of(run.plan), SECOND, TRAINED)
    assert not keeper_of(run.plan).weights(1).folder.exists()


@pytest.mark.parametrize(("number", "wanted"), [(errno.ENOSPC, SweepPaused), (errno.EACCES, PermissionError)])
def test_weights_of_the_best_that_cannot_be_written_are_an_error(run, monkeypatch, number, wanted):
    def save(folder, trained) -> bool:
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(checkpoints.training, "save_checkpoints", save)
    with pytest.raises(wanted):
        keep_if_best(run, keeper_of(run.plan), SECOND, TRAINED)


def test_a_full_disk_pauses_for_a_beaten_trial_too(run, monkeypatch):
    def save(folder, trained) -> bool:
        beat(run)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    monkeypatch.setattr(checkpoints.training, "save_checkpoints", save)
    with pytest.raises(SweepPaused, match="the disk cannot be written"):
        keep_if_best(run, keeper_of(run.plan), SECOND, TRAINED)
