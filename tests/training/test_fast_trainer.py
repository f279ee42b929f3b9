"""When a fast path is taken, what it leaves behind, and what happens where it cannot be taken."""

from __future__ import annotations

import json
import stat
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from helpers.fast import (
    COMPILED,
    CPU,
    FAST_PATHS,
    RECBOLE,
    TORCH,
    Run,
    compiled_kernels,
    reference,
    relative_distance,
    run,
    settings_of,
    split_of,
    taking,
    write_interactions,
)
from helpers.workspace import run_python
from recsweep.common.errors import TrialDiverged
from recsweep.common.files import to_plain
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.recbole_api.settings import precision_settings
from recsweep.sweeps.config import TrainingConfig
from recsweep.training import training
from recsweep.training.fast import build, native, ranking
from recsweep.training.fast import trainer as fast

PLAIN = {
    "FPMC": {"loss_type": "BPR", "embedding_size": 16},
    "GRU4Rec": {**{"loss_type": "CE", "embedding_size": 16, "hidden_size": 16}, "dropout_prob": 0.0},
    "SASRec": {
        **{"loss_type": "CE", "hidden_size": 16, "inner_size": 16, "n_heads": 2, "n_layers": 2},
        **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
    },
}
DROPPED = {
    "GRU4Rec": {**PLAIN["GRU4Rec"], "dropout_prob": 0.3},
    "NARM": {
        **{"loss_type": "CE", "embedding_size": 16, "hidden_size": 16, "n_layers": 1},
        "dropout_probs": [0.3, 0.4],
    },
    "SASRec": {**PLAIN["SASRec"], "hidden_dropout_prob": 0.3, "attn_dropout_prob": 0.2},
}
_BY_RECBOLE: dict[str, training.Trained] = {}
paths = pytest.mark.parametrize("path", FAST_PATHS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("trainer") / "toy", users=30)


