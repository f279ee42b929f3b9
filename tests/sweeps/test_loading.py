"""From files, Python and options to a sweep; what is wrong is blamed on what set it."""

from __future__ import annotations

import os
import textwrap

import pytest

from helpers.workspace import NARM, SWEEP, make_workspace
from recsweep.common.errors import InputError
from recsweep.planning.plan import plan_sweep
from recsweep.sweeps import overrides
from recsweep.sweeps.loading import load_sweep
from recsweep.sweeps.overrides import option_flags
from recsweep.sweeps.variants import merge_variants

GRU = (
    "model: GRU4Rec\ndefaults: {loss_type: CE, weight_decay: 0.0}\nspace:\n"
    "  loss_type: {type: choice, values: [CE, BPR]}\n"
    "  weight_decay: {type: choice, values: [0.0, 0.1], when: {loss_type: BPR}}\n"
)
IMPORTS = (
    "from pathlib import Path\n"
    "from recsweep.sweeps.config import *\n"
    "from recsweep.sweeps.loading import make_sweep\n"
)


@pytest.fixture
def workspace(tmp_path):
    return make_workspace(tmp_path)


def python(workspace, code: str, name: str = "sweep") -> str:
    """Put a Python file beside the workspace's folders; what names the sweep in it."""
    path = workspace.root / "my_sweep.py"
    path.write_text(IMPORTS + textwrap.dedent(code), encoding="utf-8")
    return f"{path}:{name}"


def refused(source, message: str, **overrides) -> None:
    with pytest.raises(InputError) as caught:
        load_sweep(source, overrides)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


# -- a sweep in Python ----------------------------------------------------------------------------


def test_a_sweep_in_python_finds_files_beside_it(workspace):
    source = python(workspace, 'sweep = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",), seed=7)')
    sweep = load_sweep(source)
    assert (sweep.config.sweep, sweep.config.seed, sweep.models["NARM"].model) == ("s", 7, "NARM")
    assert [plan.name for plan in plan_sweep(sweep)] == ["s/toy/NARM/full"]


def test_a_python_file_beside_a_folder_config_finds_it(tmp_path):
    make_workspace(tmp_path / "config")
    file = tmp_path / "mine.py"
    file.write_text(IMPORTS + 'sweep = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",))\n')
    assert [plan.label for plan in plan_sweep(load_sweep(f"{file}:sweep"))] == ["toy/NARM"]


def test_a_relative_path_to_a_python_file_begins_in_the_working_folder(workspace, monkeypatch):
    python(workspace, 'sweep = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",))')
    monkeypatch.chdir(workspace.root)
    assert len(plan_sweep(load_sweep("my_sweep.py:sweep"))) == 1


def test_models_and_data_sets_given_in_python_need_no_files(workspace):
    source = python(
        workspace,
        """
        from recsweep.sweeps.space import Choice

        here = Path(__file__).parent
        config = SweepConfig(sweep="s", models=("Mine", "NARM"), datasets=("toy", "half"))
        space = {"n_layers": Choice(type="choice", values=(2, 3))}
        mine = ModelConfig(model="NARM", defaults={"n_layers": 2}, space=space)
        half = DatasetConfig(name="half", path="toy", min_user_interactions=1)
        sweep = make_sweep(config, here, {"Mine": mine}, {"half": half})
        """,
    )
    plans = plan_sweep(load_sweep(source))
    assert [(plan.label, plan.defaults) for plan in plans] == [
        ("toy/Mine", {"n_layers": 2}),
        ("toy/NARM", {"n_layers": 1}),
        ("half/Mine", {"n_layers": 2}),
        ("half/NARM", {"n_layers": 1}),
    ]


def test_a_mistake_in_a_model_made_in_python_names_the_model(workspace):
    source = python(
        workspace,
        """
        from recsweep.sweeps.space import Choice

        config = SweepConfig(sweep="s", models=("Mine",), datasets=("toy",))
        space = {"num_layers": Choice(type="choice", values=(2, 3))}
        mine = ModelConfig(model="NARM", defaults={"num_layers": 2}, space=space)
        sweep = make_sweep(config, Path(__file__).parent, {"Mine": mine})
        """,
    )
    with pytest.raises(InputError, match=r"/models/Mine:1:1: NARM never reads `num_layers`; did you mean"):
        plan_sweep(load_sweep(source))


