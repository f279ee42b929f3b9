"""The trackers that a sweep asks for: keys, modes, and what cannot be used."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from helpers.found import fill_store, some_trials, workspace
from recsweep.cli import cli
from recsweep.common.errors import InputError, UserError
from recsweep.common.paths import Outputs
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.tracking import TrackingConfig
from recsweep.tracking import destinations as made
from recsweep.tracking import trackers


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """No key of whoever runs the tests, and every library there."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_PROJECT", "WANDB_ENTITY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)


def found(on, tmp_path, said=None):
    outputs = Outputs(tmp_path / "outputs", "s")
    return made.destinations_of(TrackingConfig(**on).on(), outputs, (said if said is not None else []).append)


def test_wandb_is_offline_where_no_key_is_set(tmp_path, monkeypatch):
    (one,) = found({"wandb": {}}, tmp_path)
    assert one.given.settings["mode"] == "offline"
    (tmp_path / ".env").write_text("WANDB_API_KEY=abcdefgh12345678\n")
    (other,) = found({"wandb": {}}, tmp_path)
    assert other.given.settings["mode"] == "online"
    assert one.key != other.key, "what was written offline is not on the server"
    assert "abcdefgh" not in other.key
    (kept,) = found({"wandb": {"mode": "offline"}}, tmp_path)
    assert kept.given.settings["mode"] == "offline"


def test_online_without_a_key_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(UserError, match=r"WANDB_API_KEY is not set.*or write mode: offline"):
        found({"wandb": {"mode": "online"}}, tmp_path)


def test_a_tracker_that_is_not_installed_is_told_of_and_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "mlflow" else name)
    said = []
    assert [one.row.name for one in found({"mlflow": {}, "csv": {}}, tmp_path, said)] == ["csv"]
    assert said == [
        "nothing is sent to mlflow: mlflow is not installed; run `make setup-trackers`, then "
        "`recsweep track backfill` sends what there is"
    ]


@pytest.mark.parametrize("uri", ["http://me:pw@mlflow.lab", "http://token@mlflow.lab:5000"])
def test_an_address_that_holds_a_password_is_refused(uri):
    with pytest.raises(ValueError, match="holds no user or password") as error:
        TrackingConfig(mlflow={"uri": uri})
    assert "MLFLOW_TRACKING_PASSWORD" in str(error.value)


@pytest.mark.parametrize(
    ("section", "options", "on"),
    [
        ("{}", {}, []),
        ("{csv: {}, wandb: {project: p}}", {}, ["wandb", "csv"]),
        ("{csv: {}}", {"track": "jsonl tensorboard"}, ["jsonl", "tensorboard"]),
        ("{csv: {}}", {"track": "none"}, []),
        ("{}", {"wandb_project": "p"}, ["wandb"]),
        ("{csv: {}}", {"track": "mlflow", "mlflow_uri": "http://h:5000"}, ["mlflow"]),
    ],
)
def test_a_file_and_options_say_which_are_on(tmp_path, section, options, on):
    one = workspace(tmp_path)
    one.sweep.write_text(one.sweep.read_text() + f"tracking: {section}\n")
    config = one.load(**options).config
    assert isinstance(config, SweepConfig)
    assert list(config.tracking.on()) == on


def test_an_unknown_tracker_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"--track: must be one of wandb, mlflow.*got 'wandbb'.*did you mean"
    ):
        workspace(tmp_path).load(track="wandbb")


def test_track_backfills_and_says_what_there_is(tmp_path):
    one = workspace(tmp_path)
    fill_store(one.plan(), some_trials())
    given = ["--config", str(one.sweep), "--track", "jsonl"]
    status = CliRunner().invoke(cli, ["track", "status", *given])
    assert "never sent" in status.output, status.output
    sync = CliRunner().invoke(cli, ["track", "sync", *given])
    assert sync.output == "jsonl: 0 sent\n"
    done = CliRunner().invoke(cli, ["track", "backfill", *given])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for file in tmp_path.rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert sum(line["kind"] == "ended" for line in lines) == 12
    assert {line["state"] for line in lines if line["kind"] == "ended"} == {"complete", "pruned", "failed"}
    again = CliRunner().invoke(cli, ["track", "backfill", *given])
    assert again.output == "jsonl: 0 sent\n"
    none = CliRunner().invoke(cli, ["track", "sync", "--config", str(one.sweep)])
    assert isinstance(none.exception, UserError)
    assert "no tracker is on" in str(none.exception)
