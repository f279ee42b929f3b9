"""Models of one's own: found, checked by their source, and part of what a study is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from helpers.workspace import make_workspace
from recsweep.common.errors import InputError, TrialError
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.planning.remarks import remarks
from recsweep.recbole_api import catalog, own_models, own_source, source, words
from recsweep.recbole_api.model_facts import facts
from recsweep.sweeps.loading import load_sweep

PARTS = "def width(config):\n    return config['embedding_size']\n"
CODE = """\
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from my_parts import width


class MyRec(GeneralRecommender):
    input_type = InputType.PAIRWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.width, self.depth = width(config), config["depth"]
"""
FILE = """\
model: my_rec.py:MyRec
defaults: {learning_rate: 0.001, depth: 2}
space:
  learning_rate: {type: loguniform, min: 1.0e-4, max: 1.0e-2}
  depth: {type: randint, min: 1, max: 3}
"""
SCORING = """\
import torch


class MyRec:
    n_items = 10

    def full_sort_predict(self, interaction):
        return {}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of one model, whose code stands beside its file."""
    path = make_workspace(tmp_path).sweep
    models = path.parent / "models"
    (models / "my_rec.py").write_text(CODE)
    (models / "my_parts.py").write_text(PARTS)
    (models / "Mine.yaml").write_text(FILE)
    _forget()
    return path


def _forget() -> None:
    caches = (own_source.file_of, own_source.files, own_source.code_hash, own_source.tree, own_source._base)
    for one in (*caches, source.published_defaults, source.parsed, source.classes_in, catalog.reads):
        one.cache_clear()


def planned(sweep: Path) -> StudyPlan:
    return plan_sweep(load_sweep(sweep, {"models": "Mine"}), with_data=False)[0]


def test_its_parameters_are_those_that_it_and_what_stands_beside_it_read(sweep: Path):
    about = facts(planned(sweep).model.model)
    assert {"depth", "embedding_size", "learning_rate"} <= set(about.parameters)
    assert (about.kind, about.learns, about.packages) == ("general", True, ())


def test_its_code_is_part_of_the_study_and_its_folder_is_not(sweep: Path, tmp_path: Path):
    before = planned(sweep)
    other = make_workspace(tmp_path / "other").sweep
    for name, text in {"my_rec.py": CODE, "my_parts.py": PARTS, "Mine.yaml": FILE}.items():
        (other.parent / "models" / name).write_text(text)
    assert planned(other).content_hash == before.content_hash
    (other.parent / "models" / "my_parts.py").write_text(PARTS + "# changed\n")
    assert planned(other).content_hash != before.content_hash


def test_what_is_edited_while_a_process_lives_is_read_again(sweep: Path):
    assert "width" not in catalog.parameters(planned(sweep).model.model)
    (sweep.parent / "models" / "my_parts.py").unlink()
    with pytest.raises(InputError, match="there is no Python package `my_parts`"):
        planned(sweep)
    (sweep.parent / "models" / "my_parts.py").write_text(PARTS.replace("embedding_size", "width"))
    assert "width" in catalog.parameters(planned(sweep).model.model)
    code = sweep.parent / "models" / "my_rec.py"
    model = planned(sweep).model.model
    for width in (1, 2):
        code.write_text(CODE + f"\n    it = {width}\n")
        planned(sweep)
        assert own_models.load(model).it == width


def test_a_record_finds_the_code_again_and_asks_for_the_same(sweep: Path):
    plan = planned(sweep)
    record = plan.record()
    assert record.model == plan.model
    assert record.definition == plan.definition
    assert plan.settings(plan.defaults, 1)[own_models.CODE] == plan.definition["model"]["code"]


def test_other_code_than_planned_is_not_trained(sweep: Path):
    with pytest.raises(TrialError, match="is not that which the trial was planned with"):
        own_models.check_code(planned(sweep).model.model, "0" * 64)


def test_a_model_of_recboles_has_no_code_in_its_definition(sweep: Path):
    plan = plan_sweep(load_sweep(sweep, {"models": "NARM"}), with_data=False)[0]
    assert "code" not in plan.definition["model"]
    assert own_models.CODE not in plan.settings(plan.defaults, 1)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("class MyRec", "class MyRex", "has no class `MyRec`; did you mean `MyRex`?"),
        (
            "    input_type = InputType.PAIRWISE\n",
            "",
            "MyRec has no `input_type`, by which RecBole .*; write `input_type =",
        ),
        ("(GeneralRecommender)", "(list)", r"my_rec.py:6: MyRec is no recommender of RecBole's"),
        (
            "from my_parts",
            "from .my_parts",
            r"my_rec.py:3: a relative import needs .*; write `my_parts` without",
        ),
        ("from my_parts", "from no_parts", r"my_rec.py:3: there is no Python package `no_parts`"),
        ("def __init__(", "def __init__((", r"my_rec.py:9: "),
    ],
)
def test_a_fault_is_told_with_its_line(sweep: Path, old: str, new: str, problem: str):
    (sweep.parent / "models" / "my_rec.py").write_text(CODE.replace(old, new))
    with pytest.raises(InputError, match=problem) as told:
        planned(sweep)
    assert "Mine.yaml:1:8: " in str(told.value)


def test_sampled_candidates_want_a_model_that_scores_pairs(sweep: Path):
    planned(sweep)
    dataset = sweep.parent / "datasets" / "toy.yaml"
    dataset.write_text(dataset.read_text() + "candidates: uni100\n")
    with pytest.raises(InputError, match="MyRec has no `predict`, which sampled candidates"):
        planned(sweep)
    code = sweep.parent / "models" / "my_rec.py"
    code.write_text(CODE + "\n    def predict(self, interaction):\n        return interaction\n")
    planned(sweep)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_rec.py:MyRec", "there is no file .*no_rec.py; a relative path is relative to the folder"),
        ("no_package.models:MyRec", "there is no Python module `no_package.models`"),
    ],
)
def test_code_that_is_not_there_is_told(sweep: Path, name: str, problem: str):
    (sweep.parent / "models" / "Mine.yaml").write_text(FILE.replace("my_rec.py:MyRec", name))
    with pytest.raises(InputError, match=problem):
        planned(sweep)


def test_a_parameter_that_it_never_reads_is_refused(sweep: Path):
    (sweep.parent / "models" / "Mine.yaml").write_text(FILE.replace("depth", "dept"))
    with pytest.raises(InputError, match="never reads `dept`; did you mean `depth`"):
        planned(sweep)


def test_a_package_is_reached_by_its_module(sweep: Path, monkeypatch: pytest.MonkeyPatch):
    package = sweep.parent / "packages" / "mypackage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('not to be run')\n")
    (package / "parts.py").write_text(PARTS)
    (package / "models.py").write_text(CODE.replace("from my_parts", "from .parts"))
    monkeypatch.syspath_prepend(str(package.parent))
    assert own_models.mistake("mypackage.models:MyRec") is None
    assert {"depth", "embedding_size"} <= catalog.parameters("mypackage.models:MyRec")


def test_a_package_that_was_edited_is_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "recbole_edited"
    package.mkdir()
    (package / "models.py").write_text(
        "from recbole_edited.parts import DEPTH\n\n\nclass MyRec:\n    depth = DEPTH\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for depth in (2, 3):
        (package / "parts.py").write_text(f"DEPTH = {depth}\n")
        _forget()
        assert own_models.load("recbole_edited.models:MyRec").depth == depth


@pytest.mark.parametrize(
    ("scores", "told"),
    [("torch.zeros(3, 7)", "shape [3, 7]"), ("torch.zeros(2, 10)", "shape [2, 10]"), ("[1.0]", "list")],
)
def test_scores_of_another_size_say_which_is_wanted(tmp_path: Path, scores: str, told: str):
    path = tmp_path / "my_rec.py"
    path.write_text(SCORING.format(scores))
    model = own_models.load(f"{path}:MyRec")()
    with pytest.raises(TrialError) as raised:
        model.full_sort_predict([1, 2, 3])
    assert f"gave scores of {told} for 3 rows" in str(raised.value)
    assert "give a tensor of shape [3, 10]" in str(raised.value)


@pytest.mark.parametrize("shape", ["3, 10", "30", "3, 10, 1"])
def test_scores_in_any_shape_of_that_size_are_left_alone(tmp_path: Path, shape: str):
    path = tmp_path / "my_rec.py"
    path.write_text(SCORING.format(f"torch.zeros({shape})"))
    assert own_models.load(f"{path}:MyRec")().full_sort_predict([1, 2, 3]).numel() == 30


def test_what_a_package_ships_for_its_model_is_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "recbole_made"
    shipped = package / "properties" / "model" / "MyRec.yaml"
    shipped.parent.mkdir(parents=True)
    (package / "parts.py").write_text(PARTS)
    (package / "models.py").write_text(CODE.replace("from my_parts", "from recbole_made.parts"))
    monkeypatch.syspath_prepend(str(tmp_path))
    model, hashes = "recbole_made.models:MyRec", set()
    for text in ("", "depth: 3\nembedding_size: 16\nreg: 1e-4\n", "depth: [\n"):
        shipped.write_text(text)
        _forget()
        hashes.add(own_source.code_hash(model))
        if "[" not in text:
            assert own_models.mistake(model) is None
            assert words.shipped(model, "depth") == (3 if text else None)
            assert words.shipped(model, "reg") == (1e-4 if text else None)
    assert len(hashes) == 3
    assert "MyRec.yaml holds no settings" in str(own_models.mistake(model))


def test_a_setting_that_nothing_gives_a_value_is_said(sweep: Path):
    (said,) = remarks(load_sweep(sweep, {"models": "Mine"}))
    assert said.startswith("my_rec.py:MyRec: its code reads `embedding_size`, which nothing gives a value")
    model = sweep.parent / "models" / "Mine.yaml"
    model.write_text(FILE + "fixed: {embedding_size: 8}\n")
    code = CODE.replace('["depth"]', '["depth"] * config["require_pow"]')  # RecBole ships it
    (sweep.parent / "models" / "my_rec.py").write_text(code)
    assert remarks(load_sweep(sweep, {"models": "Mine"})) == []


def test_one_derived_from_recboles_has_its_defaults_and_parameters(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from recbole.model.general_recommender import LightGCN as Base\n\n\nclass Mine(Base):\n    pass\n"
    )
    model = f"{path}:Mine"
    assert own_models.mistake(model) is None
    assert catalog.published_defaults(model) == catalog.published_defaults("LightGCN")
    assert catalog.parameters(model) == catalog.parameters("LightGCN")


def test_each_model_has_the_helper_that_lies_beside_it(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twice_used.py").write_text(f"width = {folder!r}\n")
        (tmp_path / folder / "mine.py").write_text(
            "import twice_used\n\n\nclass Mine:\n    it = twice_used.width\n"
        )
    assert [own_models.load(f"{tmp_path / folder}/mine.py:Mine").it for folder in ("one", "two")] == [
        "one",
        "two",
    ]


def test_an_error_while_it_is_loaded_has_its_line(tmp_path: Path):
    path = tmp_path / "broken.py"
    path.write_text("import ast\n\n1 / 0\n")
    with pytest.raises(TrialError, match=r"broken.py:3: ZeroDivisionError: division by zero"):
        own_models.load(f"{path}:Mine")


def test_the_place_of_a_records_code_is_no_part_of_its_definition(sweep: Path):
    record = planned(sweep).record()
    apart = dataclasses.replace(record.details.apart, code={})
    assert record.with_details(apart=apart).content_hash == record.content_hash
