"""`recsweep train`: a configuration that was found on other data does not train on these without a word."""

from __future__ import annotations

import pytest
import yaml

from helpers.found import result_of, trial, workspace
from helpers.workspace import ROWS
from recsweep.common.errors import InputError
from recsweep.report.study_files import write_study
from recsweep.training import single


@pytest.fixture
def best(tmp_path, monkeypatch):
    """A study's best_config.yaml, its sweep, and a function that begins to train with it."""
    space = workspace(tmp_path)
    plan = space.plan()
    write_study(result_of(plan, [trial(0, 0.3)]))
    path = plan.outputs.best_config(*plan.folder_names)
    given = []

    class Trains(Exception):
        pass

    def prepare(settings, *others, **named):
        given.append(settings)
        raise Trains

    monkeypatch.setattr(single, "prepare", prepare)

    def begin():
        with pytest.raises(Trains):
            single.train_file(path, "cpu", tmp_path / "other", save=None, test=False, tell=print)
        return given[-1]

    def refuse():
        with pytest.raises(InputError) as error:
            single.train_file(path, "cpu", tmp_path / "other", save=None, test=False, tell=print)
        return str(error.value)

    return space, path, begin, refuse


def test_it_trains_on_the_data_that_it_was_found_on(best):
    _, path, begin, _ = best
    config = yaml.safe_load(path.read_text())
    assert config.pop("data_hashes")
    assert begin() == config


def test_remarks_on_data_are_said_of_a_cached_split_too(best, tmp_path, monkeypatch):
    space, path, *_ = best
    monkeypatch.undo()
    space.write_rows(*ROWS, "4 \t1\t500")
    config = yaml.safe_load(path.read_text())
    del config["data_hashes"]
    path.write_text(yaml.safe_dump(config))

    class Trains(Exception):
        pass

    def train(*_, **named):
        raise Trains

    monkeypatch.setattr(single.training, "train", train)
    said = []
    for _ in range(2):
        told = []
        with pytest.raises(Trains):
            single.train_file(path, "cpu", tmp_path / "other", save=None, test=False, tell=told.append)
        said.append(told)
    assert said[0] == said[1]
    assert any("space" in line for line in said[0])


def test_other_data_are_refused_with_hashes_file_and_a_way_on(best):
    space, path, begin, refuse = best
    was = yaml.safe_load(path.read_text())["data_hashes"]["toy.inter"]
    space.write_rows("1\t1\t1")
    now = space.plan().files.hashes["toy.inter"]
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "toy.inter:" in text)
    message = refuse()
    assert message.startswith(f"{path}:{line}:")
    assert f"found on {space.inter} with the hash {was[:16]}…, now it has {now[:16]}…; " in message
    assert message.endswith("put that file back, or remove `data_hashes` to train on what is there")
    text = path.read_text()
    path.write_text(text[: text.index("data_hashes")])
    assert begin()["dataset"] == "toy"


def test_a_file_that_is_gone_is_said_a_new_one_is_not(best):
    space, path, begin, refuse = best
    (space.inter.parent / "toy.item").write_text("item_id:token\n1\n")
    begin()
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "data_hashes": {**config["data_hashes"], "toy.kg": "ab" * 32}}))
    assert "toy.kg with the hash abababababababab…, it is not there; " in refuse()
    path.write_text(yaml.safe_dump({**config, "data_hashes": 3}))
    assert "must hold a hash for each data file; remove the key" in refuse()


# -- a schedule ------------------------------------------------------------------------------------


@pytest.fixture
def scheduled(best, tmp_path):
    """A function that trains, or refuses, a best_config.yaml with a schedule, and gives what it was asked."""
    _, path, *_ = best

    def train(schedule, **changes):
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "schedule": schedule, **changes}))
        return single.train_file(path, "cpu", tmp_path / "other", save=None, test=True, tell=print)

    return train


def test_a_schedule_is_trained_and_tested_as_its_best_epoch(scheduled, monkeypatch):
    monkeypatch.undo()
    given = {}
    evaluate = single.training.evaluate

    def remember(settings, *others):
        given.update(settings)
        return evaluate(settings, *others)

    monkeypatch.setattr(single.training, "evaluate", remember)
    trained, test = scheduled([{"from_epoch": 2, "learning_rate": 0.5}], epochs=3, fast=False)
    assert trained.epochs == 3
    assert trained.last["config"]["learning_rate"] == 0.5
    assert given["learning_rate"] == trained.best["config"]["learning_rate"]
    assert "schedule" not in given
    assert test


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (3, "must be a list of changes; write `- from_epoch: 4`"),
        ([3], "must hold an epoch and settings; write `from_epoch: 4`"),
        ([{"learning_rate": 0.1}], "`from_epoch` must be a whole number, but is None"),
        ([{"from_epoch": "4"}], "`from_epoch` must be a whole number, but is 4"),
        (
            [{"from_epoch": 2, "learning_rat": 1}],
            "NARM never reads `learning_rat`; did you mean `learning_rate`",
        ),
        ([{"from_epoch": 2, "loss_type": "AB"}], "loss_type"),
    ],
)
def test_a_schedule_that_is_none_is_refused_with_its_line(best, scheduled, schedule, said):
    with pytest.raises(InputError) as error:
        scheduled(schedule)
    line = next(n for n, text in enumerate(best[1].read_text().splitlines(), 1) if "schedule:" in text)
    found = int(str(error.value).removeprefix(f"{best[1]}:").split(":")[0])
    assert line <= found <= line + 3
    assert said in str(error.value)


def test_what_cannot_change_is_refused_where_it_stands(best, scheduled, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"`hidden_size`: 64 gives .* another shape; leave it as it was"):
        scheduled([{"from_epoch": 2, "hidden_size": 64}], epochs=3)
    with pytest.raises(InputError, match=r"`from_epoch`: 5 is after the last epoch, 3; choose another epoch"):
        scheduled([{"from_epoch": 5}], epochs=3)
