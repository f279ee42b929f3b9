"""How the wish to stop, and the wish to go on, race; the kinds of stores are in test_study.py."""

from __future__ import annotations

import shutil

import pytest

from recsweep.common.errors import StoreDamaged
from recsweep.study import FlagWatch, Store, raise_flag, standing, take_back
from recsweep.study.stop_flag import ASK_SECONDS


@pytest.fixture
def study(tmp_path, empty_store):
    shutil.copy(empty_store, tmp_path / "recsweep.db")
    store = Store(f"sqlite:///{tmp_path / 'recsweep.db'}")
    yield store.open_study("s/d/m/full", {}, maximize=True)
    store.close()


def test_a_flag_that_is_raised_while_another_is_taken_back_stands(study, monkeypatch):
    raise_flag(study, now=False)
    real, later = study.set_attribute, []

    def meanwhile(name, value):
        monkeypatch.setattr(study, "set_attribute", real)
        later.append(raise_flag(study, now=True))
        real(name, value)

    monkeypatch.setattr(study, "set_attribute", meanwhile)
    assert take_back(study)
    assert standing(study) == later[0]
    assert take_back(study)
    assert not take_back(study), "there is none any more"


def test_the_later_flag_holds(study):
    raise_flag(study, now=False)
    assert raise_flag(study, now=True) == standing(study)


def test_the_store_is_asked_every_few_seconds(study):
    now = [0.0]
    watch = FlagWatch(study, lambda: now[0])
    assert watch.look() is None
    flag = raise_flag(study, now=False)
    assert watch.look() is None, "it was asked a moment ago"
    assert watch.look(fresh=True) == flag
    take_back(study)
    assert watch.look() == flag
    now[0] += ASK_SECONDS
    assert watch.look() is None


def test_a_study_that_is_gone_is_not_stopped(study):
    raise_flag(study, now=True)
    watch = FlagWatch(study)
    study.store.optuna_storage.delete_study(study.id)
    assert watch.look() is None


def test_a_flag_that_recsweep_did_not_write_is_damage(study):
    study.set_attribute("stop", "yes")
    with pytest.raises(StoreDamaged, match="the attribute `stop`"):
        standing(study)
