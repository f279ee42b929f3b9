"""Which settings are part of a study's definition: as the registry marks them."""

from __future__ import annotations

import pytest

from helpers.workspace import make_workspace
from recsweep.sweeps.options import OF_A_SWEEP, SETTINGS
from recsweep.sweeps.scheduler_table import OF_POPULATION

OTHER = {
    "engine": "optuna",
    "algo": "random",
    "max_evals": 7,
    "pruner": "median",
    "scheduler": "asha",
    "perturbation_interval": 7,
    "quantile_fraction": 0.4,
    "resample_probability": 0.4,
    "phases": "coarse",
    "warm_start": "good.json",
    "transfer": True,
    "allow_large_grid": True,
    "epochs": 7,
    "patience": 7,
    "batch_size": 7,
    "seed": 7,
    "timeout_minutes": 7,
    "no_improvement_after": 7,
    "sweep_timeout_minutes": 7,
    "budget": "epochs",
    "share": 7,
    "training_seeds": 7,
    "split_seeds": 7,
    "top": 7,
    "device": "cpu",
    "cooldown": 7,
    "workers": 7,
    "workers_on": "ray",
    "workers_per_study": 7,
    "checkpoints": "elsewhere",
    "checkpoint_epochs": 7,
    "checkpoint_minutes": 7,
    "track": "csv jsonl",
    "energy": False,
    "wandb_project": "mine",
    "popularity": "none",
    "mlflow_uri": "http://127.0.0.1:5000",
    "storage": "sqlite:///other.db",
    "storage_file": "address",
    "outputs": "elsewhere",
}
"""Another value of each setting than the one that the workspace has."""
BY_RAY = {"engine": "ray", "algo": "random"}
NEEDS = {"budget": {"share": 7}, "scheduler": BY_RAY}
NEEDS |= {key: {**BY_RAY, "scheduler": "pbt"} for key in OF_POPULATION}
"""Settings without which another one is refused."""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    made = make_workspace(tmp_path)
    made.model.write_text(made.model.read_text() + "phases: {coarse: [n_layers]}\n")
    (tmp_path / "good.json").write_text('{"n_layers": 2}')
    (tmp_path / "address").write_text("sqlite:///third.db")
    (tmp_path / "address").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.mark.parametrize("name", [name for name in OF_A_SWEEP if name not in ("models", "datasets")])
def test_a_setting_changes_the_definition_as_the_registry_says(workspace, name):
    needs = NEEDS.get(name, {})
    before, after = workspace.plan(**needs), workspace.plan(**needs, **{name: OTHER[name]})
    assert (before.definition != after.definition) is SETTINGS[name].definition
