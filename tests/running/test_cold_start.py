"""What a worker process does not load before it needs it, and that nothing else depends on it."""

from __future__ import annotations

import gc
import json
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest

from helpers.workspace import run_python
from recsweep.recbole_api import catalog, compat, lazy
from recsweep.running import child
from recsweep.study import Store

compat.apply()

SPARED = lazy._SPARED_IN.fullmatch(lazy._build()) is not None
UNUSED = (
    *("sklearn", "scipy.stats", "tensorboard", "torch._dynamo", *["torch._prims"] * SPARED),
    *("matplotlib", "ray", "plotly", "thop", "wandb"),
)

# Trains a slot as a worker does; says which of the unused modules are there, then uses some of them.
WORKER = """
import json, pickle, sys
from pathlib import Path

from recsweep.cli.own_process import load_torch
load_torch()
from recsweep.common.owner import this_process
from recsweep.running.worker import Worker

plan, unused = pickle.loads(Path(sys.argv[1]).read_bytes())
events = []
Worker(this_process(), events.append).search(plan)
done = [event.score for event in events if type(event).__name__ == "TrialDone"]
from recsweep.recbole_api import compat
compat.recbole("utils").get_model("EASE")  # one of those whose family imports scikit-learn
loaded = [name for name in unused if name in sys.modules]

import logging, os, tempfile
import numpy as np
import recbole.utils
from recbole.evaluator import metrics

preds, trues = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])
config = {"metric_decimal_place": 4}
values = {name: float(getattr(metrics, name)(config).metric_info(preds, trues))
          for name in ("AUC", "MAE", "RMSE")}
os.chdir(tempfile.mkdtemp())
recbole.utils.get_tensorboard(logging.getLogger("cold")).close()
loaded_late = [name for name in ("sklearn", "tensorboard") if name in sys.modules]
print(json.dumps([done, loaded, values, loaded_late, os.listdir("log_tensorboard") != []]))
"""

# What six optimizers of RecBole make of the same gradients, before and after the compiler is there.
OPTIMIZERS = """
import hashlib, io, os, sys
import torch

if os.fork() == 0:  # first without the compiler, in a process of its own
    from recsweep.recbole_api import lazy
    lazy.spare_the_compiler()
elif os.wait()[1] != 0:
    sys.exit("failed without the compiler")

MAKERS = {
    "Adam": {"weight_decay": 0.01}, "AdamW": {}, "SGD": {"momentum": 0.9}, "Adagrad": {},
    "RMSprop": {"momentum": 0.5}, "SparseAdam": {}, "Adamax": {}, "NAdam": {},
}

def start(name):
    torch.manual_seed(7)
    table = torch.nn.Embedding(50, 8, sparse=name == "SparseAdam")
    return table, getattr(torch.optim, name)(table.parameters(), lr=0.1, **MAKERS[name])

def step(table, optimizer):
    optimizer.zero_grad()
    table(torch.randint(50, (20,))).pow(2).sum().backward()
    optimizer.step()
    assert torch.is_grad_enabled()

running, digest = {}, hashlib.sha256()
for name in MAKERS:
    running[name] = start(name)
    for _ in range(3):
        step(*running[name])
    running[name][1].load_state_dict(running[name][1].state_dict())
print("torch._dynamo" in sys.modules)
import torch._dynamo
for name, (table, optimizer) in running.items():
    torch.manual_seed(8)
    step(table, optimizer)
    state = io.BytesIO()
    torch.save((table.state_dict(), optimizer.state_dict()), state)
    digest.update(state.getvalue())
print(digest.hexdigest())
"""


# torch without its shapes, and with them again once somebody compiles, or loads a model of one's own.
SHAPES = """
import sys
from recsweep.recbole_api import lazy
lazy.load_torch()
import torch

assert torch.Generator().manual_seed(3).initial_seed() == 3

def shape():
    table, rows = torch.ones(3, 4, device="meta"), torch.zeros(2, dtype=torch.long, device="meta")
    try:
        return list(torch.nn.functional.embedding(rows, table).shape)
    except NotImplementedError:
        return None

print(shape(), "torch._meta_registrations" in sys.modules)
if sys.argv[1] == "compile":
    norm = lambda table: torch.nn.functional.layer_norm(table, (3,)).softmax(-1)
    table = torch.arange(6.0).view(2, 3)
    print(torch.equal(torch.compile(norm, backend="eager")(table), norm(table)))
elif sys.argv[1] == "trace":
    from torch._prims import rng_prims
    print(rng_prims is sys.modules["torch._prims.rng_prims"])
else:
    from recsweep.recbole_api import own_models
    print(own_models.load(sys.argv[2]).__name__ == "Mine")
print(shape(), "torch._meta_registrations" in sys.modules)
"""


@pytest.fixture(scope="module")
def of_optimizers():
    lines = run_python(OPTIMIZERS).splitlines()
    return {"spared": lines[:2], "torch": lines[2:]}


