from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from helpers.workspace import SWEEP, make_workspace
from recsweep.common.address import StoreAddress
from recsweep.common.errors import InputError
from recsweep.common.names import RULE
from recsweep.sweeps.config import dataset_folder
from recsweep.sweeps.overrides import OVERRIDES


def refused(workspace, message, **overrides):
    """The one line that a user sees, `{root}` standing for the folder of the sweep."""
    with pytest.raises(InputError) as caught:
        workspace.load(**overrides)
    assert str(caught.value) == message.replace("{root}", str(workspace.root))
    assert caught.value.exit_code == 2


def test_a_short_sweep_file_gets_the_documented_defaults(tmp_path):
    sweep = make_workspace(tmp_path).load()
    config = sweep.config
    assert (config.search.engine, config.search.algo, config.search.max_evals) == ("hyperopt", "bayes", 20)
    assert (config.training.epochs, config.evaluation.metric, config.workers.count) == (300, "NDCG@10", 1)
    assert config.cooldown.seconds is None
    assert config.outputs == Path("outputs")
    assert sweep.models["NARM"].model == "NARM"
    assert sweep.datasets["toy"].name == "toy"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("serch: {}\n", "4:1: unknown key `serch`; did you mean `search`?"),
        ("search: {max_eval: 3}\n", "4:10: unknown key `search.max_eval`; did you mean `max_evals`?"),
        (
            "search: {algo: byes}\n",
            "4:16: `search.algo` must be one of random, bayes, anneal, exhaustive, gp, cmaes, qmc, nsga2, "
            "tpe, but got 'byes'; did you mean `bayes`?",
        ),
        (
            "search:\n  max_evals: 0\n",
            "5:14: `search.max_evals` must be at least 1, but got 0; correct the value",
        ),
        (
            "evaluation: {metric: NDCG}\n",
            "4:22: `evaluation.metric`: a metric is a name and a cut-off such as NDCG@10, or one of "
            "predictions (AUC, GAUC, LogLoss, MAE, RMSE), but got 'NDCG'; "
            "correct the value",
        ),
        ("seed: 1\nseed: 2\n", "5:1: not valid YAML: the key 'seed' stands twice; correct the line"),
        (
            "training: {device: gpu}\n",
            "4:20: `training.device` must be one of auto, cpu, cuda, mps, but got 'gpu'; did you mean `cpu`?",
        ),
        (
            "training: {fast: false, fast_negatives: true}\n",
            "4:11: `training`: `fast_negatives` needs `fast: true`: RecBole's code draws by its own stream; "
            "correct the value",
        ),
        (
            "training: {precision: float16}\n",
            "4:23: `training.precision` must be one of float32, mixed, but got 'float16'; "
            "did you mean `float32`?",
        ),
        (
            "checkpoints: {every_epochs: 0}\n",
            "4:29: `checkpoints.every_epochs` must be at least 1, but got 0; correct the value",
        ),
        (
            "checkpoints: {path: ftp://host/x}\n",
            "4:21: `checkpoints.path`: there are no places of the kind `ftp` for checkpoints; "
            "give a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX",
        ),
        *(
            (
                f"workers: {{threads: {written}}}\n",
                "4:20: `workers.threads`: must be spare or a whole number from 1, "
                f"but got {read!r}; correct the value",
            )
            for written, read in [("spair", "spair"), ("1.5", 1.5), ("true", True)]
        ),
        *(
            (
                f"workers: {{trials_per_gpu: {written}}}\n",
                "4:27: `workers.trials_per_gpu`: must be auto or a whole number from 1, "
                f"but got {read!r}; correct the value",
            )
            for written, read in [("0", 0), ("all", "all"), ("1.5", 1.5), ("true", True), ("null", None)]
        ),
    ],
)
def test_a_mistake_in_the_sweep_file_is_one_line_with_its_place(tmp_path, extra, message):
    refused(make_workspace(tmp_path, sweep=SWEEP + extra), f"{{root}}/sweep.yaml:{message}")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "search: {engine: optuna, algo: anneal}\n",
            "4:9: `search`: the engine optuna has no algo anneal; it has random, bayes, exhaustive, "
            "gp, cmaes, "
            "qmc, nsga2; or use engine hyperopt; correct the value",
        ),
        (
            "search: {algo: gp}\n",
            "4:9: `search`: the engine hyperopt has no algo gp; it has random, bayes, anneal, exhaustive; "
            "or use engine optuna; correct the value",
        ),
        (
            "search: {engine: rye}\n",
            "4:18: `search.engine` must be one of hyperopt, optuna, ray, but got 'rye'; did you mean `ray`?",
        ),
        ("search: {phases: []}\n", "4:18: `search.phases` must not be empty; name at least one"),
        (
            "search: {phases: coarse}\n",
            "4:18: `search.phases` must be a list, but got 'coarse'; write `[coarse]`",
        ),
        (
            "search: {phases: [coarse, full, coarse]}\n",
            "4:18: `search.phases`: each phase must stand once, but got coarse, full, coarse; "
            "correct the value",
        ),
        (
            "search: {phases: [coarse, fine]}\n",
            "4:27: `search.phases.1` must be one of full, coarse, architecture, training, loss, but "
            "got 'fine'; "
            "use one of architecture, coarse, full, loss, training",
        ),
        *(
            (
                f"search: {{phase_shares: {{coarse: {share}}}}}\n",
                f"4:33: `search.phase_shares.coarse` must be a finite number, but got {share[1:]}; "
                "correct the value",
            )
            for share in (".inf", ".nan")
        ),
        *(
            (
                f"search: {{phase_shares: {{coarse: {share}}}}}\n",
                f"4:24: `search.phase_shares`: the share of `coarse` must be > 0, but got {read}; "
                "correct the value",
            )
            for share, read in [("0", "0.0"), ("-2", "-2.0")]
        ),
        (
            "search: {timeout_minutes: 0}\n",
            "4:27: `search.timeout_minutes` must be above 0, but got 0; correct the value",
        ),
        (
            "search: {no_improvement_after: 0}\n",
            "4:32: `search.no_improvement_after` must be at least 1, but got 0; correct the value",
        ),
        (
            "timeout_minutes: -1\n",
            "4:18: `timeout_minutes` must be above 0, but got -1; correct the value",
        ),
        (
            "pruning: {pruner: medain}\n",
            "4:19: `pruning.pruner` must be one of none, median, asha, hyperband, wilcoxon, but got "
            "'medain'; "
            "did you mean `median`?",
        ),
        (
            "pruning: {min_trials: 0}\n",
            "4:23: `pruning.min_trials` must be at least 1, but got 0; correct the value",
        ),
        (
            "evaluation: {objectives: [NDCG@10]}\n",
            "4:26: `evaluation.objectives`: objectives are two or more distinct ones, but got NDCG@10; "
            "correct the value",
        ),
        (
            "evaluation: {objectives: [NDCG@10, NDCG@10]}\n",
            "4:26: `evaluation.objectives`: objectives are two or more distinct ones, but got "
            "NDCG@10, NDCG@10; "
            "correct the value",
        ),
        (
            "evaluation: {objectives: [NDCG@10, seconds]}\n",
            "4:26: `evaluation.objectives`: an objective is a metric such as NDCG@10, or training_seconds, "
            "but got 'seconds'; correct the value",
        ),
        (
            "evaluation: {objectives: [Recall@10, NDCG@10]}\n",
            "4:13: `evaluation`: the first objective must be `metric`, which early stop goes by: NDCG@10, "
            "but got Recall@10; correct the value",
        ),
        (
            "evaluation: {objectives: [NDCG@10, training_seconds]}\n",
            "1:1: several objectives need search.engine optuna with random, bayes, "
            "exhaustive, qmc, "
            "nsga2, but got hyperopt with bayes; correct the value",
        ),
        (
            "search: {scheduler: asha}\n",
            "4:9: `search`: scheduler asha is Ray Tune's, but got engine hyperopt; use engine ray, "
            "or a pruner in its place; correct the value",
        ),
        (
            "search: {engine: ray, scheduler: ashes}\n",
            "4:34: `search.scheduler` must be one of none, asha, hyperband, median, pbt, but got 'ashes'; "
            "did you mean `asha`?",
        ),
        (
            "search: {engine: ray, scheduler: asha}\npruning: {pruner: median}\n",
            "1:1: search.scheduler asha needs pruning.pruner none, but got median: one rule ends trials; "
            "correct the value",
        ),
        (
            "search: {engine: ray, scheduler: pbt}\ntraining: {epochs: 5}\n",
            "1:1: search.perturbation_interval must be below training.epochs, 5, but got 5: trials would end "
            "before they are compared; correct the value",
        ),
        (
            "search: {engine: ray, scheduler: pbt, algo: exhaustive}\n",
            "4:9: `search`: scheduler pbt changes parameters while trials train, but got algo exhaustive, "
            "which tries each point of a grid; use algo random, or another scheduler; correct the value",
        ),
        (
            "search: {engine: ray, scheduler: pbt, quantile_fraction: 0.6}\n",
            "4:58: `search.quantile_fraction` must be at most 0.5, but got 0.6; correct the value",
        ),
        (
            "workers: {store_patience_seconds: -1}\n",
            "4:35: `workers.store_patience_seconds` must be at least 0, but got -1; correct the value",
        ),
        (
            "workers: {workers_per_study: 257}\n",
            "4:30: `workers.workers_per_study` must be at most 256, but got 257; correct the value",
        ),
    ],
)
def test_a_mistake_in_how_to_search_is_one_line_with_its_place(tmp_path, extra, message):
    refused(make_workspace(tmp_path, sweep=SWEEP + extra), f"{{root}}/sweep.yaml:{message}")


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (
            "{full: [n_layers]}",
            "3:9: `phases`: `full` is the whole space and takes no list; correct the value",
        ),
        (
            "{coarse: []}",
            "3:9: `phases`: `coarse` must name one or more parameters, each once; correct the value",
        ),
        (
            "{coarse: [n_layers, n_layers]}",
            "3:9: `phases`: `coarse` must name one or more parameters, each once; correct the value",
        ),
        (
            "{coarse: n_layers}",
            "3:18: `phases.coarse` must be a list, but got 'n_layers'; write `[n_layers]`",
        ),
    ],
)
def test_a_mistake_in_phases_has_its_place(tmp_path, phases, message):
    model = "defaults: {n_layers: 1}\nspace: {n_layers: {type: choice, values: [1, 2]}}\n"
    refused(
        make_workspace(tmp_path, model=f"{model}phases: {phases}\n"), f"{{root}}/models/NARM.yaml:{message}"
    )


