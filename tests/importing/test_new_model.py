"""`recsweep new-model`: files that fit together."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from recsweep.cli.new_model import new_model
from recsweep.common.errors import InputError
from recsweep.importing.new_model import new_model as made
from recsweep.planning.plan import plan_sweep
from recsweep.recbole_api import catalog
from recsweep.sweeps.loading import load_sweep


@pytest.mark.parametrize("kind", ["general", "sequential"])
def test_what_it_writes_can_be_planned(tmp_path: Path, kind: str):
    switch = ["--sequential"] if kind == "sequential" else []
    told = CliRunner().invoke(new_model, ["MyRec", "--into", str(tmp_path), *switch])
    assert told.exit_code == 0, told.output
    assert f"tune it: recsweep tune --config {tmp_path / 'my_rec.yaml'}" in told.output
    plan = plan_sweep(load_sweep(tmp_path / "my_rec.yaml"))[0]
    assert plan.model.model == f"{tmp_path / 'models' / 'my_rec.py'}:MyRec"
    assert catalog.family(plan.model.model) == kind
    assert set(plan.space) == {"learning_rate", "embedding_size", "dropout_prob"}


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "my_rec.yaml").write_text("mine")
    told = CliRunner().invoke(new_model, ["MyRec", "--into", str(tmp_path)])
    assert isinstance(told.exception, InputError)
    assert [path.name for path in tmp_path.iterdir()] == ["my_rec.yaml"]


@pytest.mark.parametrize("name", ["my-rec", "SASRec", "sasRec", "None", "../X"])
def test_a_name_that_cannot_be_is_refused(name: str):
    with pytest.raises(InputError):
        made(name)


def test_its_code_and_its_test_are_python():
    for texts in (made("Other2"), made("Other2", sequential=True)):
        assert [ast.parse(text) is not None for path, text in texts.items() if path.endswith(".py")] == [
            True
        ] * 2