def test_a_worker_loads_only_what_its_trial_uses(make_plan, tmp_path):
    plan = make_plan("FPMC", max_evals=1)
    store = Store(plan.storage_url)
    store.open_study(plan.name, plan.definition, maximize=plan.maximize).ensure_slots(plan.budget)
    store.close()
    (tmp_path / "plan.pkl").write_bytes(pickle.dumps((plan, UNUSED)))
    printed = run_python(WORKER, str(tmp_path / "plan.pkl")).splitlines()[-1]
    scores, loaded, values, loaded_late, wrote_events = json.loads(printed)
    assert len(scores) == 1
    assert scores[0] is not None
    assert loaded == []
    assert values == pytest.approx({"AUC": 0.75, "MAE": 0.3375, "RMSE": 0.39765}, abs=1e-4)
    assert loaded_late == ["sklearn", "tensorboard"]
    assert wrote_events


def test_optimizers_work_without_torchs_compiler(of_optimizers):
    assert of_optimizers["torch"][0] == "True", "torch no longer loads it: `spare_the_compiler` can go"
    assert of_optimizers["spared"][0] == "False"


def test_optimizers_compute_the_same_bits_with_and_without_torchs_compiler(of_optimizers):
    assert of_optimizers["spared"][1] == of_optimizers["torch"][1]


def test_another_build_of_torch_has_its_shapes_at_once():
    code = "import sys\nfrom recsweep.recbole_api import lazy\nlazy._build = lambda: '2.13.0+cu130'\n"
    assert run_python(f"{code}lazy.load_torch()\nprint('torch._meta_registrations' in sys.modules)") == "True"


@pytest.mark.skipif(not SPARED, reason="another build of torch")
@pytest.mark.parametrize("need", ["compile", "trace", "load a model of one's own"])
def test_torch_knows_shapes_as_soon_as_they_are_needed(need, tmp_path):
    own = tmp_path / "mine.py"
    own.write_text("from recbole.model.general_recommender import BPR\n\nclass Mine(BPR):\n    pass\n")
    assert run_python(SHAPES, need, f"{own}:Mine").splitlines() == ["None False", "True", "[2, 4] True"]


@pytest.mark.parametrize("name", sorted(catalog.models()))
def test_a_model_of_any_family_is_found(name):
    family = catalog.models()[name]
    if family == "exlib":
        pytest.importorskip(name.lower())
    found = compat._get_model(name)
    assert found.__name__ == name
    assert family in found.__module__


def test_recbole_finds_models_in_the_same_way_everywhere():
    import recbole.config.configurator
    import recbole.utils

    assert recbole.config.configurator.get_model is recbole.utils.get_model is compat._get_model
    with pytest.raises(ValueError, match="not the name of an existing model"):
        recbole.utils.get_model("NoSuchModel")


def test_deferred_names_are_the_real_ones_once_they_are_used(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with lazy.deferred("colorsys"):
        from colorsys import no_such_name, rgb_to_hsv
    assert "colorsys" not in sys.modules
    assert rgb_to_hsv(1.0, 0.0, 0.0) == (0.0, 1.0, 1.0)
    assert rgb_to_hsv.__doc__ is lazy._Later.__doc__
    assert rgb_to_hsv.__code__.co_argcount == 3
    assert "colorsys" in sys.modules
    with pytest.raises(AttributeError, match="no_such_name"):
        no_such_name()


def test_a_module_that_is_loaded_is_not_deferred():
    import math

    with lazy.deferred("math"):
        from math import sqrt
    assert sys.modules["math"] is math
    assert sqrt is math.sqrt


def test_placeholders_go_even_when_an_import_fails():
    with pytest.raises(ImportError), lazy.deferred("no.such.module"):
        raise ImportError
    assert "no.such.module" not in sys.modules


def test_a_module_that_took_its_placeholders_place_stays():
    real = ModuleType("cold_start_example")
    with lazy.deferred(real.__name__):
        sys.modules[real.__name__] = real
    assert sys.modules.pop(real.__name__) is real


def test_garbage_is_collected_again_after_the_imports():
    frozen = gc.get_freeze_count()
    with child._without_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen  # for good, as what the tests' own collection has made


def test_the_metrics_that_stand_in_for_scikit_learn_agree_with_it():
    from recbole.evaluator import metrics
    from sklearn import metrics as sklearn_metrics

    generator = np.random.default_rng(3)
    trues, preds = generator.integers(1, 6, 100).astype(float), generator.uniform(1, 5, 100)
    config = {"metric_decimal_place": 4}
    assert metrics.MAE(config).metric_info(preds, trues) == sklearn_metrics.mean_absolute_error(trues, preds)
    liked = (trues > 3).astype(float)
    expected = sklearn_metrics.roc_auc_score(liked, preds)
    assert metrics.AUC(config).metric_info(preds, liked) == pytest.approx(expected)
