from __future__ import annotations

import pytest

from helpers.workspace import NARM, ROWS, SWEEP, make_workspace, run_python
from recsweep.errors import InputError, UserError
from recsweep.plan import check_data, find_study, plan_sweep

SPACE = "space:\n  n_layers: {type: choice, values: [1, 2]}\n"
LARGE = (
    "defaults: {n_layers: 1, hidden_size: 1}\nspace:\n"
    "  n_layers: {type: choice, values: [1, 2]}\n  hidden_size: {type: randint, min: 1, max: %d}\n"
)


def refused(workspace, message, **overrides):
    with pytest.raises(UserError) as caught:
        plan_sweep(workspace.load(**overrides))
    assert str(caught.value) == message.replace("{root}", str(workspace.root))
    assert caught.value.exit_code == 2


def test_a_sweep_is_every_model_on_every_data_set(tmp_path):
    workspace = make_workspace(tmp_path, sweep="sweep: s\nmodels: [NARM, FPMC]\ndatasets: [toy, two]\n")
    (tmp_path / "models" / "FPMC.yaml").write_text(
        "defaults: {embedding_size: 8}\nspace:\n  embedding_size: {type: choice, values: [8]}\n"
    )
    (tmp_path / "datasets" / "two.yaml").write_text("path: toy\nmin_user_interactions: 1\n")
    plans = workspace.plans()
    assert [plan.label for plan in plans] == ["toy/NARM", "toy/FPMC", "two/NARM", "two/FPMC"]
    assert [plan.name for plan in plans][:2] == ["s/toy/NARM/full", "s/toy/FPMC/full"]
    assert len({plan.content_hash for plan in plans}) == 4
    assert find_study(plans, "two", "NARM") == [plans[2]]
    with pytest.raises(InputError, match=r"the sweep has no study two/NRAM; did you mean `two/NARM`\?"):
        find_study(plans, "two", "NRAM")


def test_trial_number_one_has_the_published_defaults_in_the_types_of_the_space(tmp_path):
    model = (
        "defaults: {n_layers: 1.0, learning_rate: 1}\nspace:\n"
        "  learning_rate: {type: uniform, min: 0, max: 1}\n  n_layers: {type: randint, min: 1, max: 3}\n"
    )
    defaults = make_workspace(tmp_path, model=model).plan().defaults
    assert repr(defaults) == "{'learning_rate': 1.0, 'n_layers': 1}"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "defaults: {num_layers: 1}\nspace:\n  num_layers: {type: choice, values: [1, 2]}\n",
            "3:3: NARM never reads `num_layers`; did you mean `n_layers`?",
        ),
        ("model: NRAM\n" + NARM, "1:8: RecBole has no model `NRAM`; did you mean `NARM`?"),
        (SPACE, "2:3: `n_layers` has no default; add `n_layers:` to `defaults` (RecBole ships 1)"),
        (
            "defaults: {n_layers: 3}\n" + SPACE,
            "1:22: the default 3 of `n_layers` lies outside its space; "
            "widen the space, so that trial number one is a point of it",
        ),
        (
            "defaults:\n  dropout_probs: [0.2, 0.5]\n"
            "space:\n  dropout_probs: {type: choice, values: [[0, 0]]}\n",
            "2:18: the default [0.2, 0.5] of `dropout_probs` lies outside its space; "
            "widen the space, so that trial number one is a point of it",
        ),
        (
            "defaults: {n_layers: 1, hidden_size: 3}\n" + SPACE,
            "1:25: `hidden_size` is not searched; move it to `fixed`, or add it to `space`",
        ),
        ("fixed: {lss_type: CE}\n" + NARM, "1:9: NARM never reads `lss_type`; did you mean `loss_type`?"),
        ("fixed: {n_layers: 1}\n" + NARM, "1:9: `n_layers` is searched too; drop one"),
        (
            "defaults: {epochs: 1}\nspace:\n  epochs: {type: choice, values: [1, 2]}\n",
            "3:3: `epochs` is the same for every trial of a study; "
            "set it in the data set or sweep file, and make one sweep for each value",
        ),
    ],
)
def test_a_mistake_in_a_model_file_is_one_line_with_its_place(tmp_path, model, message):
    refused(make_workspace(tmp_path, model=model), f"{{root}}/models/NARM.yaml:{message}")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("evaluation: {metric: NDGC@10}\n", "4:22: unknown metric `NDGC`; did you mean `ndcg`?"),
        ("evaluation: {metrics: [MRR, Recal]}\n", "4:29: unknown metric `Recal`; did you mean `recall`?"),
        ("evaluation: {topk: [10, 0]}\n", "4:25: a cut-off must be >= 1, but got 0; use 10"),
    ],
)
def test_an_unknown_metric_is_one_line_with_its_place(tmp_path, extra, message):
    refused(make_workspace(tmp_path, sweep=SWEEP + extra), f"{{root}}/sweep.yaml:{message}")


