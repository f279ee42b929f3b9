"""RecBole's source, walked for whatever could run code from a file or a setting: each place is closed."""

from __future__ import annotations

import ast
import importlib
import json
import pickle
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from helpers.catalogue import make_split, settings_for, write_dataset
from recsweep.common.errors import RecsweepError, TrialError
from recsweep.common.files import write_yaml
from recsweep.recbole_api import catalog, compat, heeds, safety, source
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.model import hyper_tuning
from recsweep.recbole_api.model_facts import refusal
from recsweep.training import training
from recsweep.training.single import train_file

compat.apply()

CPU = torch.device("cpu")
# Whatever of these modules is used, and these names of others.
MODULES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"),
    *("subprocess", "pty", "code", "runpy", "ctypes", "pexpect", "commands"),
}
NAMES = {
    *("eval", "exec", "compile", "__import__", "execfile", "breakpoint"),
    *(f"builtins.{name}" for name in ("eval", "exec", "compile", "__import__")),
    *("numpy.load", "numpy.lib.format.read_array", "numpy.lib.npyio.load", "torch.load", "torch.jit.load"),
    *("torch.hub.load", "pandas.read_pickle", "pandas.eval", "importlib.import_module"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.UnsafeLoader"),
    *("os.system", "os.popen", "os.startfile", "os.fork"),
}
PREFIXES = ("os.exec", "os.spawn", "os.posix_spawn")
# A module by its name, which is a model's or a trainer's that the catalogue knows.
BY_NAME = {"data/utils.py", "utils/utils.py"}


def imported_names(tree: ast.AST) -> dict[str, str]:
    """What the names of a file stand for: `np` for `numpy`, `load` for `torch.load`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, names)}.{node.attr}"
    return ""


def unsafe(source: str) -> set[str]:
    """Every unsafe function that a file names, called or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    names = imported_names(tree)
    found = set()
    for node in ast.walk(tree):
        full = dotted(node, names) if isinstance(node, ast.Name | ast.Attribute) else ""
        if full in NAMES or full.startswith(PREFIXES) or (full.split(".")[0] in MODULES and "." in full):
            found.add(full)
    # An import that nothing names is one that a star may name elsewhere.
    whole = {full for full in names.values() if full.split(".")[0] in MODULES}
    return found | {full for full in whole if not any(name.startswith(full) for name in found)}


def in_recbole() -> Iterator[tuple[str, set[str]]]:
    folder = catalog.recbole_folder()
    for path in sorted(folder.rglob("*.py")):
        found = unsafe(path.read_text(encoding="utf-8"))
        if found:
            yield str(path.relative_to(folder)), found


def test_every_place_of_recboles_that_could_run_code_is_closed():
    found = defaultdict(set)
    for file, names in in_recbole():
        found[file] = names - ({"importlib.import_module"} if file in BY_NAME else set())
    closed = {file: set(calls) for file, calls in safety.CLOSED.items()}
    assert {file: names for file, names in found.items() if names} == closed


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import numpy as np\nnp.load('x')", "numpy.load"),
        ("from torch import load as get\nget('x')", "torch.load"),
        ("import torch\nf = torch.load", "torch.load"),
        ("import pickle as p\np.loads(b'')", "pickle.loads"),
        ("from pickle import *", "pickle.*"),
        ("import joblib", "joblib"),
        ("import subprocess as s\ns.run([])", "subprocess.run"),
        ("run = eval", "eval"),
        ("import builtins\nbuiltins.exec('')", "builtins.exec"),
        ("import os\nos.execv('a', [])", "os.execv"),
        ("import yaml\nyaml.load('', Loader=yaml.UnsafeLoader)", "yaml.UnsafeLoader"),
        ("import pandas as pd\npd.read_pickle('x')", "pandas.read_pickle"),
        ("from importlib import import_module\nimport_module('x')", "importlib.import_module"),
    ],
)
def test_the_walk_finds_it_whatever_it_is_called(source, name):
    assert name in unsafe(source)


def test_the_walk_leaves_what_only_sounds_alike():
    assert not unsafe("model.eval()\nre.compile('x')\nnp.loadtxt('x')\nself.load(x)\n'''eval pickle'''")


def test_recsweep_itself_names_none_of_it():
    source = Path(safety.__file__).parent.parent
    allowed = {
        "recbole_api/catalog.py": {"yaml.load"},
        "training/pretraining.py": {"torch.load"},
        "training/state.py": {"torch.load"},
        "training/training.py": {"torch.load"},
    }
    for path in source.rglob("*.py"):
        name = str(path.relative_to(source))
        found = {
            full
            for full in unsafe(path.read_text())
            if full.split(".")[0] in ("pickle", "numpy", "torch", "pandas")
        }
        assert found <= allowed.get(name, set()), name


# -- each place, tried ----------------------------------------------------------------------------


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def harm(tmp_path):
    harmful = Harm(tmp_path / "harmed")
    yield harmful
    assert not harmful.path.exists(), "code from a file was run"


def module_of(file: str):
    for name in ("ray", "ray.tune"):  # RecBole's quick start imports it, and nothing of ours imports that
        sys.modules.setdefault(name, ModuleType(name))
    module = importlib.import_module("recbole." + file.removesuffix(".py").replace("/", "."))
    safety.close()
    return module