def test_bayes_may_be_written_tpe_and_is_the_same_study(tmp_path):
    sweep = SWEEP + "search: {algo: tpe}\n"
    workspace = make_workspace(tmp_path, sweep=sweep)
    assert workspace.load().config.search.algo == "bayes"
    assert workspace.plan().content_hash == make_workspace(tmp_path / "b").plan().content_hash


@pytest.mark.parametrize(("written", "read"), [("auto", "auto"), ("1", 1), ("8", 8)])
def test_trials_a_gpu_are_counted_or_left_to_its_memory(tmp_path, written, read):
    sweep = SWEEP + f"workers: {{trials_per_gpu: {written}}}\n"
    assert make_workspace(tmp_path, sweep=sweep).load().config.workers.trials_per_gpu == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [NARM]\ndatasets: [toy]\n", "1:1: `sweep` is missing; add `sweep:`"),
        (
            "sweep: s\nmodels: NARM\ndatasets: [toy]\n",
            "2:9: `models` must be a list, but got 'NARM'; write `[NARM]`",
        ),
        ("sweep: s\nmodels: []\ndatasets: [toy]\n", "2:9: `models` must not be empty; name at least one"),
        (
            "sweep: s\nmodels: [NRAM]\ndatasets: [toy]\n",
            "2:10: unknown model `NRAM`; did you mean `NARM`? Or add {root}/models/NRAM.yaml",
        ),
        (
            "sweep: s\nmodels: [NARM]\ndatasets: [toy, ml]\n",
            "3:17: unknown data set `ml`; use one of toy, or add {root}/datasets/ml.yaml",
        ),
        (
            "sweep: a/b\nmodels: [NARM]\ndatasets: [toy]\n",
            f"1:8: `sweep`: {RULE}, but got 'a/b'; correct the value",
        ),
    ],
)
def test_a_sweep_must_name_itself_its_models_and_its_data(tmp_path, text, message):
    refused(make_workspace(tmp_path, sweep=text), f"{{root}}/sweep.yaml:{message}")


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (
            "{type: choise, values: [1]}",
            "2:13: `space.n_layers.type` must be a known type, but got 'choise'; did you mean `choice`?",
        ),
        (
            "{values: [1]}",
            "2:13: `space.n_layers` has no `type`; "
            "add `type: choice`, uniform, loguniform, quniform, randint or lograndint",
        ),
        (
            "[1, 2]",
            "2:13: `space.n_layers` must hold keys and values, but got [1, 2]; write `key: value` below it",
        ),
        ("{type: choice, valeus: [1]}", "2:28: unknown key `space.n_layers.valeus`; did you mean `values`?"),
        ("{type: choice}", "2:13: `space.n_layers.values` is missing; add `values:`"),
        ("{type: choice, values: []}", "2:36: `space.n_layers.values` must not be empty; name at least one"),
        (
            "{type: choice, values: [1, 1]}",
            "2:13: `space.n_layers`: `values` must be distinct, but 1 stands twice; correct the value",
        ),
        (
            "{type: uniform, min: 2, max: 1}",
            "2:13: `space.n_layers`: `min < max` must hold, but got min=2, max=1; correct the value",
        ),
        (
            "{type: randint, min: 2, max: 2}",
            "2:13: `space.n_layers`: `min < max` must hold, but got min=2, max=2; correct the value",
        ),
        (
            "{type: loguniform, min: 0, max: 1}",
            "2:13: `space.n_layers`: `min > 0` must hold for loguniform, but got min=0; correct the value",
        ),
        (
            "{type: uniform, min: a, max: 1}",
            "2:34: `space.n_layers.min` must be a number, but got 'a'; correct the value",
        ),
        (
            "{type: uniform, min: 0, max: 1, step: 1}",
            "2:45: unknown key `space.n_layers.step`; use one of max, min, type, when",
        ),
        (
            "{type: quniform, min: 1, max: 4, q: 2}",
            "2:13: `space.n_layers`: `min` must be a multiple of q=2, but got 1; correct the value",
        ),
        (
            "{type: choice, values: [1, {a: 1}]}",
            "2:40: `space.n_layers.values.1` must be a number, a string, true, false, null, or a list "
            "of these, but got {'a': 1}; correct the value",
        ),
    ],
)
def test_a_mistake_in_a_search_space_is_one_line_with_its_place(tmp_path, parameter, message):
    workspace = make_workspace(tmp_path, model=f"space:\n  n_layers: {parameter}\n")
    refused(workspace, f"{{root}}/models/NARM.yaml:{message}")