def test_options_win_over_python_as_over_a_file(workspace):
    source = python(
        workspace,
        """
        config = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",))
        sweep = make_sweep(config, Path(__file__).parent)
        """,
    )
    config = load_sweep(source, {"max_evals": "4", "engine": "optuna", "algo": "gp"}).config
    assert (config.search.max_evals, config.search.engine, config.search.algo) == (4, "optuna", "gp")
    assert load_sweep(source).config.search.max_evals == 20, "what was made is not changed"


def test_a_dataclass_in_the_file_may_have_annotations_as_text(workspace):
    source = python(
        workspace,
        """
        from dataclasses import dataclass

        @dataclass
        class Mine:
            names: "tuple[str, ...]"

        sweep = SweepConfig(sweep="s", models=Mine(("NARM",)).names, datasets=("toy",))
        """,
    )
    path, _, name = source.rpartition(":")
    text = workspace.root / "my_sweep.py"
    text.write_text("from __future__ import annotations\n" + text.read_text())
    assert load_sweep(f"{path}:{name}").config.models == ("NARM",)


@pytest.mark.parametrize(
    ("code", "line", "problem"),
    [
        ("\n\nfirst = 1\nsecond = first / 0\nsweep = 3\n", 7, "ZeroDivisionError: division by zero"),
        ("def make():\n    raise KeyError('a')\nsweep = make()\n", 5, "KeyError: 'a'"),
        ("x = 1\nimport no_such_module_at_all\n", 5, "ModuleNotFoundError: No module named"),
        ("x = 1\n\nsweep = = 2\n", 6, "SyntaxError: invalid syntax"),
        (
            "sweep = SweepConfig(sweep='s',\n  models=(), datasets=('toy',))\n",
            4,
            "ValidationError: 1 validation",
        ),
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_a_mistake_in_the_python_file_is_one_line_with_its_place(
    workspace, monkeypatch, code, line, problem, relative
):
    source = python(workspace, code)
    if relative:
        monkeypatch.chdir(workspace.root)
        source = "my_sweep.py:sweep"
    with pytest.raises(InputError) as caught:
        load_sweep(source)
    path = source.rpartition(":")[0]
    assert str(caught.value).startswith(f"{path}:{line}:1: {problem}")
    assert str(caught.value).endswith("; correct the file")
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_name_in_a_python_file_is_told(workspace):
    source = python(
        workspace, 'sweep = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",))\nother = 3\n'
    )
    path = source.rpartition(":")[0]
    refused(f"{path}:sweeep", f"{path}:1:1: `sweeep` is no SweepConfig, but None; did you mean `sweep`?")
    refused(f"{path}:other", f"{path}:1:1: `other` is no SweepConfig, but 3; use one of sweep")


def test_a_python_file_that_is_not_there_is_told(tmp_path):
    refused(f"{tmp_path}/no.py:sweep", f"{tmp_path}/no.py:1:1: there is no such file; give FILE.py:NAME")


def test_a_python_file_without_a_name_is_no_yaml(workspace):
    python(workspace, 'sweep = SweepConfig(sweep="s", models=("NARM",), datasets=("toy",))')
    with pytest.raises(InputError, match=r"my_sweep\.py:1:1: must hold keys and values"):
        load_sweep(workspace.root / "my_sweep.py")


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["-1", -1])
def test_minus_one_worker_is_one_a_core(workspace, monkeypatch, written):
    monkeypatch.setattr(overrides, "cores", lambda: 6)
    assert workspace.load(workers=written).config.workers.count == 6


def test_the_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert overrides.cores() == 3


@pytest.mark.parametrize("written", ["-2", "0"])
def test_other_numbers_of_workers_below_one_are_refused(workspace, written):
    with pytest.raises(InputError, match="--workers: must be at least 1"):
        workspace.load(workers=written)


def test_every_new_setting_may_be_given_as_text(workspace):
    options = {
        "engine": "optuna",
        "algo": "tpe",
        "pruner": "median",
        "phases": "coarse full",
        "warm_start": "a.json b/{dataset}.yaml",
        "transfer": True,
        "timeout_minutes": "1.5",
        "no_improvement_after": "7",
        "sweep_timeout_minutes": "90",
        "patience": "3",
        "batch_size": "64",
        "device": "cpu",
        "workers_per_study": "4",
    }
    config = workspace.load(**options).config
    search = config.search
    assert (search.engine, search.algo, config.pruning.pruner) == ("optuna", "bayes", "median")
    assert (search.phases, search.warm_start) == (("coarse", "full"), ("a.json", "b/{dataset}.yaml"))
    assert (search.transfer, search.timeout_minutes, search.no_improvement_after) == (True, 1.5, 7)
    assert (config.timeout_minutes, config.training.stopping_step) == (90.0, 3)
    assert (config.training.train_batch_size, config.training.device) == (64, "cpu")
    assert config.workers.workers_per_study == 4


def test_the_flags_of_overrides_give_the_same_overrides(workspace):
    options = {"phases": "coarse full", "max_evals": 3, "transfer": True, "pruner": "", "algo": None}
    assert option_flags(options) == ["--phases=coarse full", "--max-evals=3", "--transfer"]


def test_a_job_is_given_the_file_of_the_address_alone():
    assert option_flags({"storage": "postgresql+psycopg://me:pw@host/db", "seed": 3}) == ["--seed=3"]
    assert option_flags({"storage_file": "my store"}) == ["--storage-file=my store"]


OBJECTIVES = "search: {engine: optuna}\nevaluation: {objectives: [NDCG@10, Recall@10]}\n"


@pytest.mark.parametrize(
    ("extra", "options", "message"),
    [
        (
            "",
            {"algo": "gp"},
            "--algo: the engine hyperopt has no algo gp; it has random, bayes, anneal, exhaustive; "
            "or use engine optuna; correct the value",
        ),
        (
            "search: {algo: anneal}\n",
            {"engine": "optuna", "max_evals": "3"},
            "--engine: the engine optuna has no algo anneal; it has random, bayes, exhaustive, gp, cmaes, "
            "qmc, nsga2; or use engine hyperopt; correct the value",
        ),
        (
            OBJECTIVES,
            {"engine": "hyperopt", "seed": "3", "outputs": "x"},
            "--engine: several objectives need search.engine optuna with random, bayes, exhaustive, qmc, "
            "nsga2, but got hyperopt with bayes; correct the value",
        ),
        (
            OBJECTIVES,
            {"pruner": "asha", "storage": "sqlite:///x.db"},
            "--pruner: several objectives need pruning.pruner none, but got asha: "
            "a trial that is poor in one may be good in another; correct the value",
        ),
        (
            OBJECTIVES,
            {"phases": "coarse full", "device": "cpu"},
            "--phases: several objectives need one phase: a later one starts from a single best; "
            "correct the value",
        ),
        (
            "",
            {"phases": "coarse coarse", "seed": 1},
            "--phases: each phase must stand once, but got coarse, coarse; correct the value",
        ),
    ],
)
def test_a_rule_between_values_blames_the_option_that_broke_it(tmp_path, extra, options, message):
    refused(make_workspace(tmp_path, sweep=SWEEP + extra).sweep, message, **options)


# -- several models as one ------------------------------------------------------------------------


@pytest.fixture
def variants(tmp_path):
    workspace = make_workspace(tmp_path, sweep=SWEEP.replace("[NARM]", "[Any]"))
    (tmp_path / "models" / "GRU.yaml").write_text(GRU)
    (tmp_path / "models" / "Any.yaml").write_text("model_variants: [NARM, GRU]\n")
    return workspace


def test_variants_are_one_space_in_which_the_model_decides_what_exists(variants):
    sweep = variants.load()
    merged = sweep.models["Any"]
    assert list(merged.space) == ["model", "NARM.n_layers", "GRU.loss_type", "GRU.weight_decay"]
    assert merged.space["model"].values == ("NARM", "GRU")
    assert merged.space["NARM.n_layers"].when == {"model": "NARM"}
    assert merged.space["GRU.weight_decay"].when == {"model": "GRU", "GRU.loss_type": "BPR"}
    assert merged.defaults == {
        "model": "NARM",
        "NARM.n_layers": 1,
        "GRU.loss_type": "CE",
        "GRU.weight_decay": 0.0,
    }
    assert {name: model.model for name, model in sweep.variants["Any"].items()} == {
        "NARM": "NARM",
        "GRU": "GRU4Rec",
    }


def test_a_model_of_variants_may_stand_beside_them(variants):
    sweep = variants.load(models="Any NARM GRU")
    assert [plan.label for plan in plan_sweep(sweep)] == ["toy/Any", "toy/NARM", "toy/GRU"]


def test_merging_does_not_change_the_models_themselves(variants):
    models = variants.load().variants["Any"]
    merge_variants("Again", models)
    assert models["GRU"].space["weight_decay"].when == {"loss_type": "BPR"}
    assert models["NARM"].space["n_layers"].when is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_variants: [NARM, GRUU]\n", "1:24: `GRUU` is no other single model; did you mean `GRU`?"),
        ("model_variants: [NARM, NARM]\n", "1:24: `NARM` is no other single model; use one of GRU"),
        ("model_variants: [NARM, Any]\n", "1:24: `Any` is no other single model; use one of GRU"),
        (
            "model_variants: [NARM]\n",
            "1:17: `model_variants` must name 2 or more, but got ['NARM']; name another",
        ),
        ("model_variants: NARM\n", "1:17: `model_variants` must be a list, but got 'NARM'; write `[NARM]`"),
        (
            "model_variants: [NARM, GRU]\nspace: {}\n",
            "2:1: unknown key `space`; use one of model_variants",
        ),
    ],
)
def test_a_mistake_in_variants_is_one_line_with_its_place(variants, text, message):
    path = variants.root / "models" / "Any.yaml"
    path.write_text(text)
    refused(variants.sweep, f"{path}:{message}")