def of(folder, model: str, params: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    given = PLAIN[model] if params is None else params
    return settings_of(folder, model, {"epochs": 2, "train_batch_size": 64, **given, **changes})


def train(folder, path: str, settings: dict[str, Any]) -> training.Trained:
    if path == RECBOLE:
        return by_recbole(folder, settings)
    with taking(path):
        return training.train(settings, split_of(settings, folder), CPU)


def by_recbole(folder, settings: dict[str, Any]) -> training.Trained:
    """RecBole's own trial, which nothing changes: trained once however many paths are compared with it."""
    key = json.dumps(to_plain({**settings, "data": str(folder)}), sort_keys=True)
    if key not in _BY_RECBOLE:
        slow = {**settings, "fast": False}
        _BY_RECBOLE[key] = training.train(slow, split_of(settings, folder), CPU)
    return _BY_RECBOLE[key]


def parts(folder, settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Loaders, model and trainer of a trial."""
    config = TypedConfig(settings, CPU, folder / "scratch")
    loaders = make_loaders(config, split_of(settings, folder))
    model = recbole.make_model(config, loaders[0])
    return loaders, model, recbole.make_trainer(config, model)


def same(found: training.Trained, expected: training.Trained) -> bool:
    ours, theirs = found.last["state_dict"], expected.last["state_dict"]
    return found.metrics == expected.metrics and all(torch.equal(ours[name], theirs[name]) for name in theirs)


# -- which path -----------------------------------------------------------------------------------


@paths
def test_a_trial_says_which_path_it_took(folder, path):
    assert train(folder, path, of(folder, "FPMC")).path == path


def test_fast_false_is_recboles_path(folder):
    assert train(folder, RECBOLE, of(folder, "FPMC")).path == "recbole (fast: false)"


def reason_of(trainer: Any, loaders: Any) -> str | None:
    before = trainer._train_epoch
    path, finish = fast.install(trainer, loaders[0], loaders[1], wanted=True)
    assert path.name == RECBOLE
    assert trainer._train_epoch == before, "RecBole trains as it did"
    finish.close()
    return path.reason


@pytest.fixture
def clean():
    with recbole.clean_globals():
        yield


@pytest.mark.usefixtures("clean")
def test_what_has_no_fast_path_stays_with_recbole_and_says_why(folder):
    loaders, model, trainer = parts(folder, of(folder, "FPMC"))

    class Own(type(trainer)):
        pass

    trainer.__class__ = Own
    assert reason_of(trainer, loaders) == "FPMC has a trainer of its own"

    loaders, model, trainer = parts(folder, of(folder, "FPMC"))
    model.__class__ = type("FPMC", (type(model),), {})  # somebody's own, of the same name
    assert reason_of(trainer, loaders) == "FPMC is none of RecBole's own models"

    loaders, model, trainer = parts(folder, of(folder, "FPMC"))
    model.__class__ = type("Unheard", (type(model),), {"__module__": "recbole.model.unheard"})
    assert reason_of(trainer, loaders) == "Unheard has no fast path"

    loaders, model, trainer = parts(folder, of(folder, "SASRec"))
    model.hidden_act = "mish"
    assert reason_of(trainer, loaders) == "hidden_act mish"

    loaders, model, trainer = parts(folder, of(folder, "SASRec"))
    model.loss_type = "NLL"
    assert reason_of(trainer, loaders) == "loss_type NLL"

    loaders, model, trainer = parts(folder, of(folder, "SASRec"))
    trainer.config["transform"] = "crop_itemseq"
    assert reason_of(trainer, loaders) == "transform: crop_itemseq"

    loaders, model, trainer = parts(folder, of(folder, "SASRec"))
    trainer.config["single_spec"] = False
    assert reason_of(trainer, loaders) == "several GPUs for one trial"

    loaders, model, trainer = parts(folder, of(folder, "FPMC"))
    trainer.config["worker"] = 2  # negatives are drawn there, each process by seeds of its own
    assert reason_of(trainer, loaders) == "worker: 2"


@pytest.mark.usefixtures("clean")
@paths
def test_a_family_that_misses_a_parameter_is_a_bug_that_is_told(folder, path):
    loaders, model, trainer = parts(folder, of(folder, "FPMC"))
    model.extra = torch.nn.Parameter(torch.zeros(1))
    with taking(path), pytest.raises(AssertionError, match="FPMC does not know all of its parameters"):
        fast.install(trainer, loaders[0], loaders[1], wanted=True)


# -- checkpoints ----------------------------------------------------------------------------------


@paths
@pytest.mark.parametrize("model", sorted(PLAIN))
def test_recbole_reads_a_checkpoint_of_a_fast_trial(folder, model, path, tmp_path):
    settings = of(folder, model)
    trained = train(folder, path, settings)
    plain = train(folder, RECBOLE, settings)
    assert training.save_checkpoints(tmp_path / "t", trained)
    with recbole.clean_globals():
        (train_data, valid, _), own, trainer = parts(folder, settings)
        trainer.eval_collector.data_collect(train_data)
        trainer.resume_checkpoint(str(tmp_path / "t" / "last.pth"))
        assert trainer.start_epoch == trained.epochs
        assert trainer.best_valid_score == trained.score
        assert list(own.state_dict()) == list(plain.last["state_dict"])
        own.load_state_dict(trained.best["state_dict"])
        assert recbole.evaluate(trainer, valid) == pytest.approx(trained.metrics, abs=1e-6)
        trainer._train_epoch(train_data, trained.epochs)  # RecBole's own code goes on with it


def moments_of(done: Run) -> dict[str, dict[str, torch.Tensor]]:
    return {name: state for name, state in done.moments.items() if not name.endswith("key.bias")}


@paths
@pytest.mark.parametrize("model", sorted(PLAIN))
def test_the_state_of_adam_is_that_of_recboles_training(folder, model, path):
    settings = of(folder, model, weight_decay=1e-4)
    split = split_of(settings, folder)
    found, expected = run(settings, split, path, folder), reference(settings, split, folder)
    assert found.moments.keys() == expected.moments.keys() == found.parameters.keys()
    ours, theirs = moments_of(found), moments_of(expected)
    for name, state in theirs.items():
        assert float(ours[name]["step"]) == float(state["step"])
        assert ours[name].keys() == state.keys()
        for moment in ("exp_avg", "exp_avg_sq"):
            assert ours[name][moment].dtype == torch.float32
            assert float((ours[name][moment] - state[moment]).abs().max()) < 1e-5, f"{moment} of {name}"
            assert relative_distance(ours[name][moment], state[moment]) < 1e-3, f"{moment} of {name}"


# -- trials that fail -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(PLAIN))
@pytest.mark.parametrize("path", [RECBOLE, *FAST_PATHS])
def test_a_loss_that_is_nan_is_a_divergence_on_every_path(folder, model, path):
    with pytest.raises(TrialDiverged, match=r"training loss is (NaN|nan|inf) in epoch [12]|validation score"):
        train(folder, path, of(folder, model, learning_rate=1e30))


@paths
def test_weights_that_are_nan_are_told_in_recboles_words(folder, path):
    settings = of(folder, "GRU4Rec")
    with recbole.clean_globals(), taking(path):
        loaders, model, trainer = parts(folder, settings)
        fast.install(trainer, loaders[0], loaders[1], wanted=True)
        model.item_embedding.weight.data[5] = torch.nan
        with pytest.raises(ValueError, match="Training loss is nan"):
            trainer._train_epoch(loaders[0], 0)


# -- one trial and another ------------------------------------------------------------------------


@paths
@pytest.mark.parametrize("model", sorted(DROPPED))
def test_with_dropout_a_trial_depends_on_its_seed_alone(folder, model, path):
    settings = of(folder, model, DROPPED[model])
    first = train(folder, path, settings)
    other = train(folder, path, of(folder, "FPMC"))
    torch.manual_seed(12345)
    torch.rand(7)
    train(folder, TORCH, of(folder, model, DROPPED[model], seed=99))
    again = train(folder, path, settings)
    assert first.path == again.path == path
    assert same(again, first)
    assert not same(train(folder, path, {**settings, "seed": 3}), first)
    assert same(train(folder, path, of(folder, "FPMC")), other)


@paths
def test_dropout_is_really_on(folder, path):
    losses = []
    for params in (PLAIN["SASRec"], DROPPED["SASRec"]):
        settings = of(folder, "SASRec", params)
        losses.append(run(settings, split_of(settings, folder), path, folder).losses)
    assert losses[0] != losses[1]


def test_two_trials_at_once_do_not_know_of_each_other(folder):
    """Steps of two trials in turns are the steps of each alone."""
    alone, mixed = [], []
    settings = [of(folder, "SASRec", DROPPED["SASRec"], seed=seed) for seed in (1, 2)]
    with recbole.clean_globals(), taking(COMPILED):

        def start(one: dict[str, Any]) -> tuple[Any, Any]:
            loaders, _, trainer = parts(folder, one)
            fast.install(trainer, loaders[0], loaders[1], wanted=True)
            return loaders, trainer

        for one in settings:
            loaders, trainer = start(one)
            alone.append([trainer._train_epoch(loaders[0], epoch) for epoch in range(2)])
        both = [start(one) for one in settings]
        for loaders, trainer in (*both, *both):
            mixed.append(trainer._train_epoch(loaders[0], 0))
    assert [mixed[0], mixed[2]] == alone[0]
    assert [mixed[1], mixed[3]] == alone[1]


# -- validation -----------------------------------------------------------------------------------

OF_ITEMS = ["ItemCoverage", "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage"]


def outcome(folder, path: str, settings: dict[str, Any]) -> dict[str, float] | str:
    """Metrics, or what RecBole stumbles over: its collector calls `.cpu()` on numbers and counters."""
    try:
        return train(folder, path, settings).metrics
    except AttributeError as error:
        return str(error)


@paths
@pytest.mark.parametrize("metric", OF_ITEMS)
def test_metrics_of_the_items_themselves_are_recboles(folder, metric, path):
    settings = of(folder, "GRU4Rec", metrics=["NDCG", metric], metric_decimal_place=6)
    found, expected = outcome(folder, path, settings), outcome(folder, RECBOLE, settings)
    if isinstance(expected, str):
        assert found == expected
    else:  # an item of nearly the same score may stand in another's place
        assert found == pytest.approx(expected, rel=2e-3, abs=1e-4)


@paths
def test_gauc_is_recboles(folder, path):
    settings = of(folder, "GRU4Rec", metrics=["GAUC"], valid_metric="GAUC", metric_decimal_place=6)
    found, expected = train(folder, path, settings), train(folder, RECBOLE, settings)
    assert list(found.metrics) == ["gauc"]
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-4)


@paths
@pytest.mark.parametrize("model", sorted(PLAIN))
def test_all_metrics_of_ranks_are_recboles(folder, model, path):
    names = ["Recall", "MRR", "NDCG", "Hit", "Precision", "MAP"]
    settings = of(folder, model, metrics=names, topk=[1, 3, 10, 40], metric_decimal_place=6)
    found, expected = train(folder, path, settings), train(folder, RECBOLE, settings)
    assert len(expected.metrics) == 24
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-4)


@paths
@pytest.mark.parametrize("model", ["FPMC", "GRU4Rec"])
def test_ties_are_decided_and_nan_is_left_to_recboles_order(folder, model, path, monkeypatch):
    """Equal embeddings have equal scores; which of them is in the top k is decided by torch's top-k."""
    settings = of(folder, model)
    with recbole.clean_globals(), taking(path):
        loaders, own, trainer = parts(folder, settings)
        plain = trainer.evaluate
        trainer.eval_collector.data_collect(loaders[0])
        fast.install(trainer, loaders[0], loaders[1], wanted=True)
        assert trainer.evaluate != plain
        asked = []
        original = ranking.found

        def watched(*given, **named):
            asked.append(original(*given, **named))
            return asked[-1]

        monkeypatch.setattr(ranking, "found", watched)

        def both() -> dict[str, float]:
            found = recbole.evaluate(trainer, loaders[1])
            expected = plain(loaders[1], load_best_model=False, show_progress=False)
            assert found == {name: float(value) for name, value in expected.items()}
            return found

        before = both()
        weights = [parameter.data for name, parameter in own.named_parameters() if "user" not in name]
        for weight in weights if model == "FPMC" else [own.item_embedding.weight.data]:
            if len(weight) == own.n_items:
                weight[1:] = weight[1]
        assert both() != before
        assert all(found is not None for found in asked), "ties are decided without RecBole's sort"
        (own.IU_emb if model == "FPMC" else own.item_embedding).weight.data[7] = torch.nan
        both()
        assert asked[-1] is None, "NaN has no rank"


@paths
def test_ranks_are_used_for_the_validation_loader_alone(folder, path, monkeypatch):
    settings = of(folder, "GRU4Rec")
    with recbole.clean_globals(), taking(path):
        loaders, _, trainer = parts(folder, settings)
        trainer.eval_collector.data_collect(loaders[0])
        fast.install(trainer, loaders[0], loaders[1], wanted=True)
        monkeypatch.setattr(ranking, "found", lambda *given, **named: pytest.fail("RecBole's was expected"))
        assert recbole.evaluate(trainer, loaders[2])


# -- mixed precision ------------------------------------------------------------------------------


MIXED = [("FPMC", "BPR"), *((name, kind) for name in DROPPED for kind in ("CE", "BPR"))]


@pytest.mark.parametrize(
    ("model", "loss", "kernels"), [(*one, number % 2 == 0) for number, one in enumerate(MIXED)]
)
def test_mixed_precision_runs_on_the_cpu(folder, model, loss, kernels):
    params = {**(DROPPED.get(model) or PLAIN[model]), "loss_type": loss, "epochs": 1}
    mixed = precision_settings(TrainingConfig(precision="mixed"))
    settings = of(folder, model, {**params, **mixed})
    if loss == "BPR":
        settings.pop("train_neg_sample_args", None)
    found = train(folder, COMPILED if kernels else TORCH, settings)
    assert found.path == "torch", "kernels compute in float32"
    assert all(weight.dtype == torch.float32 for weight in found.best["state_dict"].values())
    assert same(train(folder, COMPILED if kernels else TORCH, settings), found)
    exact = train(folder, TORCH, {**settings, "enable_amp": False})
    assert same(exact, found) == (model == "FPMC"), "autocast leaves products of elements in float32"


@pytest.mark.parametrize("model", sorted(PLAIN))
def test_mixed_precision_without_dropout_has_recboles_losses(folder, model):
    settings = of(folder, model, **precision_settings(TrainingConfig(precision="mixed")))
    split = split_of(settings, folder)
    found, expected = run(settings, split, TORCH, folder), reference(settings, split, folder)
    assert found.losses == pytest.approx(expected.losses, rel=5e-3), "16 bits: three digits"


# -- the kernels' build ---------------------------------------------------------------------------


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An environment without compiled kernels."""
    monkeypatch.setattr(build.sys, "prefix", str(tmp_path / "prefix"))
    return tmp_path / "prefix"


def failing_compiler(folder: Any) -> str:
    program = folder / "failing-c++"
    program.write_text("#!/bin/sh\necho 'no luck today' >&2\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_a_failing_compiler_leaves_one_line_and_the_python_path(prefix, tmp_path, monkeypatch, capfd):
    if build.missing_tools() is not None:
        pytest.skip(f"nothing can be built here: {build.missing_tools()}")
    monkeypatch.setenv("CXX", failing_compiler(tmp_path))
    assert not build.library().is_file()
    assert build.main() == 0, "a failure is told, and is no error"
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("recsweep set-up:")]
    assert "compiled kernels (about a minute)" in told[0]
    assert len(told) == 2
    assert told[1].startswith("recsweep set-up: no compiled kernels: ")
    assert told[1].endswith("; training takes the slower Python path")
    assert len(told[1]) < 450
    assert not build.library().is_file()
    assert list((prefix / "share" / "recsweep").iterdir()) == [], "no half a library is left behind"
    assert native.kernels.__wrapped__() is None


def test_without_a_compiler_the_reason_names_it(prefix, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    if build.platform.system() != "Linux" or build.platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("not the system the kernels are made for")
    assert build.missing_tools() == "there is no C++ compiler (no-such-compiler)"
    assert build.main() == 0
    assert capsys.readouterr().err == (
        "recsweep set-up: no compiled kernels: there is no C++ compiler (no-such-compiler); "
        "training takes the slower Python path\n"
    )


def test_other_systems_are_named(monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "arm64")
    assert build.missing_tools() == "they are made for Linux on x86_64"


def test_a_library_that_is_there_is_not_built_again(prefix, monkeypatch, capsys):
    build.library().parent.mkdir(parents=True)
    build.library().touch()
    monkeypatch.setattr(build, "build", lambda: pytest.fail("it is there"))
    assert build.main() == 0
    assert capsys.readouterr().err == ""


def test_the_key_changes_with_sources_processor_and_flags(tmp_path, monkeypatch):
    key = build._key.__wrapped__
    sources = tmp_path / "native"
    sources.mkdir()
    (sources / "a.cpp").write_text("int a;")
    (sources / "b.h").write_text("int b;")
    monkeypatch.setattr(build, "SOURCES", sources)
    keys = [key(), key()]
    assert keys[0] == keys[1]
    (sources / "b.h").write_text("int c;")
    keys.append(key())
    (sources / "b.h").rename(sources / "c.h")
    keys.append(key())
    monkeypatch.setattr(build, "processor", lambda: "another")
    keys.append(key())
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-g"))
    keys.append(key())
    monkeypatch.setattr(build.importlib.metadata, "version", lambda name: "0.0")
    keys.append(key())
    assert len(set(keys)) == len(keys) - 1


def test_wide_vectors_only_where_the_processor_has_them(monkeypatch):
    wide = "-mprefer-vector-width=512"
    monkeypatch.setattr(build, "processor", lambda: "avx2 fma")
    assert wide not in build.flags()
    monkeypatch.setattr(build, "processor", lambda: "avx2 avx512f fma")
    assert wide in build.flags()
    monkeypatch.setenv(build.SWITCH, "avx2")
    assert wide not in build.flags()


def test_the_switch_and_a_missing_library_take_the_python_path(prefix, monkeypatch):
    look = native.kernels.__wrapped__
    monkeypatch.delenv(native.SWITCH, raising=False)
    assert look() is None, "nothing was built"
    monkeypatch.setenv(native.SWITCH, "0")
    monkeypatch.setattr(native, "library", lambda: SimpleNamespace(is_file=lambda: True))
    assert look() is None


def test_a_process_takes_the_path_that_the_environment_says(monkeypatch):
    compiled_kernels()
    monkeypatch.delenv(native.SWITCH, raising=False)
    code = (
        "import os, sys\nfrom recsweep.training.fast import native\n"
        f"if os.fork() == 0:\n    os.environ[{native.SWITCH!r}] = '0'\n"
        "elif os.wait()[1] != 0:\n    sys.exit('the switch failed')\n"
        "print(native.kernels() is None)"
    )
    assert run_python(code).splitlines() == ["True", "False"]