@pytest.mark.parametrize("file", [file for file, calls in safety.CLOSED.items() if "torch.load" in calls])
@pytest.mark.parametrize("forced", [False, True], ids=["", "forced"])
def test_torch_reads_weights_only_in_every_module_that_loads(file, forced, harm, tmp_path, monkeypatch):
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    module = module_of(file)
    torch.save({"state_dict": {"w": torch.ones(2)}}, tmp_path / "good.pth")
    assert module.torch.load(tmp_path / "good.pth", map_location="cpu")["state_dict"]["w"].sum() == 2
    torch.save({"state_dict": harm}, tmp_path / "bad.pth")
    for arguments in ({}, {"weights_only": False}):
        with pytest.raises(TrialError, match=r"bad\.pth holds more than weights.*save it again") as caught:
            module.torch.load(tmp_path / "bad.pth", **arguments)
        assert "\n" not in str(caught.value)
    assert module.torch.nn is torch.nn


@pytest.mark.parametrize("file", ["data/utils.py", "data/dataset/dataset.py"])
def test_recbole_neither_pickles_nor_unpickles(file, harm, tmp_path):
    module = module_of(file)
    (tmp_path / "x").write_bytes(pickle.dumps(harm))
    with (tmp_path / "x").open("rb") as opened:
        for call in (lambda: module.pickle.load(opened), lambda: module.pickle.dump(1, None)):
            with pytest.raises(TrialError, match="wants to pickle"):
                call()


def test_a_file_of_parameters_is_never_evaluated(harm, tmp_path):
    cls = hyper_tuning()
    (tmp_path / "p").write_text(f"x choice [open({str(harm.path)!r},'w')]\n")
    with pytest.raises(TrialError, match="wants to evaluate text"):
        cls._build_space_from_file(tmp_path / "p")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("safety"))


def train(settings, folder):
    return training.train(settings, make_split(TypedConfig(settings, CPU, folder)), CPU)


def test_code_in_place_of_a_networks_name_is_not_run(rich, harm, tmp_path):
    settings = settings_for("KD_DAGFM", rich)
    assert train({**settings, "teacher": "CrossNet"}, tmp_path).epochs == 1
    for code in (f"open({str(harm.path)!r}, 'w')", "nn.Module", "torch", "KD_DAGFM.__init__", ""):
        with pytest.raises(TrialError, match="has no network"):
            train({**settings, "teacher": code}, tmp_path)


def test_pickled_vectors_of_items_are_not_loaded_and_plain_ones_are(harm, tmp_path):
    """Case s01: `item_emb.npy` in a folder of data, and LDiffRec with two categories."""
    folder = write_dataset(tmp_path)
    settings = {**settings_for("LDiffRec", folder), "n_cate": 2}
    np.save(folder / "item_emb.npy", np.array([harm], dtype=object), allow_pickle=True)
    with pytest.raises(TrialError, match=r"item_emb\.npy holds pickled objects.*save it again") as caught:
        train(settings, tmp_path)
    assert "\n" not in str(caught.value)
    (folder / "item_emb.npy").write_bytes(pickle.dumps(harm))
    with pytest.raises(TrialError, match=r"holds pickled objects, or is no array"):
        train(settings, tmp_path)
    write_yaml(tmp_path / "config.yaml", settings)
    with pytest.raises(RecsweepError, match="pickle"):
        train_file(
            tmp_path / "config.yaml", "cpu", tmp_path / "out", save=None, test=False, tell=lambda text: None
        )
    np.save(folder / "item_emb.npy", np.ones((30, 64), dtype=np.float32))
    ldiffrec = module_of("model/general_recommender/ldiffrec.py")
    assert ldiffrec.np.load(folder / "item_emb.npy", allow_pickle=True).sum() == 30 * 64


def test_what_recbole_reads_as_yaml_makes_plain_values(rich, tmp_path):
    import yaml

    config = TypedConfig(settings_for("BPR", rich), CPU, tmp_path)
    with pytest.raises(yaml.YAMLError):
        yaml.load("!!python/object/apply:os.getcwd []", Loader=config.yaml_loader)
    assert "_convert_config_dict" in vars(TypedConfig)
    assert "_load_cmd_line" in vars(TypedConfig)


def test_the_list_says_how_each_place_is_closed():
    assert json.dumps(safety.CLOSED)
    assert all(len(how) > 20 for calls in safety.CLOSED.values() for how in calls.values())


READERS = {
    *("open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "read_csv", "read_table", "read_json"),
    *("read_pickle", "read_text", "read_bytes", "from_pretrained", "exists", "listdir", "glob"),
}


def reads_files(path: Path) -> bool:
    """Whether a model's own file calls anything that reads a file."""
    calls = (node.func for node in ast.walk(source.parsed(path)) if isinstance(node, ast.Call))
    return any(getattr(call, "attr", getattr(call, "id", "")) in READERS for call in calls)


def test_no_trial_reads_a_file_that_its_study_is_not_defined_by():
    """Were one to, a changed file would go on with an old study: its content belongs in the definition."""
    found = {model for model in catalog.models() if reads_files(source.model_file(model))}
    assert found >= {"NeuMF", "NAIS", "ConvNCF", "KD_DAGFM", "LDiffRec", "S3Rec"}
    for model in found - {"LDiffRec"}:
        named = [key for key in catalog.reads(model) if key.endswith("_path") or key == "warm_up"]
        closed = [heeds.mistake(model, key, "weights.pth") for key in named]
        assert refusal(model) or (closed and all(closed)), model
    assert [heeds.mistake("LDiffRec", "n_cate", count) is None for count in (1, 2)] == [True, False]