def test_an_empty_space_is_one_trial_and_a_missing_one_refused(tmp_path):
    (plan,) = make_workspace(tmp_path, model="model: NARM\nspace: {}\n").plans()
    assert plan.budget == 1
    without = make_workspace(tmp_path, model="model: NARM\n")
    refused(without, "{root}/models/NARM.yaml:1:1: `space` is missing; add `space:`")


def test_ranges_in_scientific_notation_are_numbers(tmp_path):
    model = "space:\n  learning_rate: {type: loguniform, min: 1e-4, max: 1e-2}\n"
    parameter = make_workspace(tmp_path, model=model).load().models["NARM"].space["learning_rate"]
    assert (parameter.min, parameter.max) == (1e-4, 1e-2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pth: toy\n", "1:1: unknown key `pth`; did you mean `path`?"),
        ("split: {tpe: ratio}\n", "1:9: unknown key `split.tpe`; did you mean `type`?"),
        (
            "split: {type: ratio, ratio: [0.5, 0.1, 0.1]}\n",
            "1:8: `split`: `ratio` must sum to 1, but sums to 0.7; correct the value",
        ),
        (
            "split: {type: ratio, ratio: [1.2, -0.1, -0.1]}\n",
            "1:8: `split`: each part of `ratio` must be > 0, but got [1.2, -0.1, -0.1]; correct the value",
        ),
        (
            "path: toy\nkeep: {rating: '4'}\n",
            "2:7: `keep`: `rating` must be an interval such as '[4,inf)' or '(0,10]', but got '4'; "
            "correct the value",
        ),
        (
            "keep: {rating: '[5,4]'}\n",
            "1:7: `keep`: `rating` must be an interval that holds a number, but got '[5,4]'; "
            "correct the value",
        ),
        (
            "keep: {rating: '[5,5)'}\n",
            "1:7: `keep`: `rating` must be an interval that holds a number, but got '[5,5)'; "
            "correct the value",
        ),
    ],
)
def test_a_mistake_in_a_data_set_is_one_line_with_place(tmp_path, text, message):
    refused(make_workspace(tmp_path, dataset=text), f"{{root}}/datasets/toy.yaml:{message}")