def test_metrics_are_maximized_or_minimized_as_their_meaning_asks(tmp_path):
    workspace = make_workspace(tmp_path)
    assert workspace.plan().maximize
    workspace.sweep.write_text(SWEEP + "evaluation: {metric: AveragePopularity@10}\n")
    assert not workspace.plan().maximize


def test_a_budget_is_max_evals_or_the_whole_grid(tmp_path):
    workspace = make_workspace(tmp_path)
    assert workspace.plan(max_evals=7).budget == 7
    assert workspace.plan(max_evals=7, algo="exhaustive").budget == 2


def test_a_grid_above_a_thousand_is_searched_only_on_purpose(tmp_path):
    at_limit = make_workspace(tmp_path / "a", model=LARGE % 500)
    assert at_limit.plan(algo="exhaustive").budget == 1000
    above = make_workspace(tmp_path / "b", model=LARGE % 501)
    refused(
        above,
        "toy/NARM: the grid has 1,002 combinations; more than 1,000 are searched only on purpose; "
        "narrow the space, or pass --allow-large-grid",
        algo="exhaustive",
    )
    assert above.plan(algo="exhaustive", allow_large_grid=True).budget == 1002
    assert above.plan(algo="random").budget == 20


def test_an_exhaustive_search_of_a_continuous_range_is_refused(tmp_path):
    model = (
        "defaults: {n_layers: 1, learning_rate: 0.1}\nspace:\n"
        "  learning_rate: {type: uniform, min: 0, max: 1}\n  n_layers: {type: choice, values: [1]}\n"
    )
    refused(
        make_workspace(tmp_path, model=model),
        "toy/NARM: an exhaustive search needs a finite grid; learning_rate is continuous; "
        "write choice, quniform or randint, or use another algo",
        algo="exhaustive",
        allow_large_grid=True,
    )


def test_an_unimaginably_large_grid_is_refused_at_once(tmp_path):
    refused(
        make_workspace(tmp_path, model=LARGE % 10**15),
        "toy/NARM: the grid has 2,000,000,000,000,000 combinations; more than 1,000 are searched only on "
        "purpose; narrow the space, or pass --allow-large-grid",
        algo="exhaustive",
    )


def test_seeds_differ_by_slot_purpose_and_study_and_never_by_run(tmp_path):
    first = make_workspace(tmp_path / "a").plan()
    again = make_workspace(tmp_path / "b").plan()
    other = make_workspace(tmp_path / "c").plan(seed=1)
    seeds = [first.trial_seed(slot) for slot in range(200)]
    assert seeds == [again.trial_seed(slot) for slot in range(200)]
    everything = (
        seeds + [first.proposal_seed(s) for s in range(200)] + [other.trial_seed(s) for s in range(200)]
    )
    assert len(set(everything)) == 600
    assert all(0 <= seed < 2**31 - 1 for seed in everything)


@pytest.mark.parametrize(
    "options",
    [
        {"max_evals": 99},
        {"workers": 4},
        {"cooldown": 5},
        {"outputs": "elsewhere"},
        {"storage": "sqlite:///other.db"},
        {"allow_large_grid": True},
    ],
)
def test_the_study_stays_the_same_when_only_its_size_or_place_changes(tmp_path, options):
    workspace = make_workspace(tmp_path)
    assert workspace.plan(**options).content_hash == workspace.plan().content_hash


def test_the_study_stays_the_same_on_another_device_under_another_path_and_with_reordered_keys(tmp_path):
    before = make_workspace(tmp_path / "a").plan().content_hash
    sweep = "datasets: [toy]\nmodels: [NARM]\ntraining: {device: cpu}\nsweep: toy-sweep\n"
    assert make_workspace(tmp_path / "b", sweep=sweep).plan().content_hash == before


def test_float32_is_no_part_of_a_study_so_that_those_from_before_the_choice_go_on(tmp_path):
    before = make_workspace(tmp_path / "a").plan()
    named = SWEEP + "training: {precision: float32}\nworkers: {trials_per_gpu: 3}\n"
    assert make_workspace(tmp_path / "b", sweep=named).plan().content_hash == before.content_hash
    assert "precision" not in before.definition["training"]


