"""What `--restart` does to the weights of the study that it archives."""

from __future__ import annotations

import dataclasses

from helpers.phased import fill, workspace
from recsweep.running.old_weights import keep_apart
from recsweep.running.study_run import StudyRun
from recsweep.search.starts import open_study
from recsweep.study import Store


def restarted(tmp_path):
    """A study that was archived and begun anew, with the weights that its predecessor left."""
    plan = workspace(tmp_path).plan()
    store = Store(plan.storage_url)
    fill(plan, store, [0.1], study=open_study(plan, store))
    weights = plan.outputs.trial_checkpoints(*plan.folder_names[:2], 0, plan.folder_names[2])
    weights.mkdir(parents=True)
    (weights / "best.pth").write_text("old")
    changed = dataclasses.replace(plan, sweep=plan.sweep.model_copy(update={"seed": plan.seed + 1}))
    told: list[str] = []
    run = StudyRun(changed, open_study(changed, store, restart=True), told.append)
    return run, store, weights, told


def test_weights_of_an_archived_study_are_kept_apart(tmp_path):
    run, store, weights, told = restarted(tmp_path)
    (archive,) = [name for name in store.names() if "@" in name]
    for _ in range(2):  # the second run finds nothing to do
        keep_apart(run)
    apart = weights.parent / f"@{archive.rpartition('@')[2]}"
    assert (apart / "trial-0" / "best.pth").read_text() == "old"
    assert not weights.exists()
    assert told == [f"{run.label}: the weights of the archived study are kept in {apart}"]
    store.close()


def test_weights_of_the_study_itself_stay(tmp_path):
    run, store, weights, told = restarted(tmp_path)
    fill(run.plan, store, [0.2], study=run.study)
    keep_apart(run)
    assert (weights / "best.pth").is_file()
    assert told == []
    store.close()


def test_weights_that_cannot_be_moved_are_said(tmp_path):
    run, store, weights, told = restarted(tmp_path)
    (archive,) = [name for name in store.names() if "@" in name]
    (weights.parent / f"@{archive.rpartition('@')[2]}").write_text("in the way")
    keep_apart(run)
    (line,) = told
    assert "cannot be moved" in line
    assert weights.is_dir()
    store.close()