@pytest.mark.parametrize("interval", ["[4,inf)", "(0,10]", "[-1.5,2e3]", "(-inf,3)", "[ 4 , 5 ]", "[5,5]"])
def test_intervals_are_written_as_recbole_writes_them(tmp_path, interval):
    sweep = make_workspace(tmp_path, dataset=f"keep: {{rating: '{interval}'}}\n").load()
    assert sweep.datasets["toy"].keep == {"rating": interval}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"max_evals": "abc"},
            "--max-evals: must be a whole number, but got 'abc'; correct the value",
        ),
        (
            {"models": "A; touch x"},
            f"--models: {RULE}, but got 'A;'; correct the value",
        ),
        (
            {"datasets": "toy ../toy"},
            f"--datasets: {RULE}, but got '../toy'; correct the value",
        ),
        (
            {"algo": "byes"},
            "--algo: must be one of random, bayes, anneal, exhaustive, gp, cmaes, qmc, nsga2, "
            "tpe, but got 'byes'; did you mean `bayes`?",
        ),
        (
            {"cooldown": "-1"},
            "--cooldown: must be at least 0, but got '-1'; correct the value",
        ),
        (
            {"workers": 0},
            "--workers: must be at least 1, but got 0; correct the value",
        ),
        ({"max_eval": 3}, "--max-eval: is no setting of a sweep; did you mean `max_evals`?"),
    ],
)
def test_a_mistake_in_an_option_names_the_option(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    refused(make_workspace(tmp_path), message, **options)
    assert not (tmp_path / "x").exists()


def test_options_given_as_text_win_over_the_file(tmp_path):
    options = {
        "max_evals": "7",
        "epochs": "2",
        "cooldown": "0",
        "workers": "3",
        "seed": "0",
        "algo": "random",
    }
    config = (
        make_workspace(tmp_path, sweep=SWEEP + "seed: 5\nsearch: {max_evals: 9}\n").load(**options).config
    )
    assert (config.search.max_evals, config.training.epochs, config.cooldown.seconds) == (7, 2, 0.0)
    assert (config.workers.count, config.seed, config.search.algo) == (3, 0, "random")


def test_options_that_are_not_given_leave_the_file_as_it_is(tmp_path):
    workspace = make_workspace(tmp_path)
    empty = dict(zip(OVERRIDES, [None, "", (), False, None] * 3, strict=False))
    assert workspace.load(**empty).config == workspace.load().config


def test_models_are_named_in_one_text_or_in_a_list(tmp_path):
    workspace = make_workspace(tmp_path)
    (tmp_path / "models" / "FPMC.yaml").write_text(workspace.model.read_text())
    for models in ("FPMC NARM", "  FPMC\tNARM ", ["FPMC", "NARM"], ("FPMC", "NARM")):
        assert workspace.load(models=models).config.models == ("FPMC", "NARM")


def test_a_storage_url_passes_unchanged(tmp_path):
    url = "postgresql+psycopg://u:p%40ss@host:5432/db?x=1;y=2"
    assert make_workspace(tmp_path).load(storage=url).config.storage == StoreAddress(url)


def test_a_data_path_is_relative_to_the_file_that_holds_it(tmp_path):
    workspace = make_workspace(tmp_path)
    sweep = workspace.load()
    assert dataset_folder(sweep.datasets["toy"], workspace.dataset) == workspace.inter.parent.resolve()
    builtin = make_workspace(tmp_path / "other", dataset="path: builtin\n").load()
    assert dataset_folder(builtin.datasets["toy"], workspace.dataset) is None


def test_a_config_cannot_be_changed_after_it_was_read(tmp_path):
    config = make_workspace(tmp_path).load().config
    with pytest.raises(ValidationError, match="frozen"):
        config.search.max_evals = 5