CLIPPED = NARM + "fixed: {clip_grad_norm: {max_norm: 5}}\n"
CLIP_SEARCHED = "defaults: {clip_grad_norm: 5}\nspace:\n  clip_grad_norm: {type: choice, values: [1, 5]}\n"


@pytest.mark.parametrize(("model", "place"), [(CLIPPED, "4:9"), (CLIP_SEARCHED, "3:3")])
def test_clipping_is_refused_where_recbole_would_clip_what_is_scaled_for_float16(tmp_path, model, place):
    mixed = SWEEP + "training: {precision: mixed%s}\n"
    workspace = make_workspace(tmp_path / "a", sweep=mixed % "", model=model)
    refused(
        workspace,
        f"{{root}}/models/NARM.yaml:{place}: RecBole clips wrongly with `training.precision: mixed` "
        "on a GPU; use `precision: float32`, or leave out `clip_grad_norm`",
    )
    for root, sweep in [("b", mixed % ", device: cpu"), ("c", SWEEP)]:
        assert make_workspace(tmp_path / root, sweep=sweep, model=model).plans()


@pytest.mark.parametrize("options", [{"seed": 1}, {"epochs": 3}, {"algo": "random"}])
def test_the_study_is_another_when_what_a_trial_computes_changes(tmp_path, options):
    workspace = make_workspace(tmp_path)
    assert workspace.plan(**options).content_hash != workspace.plan().content_hash


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": [*ROWS, "9\t9\t9"]},
        {"model": NARM.replace("[1, 2]", "[1, 2, 3]")},
        {"model": NARM.replace("n_layers: 1", "n_layers: 2")},
        {"model": "fixed: {hidden_size: 8}\n" + NARM},
        {"dataset": "path: toy\nmax_sequence_length: 9\n"},
        {"dataset": "path: toy\ntime_order: recbole\n"},
        {"sweep": SWEEP + "evaluation: {metric: MRR@10}\n"},
        {"sweep": SWEEP + "search: {startup_trials: 3}\n"},
        {"sweep": SWEEP + "training: {precision: mixed}\n"},
    ],
)
def test_the_study_is_another_when_data_space_or_metric_changes(tmp_path, changed):
    before = make_workspace(tmp_path / "a").plan()
    after = make_workspace(tmp_path / "b", **changed).plan()
    assert after.content_hash != before.content_hash
    assert after.trial_seed(0) != before.trial_seed(0)


def test_checking_data_reads_every_row(tmp_path):
    workspace = make_workspace(tmp_path)
    assert check_data(workspace.load()) == {"toy": len(ROWS)}
    workspace.write_rows(*ROWS, "1\t2\tnoon")
    with pytest.raises(InputError, match=rf":{len(ROWS) + 2}:5: `timestamp` must be a number"):
        check_data(workspace.load())


def test_settings_of_a_trial_hold_its_parameters_its_seed_and_its_data(tmp_path):
    plan = make_workspace(tmp_path.resolve()).plan(epochs=4)
    flat = plan.settings({"n_layers": 2}, seed=5)
    assert (flat["n_layers"], flat["seed"], flat["epochs"]) == (2, 5, 4)
    assert (flat["dataset"], flat["data_path"]) == ("toy", str(tmp_path.resolve() / "datasets"))


def test_planning_loads_neither_torch_nor_recbole(tmp_path):
    workspace = make_workspace(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from recsweep.loading import load_sweep\nfrom recsweep.plan import check_data, plan_sweep\n"
        "sweep = load_sweep(Path(sys.argv[1]))\nplans = plan_sweep(sweep)\ncheck_data(sweep)\n"
        "plans[0].settings(plans[0].defaults, plans[0].trial_seed(0))\n"
        "print([m for m in ('torch', 'recbole', 'pandas', 'optuna', 'hyperopt') if m in sys.modules])"
    )
    assert run_python(code, str(workspace.sweep)) == "[]"


@pytest.mark.parametrize("name", ["epochs", "seed", "valid_metric", "data_path", "load_col"])
def test_a_model_cannot_fix_what_is_the_same_for_all_models(tmp_path, name):
    workspace = make_workspace(tmp_path.resolve())
    path = workspace.root / "models" / "NARM.yaml"
    path.write_text(f"fixed: {{{name}: 1}}\n" + path.read_text().replace("fixed:", "# fixed:"))
    with pytest.raises(InputError, match=f"`{name}` is the same for every model of a sweep"):
        plan_sweep(workspace.load())