def test_a_mistake_in_a_variant_has_its_place(variants):
    (variants.root / "models" / "GRU.yaml").write_text(GRU.replace("loss_type", "los_type"))
    with pytest.raises(InputError) as caught:
        plan_sweep(variants.load())
    assert str(caught.value) == (
        f"{variants.root}/models/GRU.yaml:4:3: GRU4Rec never reads `los_type`; did you mean `loss_type`?"
    )


def test_a_workspace_is_what_it_was(tmp_path):
    """Loading fills in names; it writes nothing."""
    workspace = make_workspace(tmp_path)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    workspace.load()
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
    assert workspace.model.read_text() == NARM


@pytest.mark.parametrize(("engine", "algo"), [("ray", "tpe"), ("hyperopt", "bayes")])
def test_an_algo_of_a_file_is_known_by_its_name_elsewhere(tmp_path, engine, algo):
    workspace = make_workspace(tmp_path, f"{SWEEP}search: {{engine: optuna, algo: tpe}}\n")
    assert workspace.load(engine=engine).config.search.algo == algo
    assert workspace.load(engine=engine, algo="random").config.search.algo == "random"


@pytest.mark.parametrize(
    ("more", "given", "scheduler", "pruner"),
    [
        ("pruning: {pruner: median}\n", {"engine": "ray", "scheduler": "asha"}, "asha", "none"),
        ("search: {engine: ray, scheduler: asha}\n", {"pruner": "median"}, "none", "median"),
        ("pruning: {pruner: median}\n", {"engine": "ray", "scheduler": "none"}, "none", "median"),
    ],
)
def test_a_given_rule_replaces_the_one_of_the_file(tmp_path, more, given, scheduler, pruner):
    config = make_workspace(tmp_path, sweep=SWEEP + more).load(**given).config
    assert (config.search.scheduler, config.pruning.pruner) == (scheduler, pruner)


def test_two_given_rules_are_refused(workspace):
    with pytest.raises(
        InputError, match=r"search\.scheduler asha needs pruning\.pruner none, but got median"
    ):
        workspace.load(engine="ray", scheduler="asha", pruner="median")
