"""A device that is not there is refused before anything is opened for it, by whoever would train on it."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from helpers import warm
from helpers.workspace import make_workspace, run_python
from recsweep.cli import main
from recsweep.common import devices
from recsweep.common.files import write_yaml


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """A machine without a GPU, whatever this one has."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    devices.require.cache_clear()
    yield
    devices.require.cache_clear()


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in a folder of its own; its exit code and what it said."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["recsweep", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


@pytest.fixture
def quick(monkeypatch):
    """The same answer without a process that imports torch."""
    answer = "print(f'device: {sys.argv[1]} was asked for, but torch sees no GPU; use device: auto')"
    monkeypatch.setattr(devices, "_ASK", f"import sys; {answer}")


COMMANDS = {
    "tune": (),
    "tune a study": ("--model", "NARM", "--dataset", "toy"),
    "worker": (),
}


@pytest.mark.parametrize(
    ("command", "device"),
    [("tune", "cuda"), ("tune a study", "mps"), ("worker", "cuda"), ("worker", "mps")],
)
@pytest.mark.usefixtures("quick")
def test_a_command_that_would_train_ends_with_one_line_and_makes_nothing(call, tmp_path, command, device):
    make_workspace(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, said = call(command.split()[0], "--config", "sweep.yaml", "--device", device, *COMMANDS[command])
    assert code == 2, said
    (line,) = said.splitlines()
    assert line.startswith(f"recsweep: device: {device} was asked for, but torch sees no GPU")
    assert "use device: auto" in line
    assert sorted(tmp_path.rglob("*")) == before, "no store, no log, no outputs"


def test_a_config_that_names_a_device_is_refused_too(quick, call, tmp_path):
    workspace = make_workspace(tmp_path)
    workspace.sweep.write_text(workspace.sweep.read_text() + "training: {device: cuda}\n")
    assert call("tune", "--config", "sweep.yaml")[0] == 2
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("by", ["the file", "the environment"])
def test_opening_and_looking_need_no_gpu(quick, call, tmp_path, monkeypatch, by):
    workspace = make_workspace(tmp_path)
    if by == "the file":
        workspace.sweep.write_text(workspace.sweep.read_text() + "training: {device: cuda}\n")
    else:
        monkeypatch.setenv("RECSWEEP_DEVICE", "cuda")
    path = tmp_path / "outputs" / "recsweep.db"
    code, said = call("open", "--config", "sweep.yaml")
    assert code == 0, said
    assert path.is_file()
    for looking in (("tune", "--dry-run"), ("summarize",)):
        code, said = call(*looking, "--config", "sweep.yaml")
        assert code == 0, said
    store = path.read_bytes()
    code, said = call("tune", "--config", "sweep.yaml")
    assert code == 2, said
    assert said.startswith("recsweep: device: cuda was asked for")
    assert path.read_bytes() == store, "nothing in the store"


def test_evaluate_is_refused_before_it_opens_anything(quick, call, tmp_path, monkeypatch):
    make_workspace(tmp_path)
    monkeypatch.setattr("recsweep.api.slots.open_slots", lambda *args, **kwargs: (2, 0))
    code, said = call("evaluate", "--config", "sweep.yaml", "--device", "cuda")
    assert code == 2
    assert said.startswith("recsweep: device: cuda was asked for")
    assert not (tmp_path / "outputs").exists()


def test_a_finished_sweep_is_written_again_without_a_gpu(call, tmp_path, monkeypatch):
    """Nothing is trained, so nothing is refused."""
    make_workspace(tmp_path)
    asked = []
    monkeypatch.setattr("recsweep.api.slots.open_slots", lambda *args, **kwargs: (2, 0))
    monkeypatch.setattr("recsweep.api.slots.require", asked.append)
    monkeypatch.setattr("recsweep.api.sweep_run.SweepRun._each", lambda *args: None)
    call("tune", "--config", "sweep.yaml", "--device", "cuda", "--dataset", "toy")
    assert asked == []
    call("tune", "--config", "sweep.yaml", "--device", "cuda", "--more", "2")
    assert asked == ["cuda"]


def test_one_training_is_refused_before_its_data_are_read(tmp_path):
    device = "cuda"
    workspace = make_workspace(tmp_path)
    write_yaml(
        tmp_path / "config.yaml",
        {"model": "BPR", "dataset": "toy", "data_path": str(workspace.dataset.parent)},
    )
    done = warm.run(["train", "--config", "config.yaml", "--device", device], tmp_path, 60)
    assert done.returncode == 2, done.stderr
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.startswith(f"recsweep: device: {device} was asked for")
    assert not (tmp_path / "outputs" / "cache").exists()


def test_the_parent_asks_without_torch_and_without_a_file_called_torch(tmp_path):
    (tmp_path / "torch.py").write_text(f"open({json.dumps(str(tmp_path / 'harmed'))}, 'w')\n")
    code = (
        "import os, sys\nfrom recsweep.common import devices, errors\nos.chdir(sys.argv[1])\n"
        "try:\n    devices.require('cuda')\nexcept errors.UserError as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    said = run_python(code, str(tmp_path)).splitlines()
    assert said[0].startswith("device: cuda was asked for, but torch sees no GPU")
    assert said[1] == "False"
    assert not (tmp_path / "harmed").exists()


def test_a_device_that_is_not_named_costs_nothing(monkeypatch):
    monkeypatch.setattr(
        devices.subprocess, "run", lambda *args, **kwargs: pytest.fail("a process was started")
    )
    for device in ("auto", "cpu"):
        devices.require(device)


def test_what_torch_can_use_is_not_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [devices.trouble(device) for device in ("cuda", "cuda:1", "cpu", "auto")] == [None] * 4
    monkeypatch.setattr(devices, "_ASK", "print('')")
    devices.require("cuda")


@pytest.mark.parametrize(
    "ask", ["raise SystemExit(1)", "print(' '); raise SystemExit(3)", "import os; os.abort()"]
)
def test_where_nobody_can_answer_the_workers_will(monkeypatch, ask):
    monkeypatch.setattr(devices, "_ASK", ask)
    devices.require("cuda")
