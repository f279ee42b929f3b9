from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.workspace import NARM, ROWS, SWEEP, make_workspace, run_python
from recsweep.common.errors import InputError, UserError
from recsweep.planning.plan import check_data, find_study, plan_sweep
from recsweep.planning.shares import divide

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


def test_the_first_trial_has_published_defaults_in_the_types_of_the_space(tmp_path):
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
            "set `training.epochs` in the sweep file, and make one sweep for each value",
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


def test_device_path_and_order_of_keys_define_nothing(tmp_path):
    before = make_workspace(tmp_path / "a").plan().content_hash
    sweep = "datasets: [toy]\nmodels: [NARM]\ntraining: {device: cpu}\nsweep: toy-sweep\n"
    assert make_workspace(tmp_path / "b", sweep=sweep).plan().content_hash == before


def test_float32_leaves_the_hash_of_old_studies(tmp_path):
    before = make_workspace(tmp_path / "a").plan()
    named = SWEEP + "training: {precision: float32}\nworkers: {trials_per_gpu: 3}\n"
    assert make_workspace(tmp_path / "b", sweep=named).plan().content_hash == before.content_hash
    assert "precision" not in before.definition["training"]


def test_a_faster_stream_of_negatives_is_another_study(tmp_path):
    before = make_workspace(tmp_path / "a").plan()
    off, on = (
        make_workspace(tmp_path / value, sweep=SWEEP + f"training: {{fast_negatives: {value}}}\n").plan()
        for value in ("false", "true")
    )
    assert off.content_hash == before.content_hash != on.content_hash
    assert on.definition["training"]["fast_negatives"] is True


CLIPPED = NARM + "fixed: {clip_grad_norm: {max_norm: 5}}\n"


def test_clipping_is_refused_where_recbole_would_clip_what_is_scaled_for_float16(tmp_path):
    mixed = SWEEP + "training: {precision: mixed%s}\n"
    workspace = make_workspace(tmp_path / "a", sweep=mixed % "", model=CLIPPED)
    refused(
        workspace,
        "{root}/models/NARM.yaml:4:9: RecBole clips wrongly with `training.precision: mixed` "
        "on a GPU; use `precision: float32`, or leave out `clip_grad_norm`",
    )
    for root, sweep in [("b", mixed % ", device: cpu"), ("c", SWEEP)]:
        assert make_workspace(tmp_path / root, sweep=sweep, model=CLIPPED).plans()


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
        "from recsweep.sweeps.loading import load_sweep\n"
        "from recsweep.planning.plan import check_data, plan_sweep\n"
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


# -- a budget in parts ----------------------------------------------------------------------------

SHARES = st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6)


@given(SHARES, st.integers(0, 500))
def test_the_parts_of_a_budget_sum_to_it_and_none_is_empty(shares, more):
    parts = divide(len(shares) + more, shares)
    assert sum(parts) == len(shares) + more
    assert min(parts) >= 1


@given(SHARES, st.integers(0, 500))
def test_a_larger_share_never_gets_less(shares, more):
    parts = divide(len(shares) + more, shares)
    for share, part in zip(shares, parts, strict=True):
        assert all(part >= other for s, other in zip(shares, parts, strict=True) if share > s)


@given(st.integers(1, 6), st.integers(0, 500))
def test_equal_shares_differ_by_one_at_most_and_the_earlier_gets_more(count, more):
    parts = divide(count + more, [1.0] * count)
    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)


@given(SHARES, st.integers(0, 300), st.floats(0.1, 50.0))
def test_the_unit_of_the_shares_does_not_matter(shares, more, unit):
    total = len(shares) + more
    apart = zip(divide(total, shares), divide(total, [share * unit for share in shares]), strict=True)
    assert all(abs(one - other) <= 1 for one, other in apart), "rounding may move one at the edge"


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [
        (20, [1], [20]),
        (12, [1, 1, 1], [4, 4, 4]),
        (20, [1, 1, 1], [7, 7, 6]),
        (30, [2, 1, 1], [15, 8, 7]),
        (30, [2, 1], [20, 10]),
        (3, [100, 1, 1], [1, 1, 1]),
        (10, [100, 1, 1], [8, 1, 1]),
        (10, [1, 2, 7], [1, 2, 7]),
        (10, [0.1, 0.2, 0.7], [1, 2, 7]),
    ],
)
def test_a_budget_is_divided_by_largest_remainders(total, shares, parts):
    assert divide(total, shares) == parts


# -- phases ---------------------------------------------------------------------------------------

PHASED = """\
defaults: {n_layers: 1, hidden_size: 64, loss_type: CE, weight_decay: 0.0}
space:
  n_layers: {type: choice, values: [1, 2]}
  hidden_size: {type: choice, values: [32, 64]}
  loss_type: {type: choice, values: [CE, BPR]}
  weight_decay: {type: choice, values: [0.0, 0.1], when: {loss_type: BPR}}
phases:
  coarse: [n_layers, hidden_size]
  loss: [loss_type, weight_decay]
  training: [weight_decay]
"""


def phased(root, phases="[coarse, loss]", model=PHASED, extra=""):
    sweep = SWEEP + f"search: {{phases: {phases}, max_evals: 9{extra}}}\n"
    return make_workspace(root, sweep=sweep, model=model)


def test_each_phase_is_a_study_of_its_own_after_the_one_before(tmp_path):
    coarse, loss, full = phased(tmp_path, "[coarse, loss, full]").plans()
    assert [plan.name for plan in (coarse, loss, full)] == [
        "toy-sweep/toy/NARM/coarse",
        "toy-sweep/toy/NARM/loss",
        "toy-sweep/toy/NARM/full",
    ]
    assert [plan.label for plan in (coarse, full)] == ["toy/NARM/coarse", "toy/NARM/full"]
    assert [plan.previous for plan in (coarse, loss, full)] == [None, "coarse", "loss"]
    assert [plan.is_last for plan in (coarse, loss, full)] == [False, False, True]
    assert [plan.folder_names[2] for plan in (coarse, loss, full)] == ["coarse", "loss", None]
    assert len({plan.content_hash for plan in (coarse, loss, full)}) == 3
    assert len({plan.trial_seed(0) for plan in (coarse, loss, full)}) == 3


def test_a_phase_searches_its_part_and_leaves_the_rest_where_it_starts(tmp_path):
    coarse, loss = phased(tmp_path).plans()
    assert list(coarse.space) == ["n_layers", "hidden_size"]
    assert coarse.defaults == {"n_layers": 1, "hidden_size": 64}
    assert coarse.constants == {"loss_type": "CE", "weight_decay": 0.0}
    assert coarse.complete({"n_layers": 2, "hidden_size": 32}) == {
        "n_layers": 2,
        "hidden_size": 32,
        "loss_type": "CE",
    }, "there is no weight decay with CE"
    begun = dataclasses.replace(
        loss, start={"n_layers": 2, "hidden_size": 32, "loss_type": "BPR", "weight_decay": 0.1}
    )
    assert begun.defaults == {"loss_type": "BPR", "weight_decay": 0.1}
    flat = begun.settings({"loss_type": "CE"}, seed=1)
    assert (flat["n_layers"], flat["hidden_size"], flat["loss_type"]) == (2, 32, "CE")
    assert "weight_decay" not in flat


def test_a_start_settles_conditions_on_what_is_not_searched(tmp_path):
    plan = phased(tmp_path, "[training]").plan()
    assert dict(plan.space) == {}, "with CE there is nothing to search"
    with_bpr = dataclasses.replace(plan, start={**plan.model.defaults, "loss_type": "BPR"})
    assert list(with_bpr.space) == ["weight_decay"]
    assert with_bpr.space["weight_decay"].when is None
    (_, loss) = phased(tmp_path / "other").plans()
    assert loss.space["weight_decay"].when == {"loss_type": "BPR"}, "searched together it stays"


def test_a_chain_of_conditions_is_settled_link_by_link(tmp_path):
    model = """
defaults: {loss_type: CE, n_layers: 1, hidden_size: 32, weight_decay: 0.0}
space:
  loss_type: {type: choice, values: [CE, BPR]}
  n_layers: {type: choice, values: [1, 2], when: {loss_type: BPR}}
  hidden_size: {type: choice, values: [32, 64]}
  weight_decay: {type: choice, values: [0.0, 0.1], when: {n_layers: 2}}
phases: {loss: [loss_type, weight_decay], training: [n_layers, weight_decay]}
"""
    workspace = make_workspace(tmp_path, sweep=SWEEP + "search: {phases: [loss]}\n", model=model)
    plan = workspace.plan()
    assert list(plan.space) == ["loss_type"], "with one layer there is no weight decay, whatever the loss"
    two = dataclasses.replace(plan, start={**plan.model.defaults, "n_layers": 2})
    assert two.space["weight_decay"].when == {"loss_type": "BPR"}, "the layers are there with BPR only"
    assert two.complete({"loss_type": "CE"}) == {"loss_type": "CE", "hidden_size": 32}
    (training,) = workspace.plans(phases="training")
    assert dict(training.space) == {}, "CE has neither"


def test_every_model_spends_the_same_budget_on_the_phases_that_it_has(tmp_path):
    workspace = phased(tmp_path, "[coarse, loss, full]", extra=", phase_shares: {full: 2}")
    workspace.sweep.write_text(workspace.sweep.read_text().replace("[NARM]", "[NARM, STAMP]"))
    other = PHASED.split("phases:")[0].replace("  n_layers: {type: choice, values: [1, 2]}\n", "")
    other = other.replace("n_layers: 1, ", "").replace("hidden_size", "embedding_size")
    (tmp_path / "models" / "STAMP.yaml").write_text(other + "phases: {coarse: [embedding_size]}\n")
    plans = workspace.plans()
    budgets = {(plan.model_name, plan.phase): plan.budget for plan in plans}
    assert budgets == {
        ("NARM", "coarse"): 2,
        ("NARM", "loss"): 2,
        ("NARM", "full"): 5,
        ("STAMP", "coarse"): 3,
        ("STAMP", "full"): 6,
    }
    inherits = dataclasses.replace(plans[1], inherits=True)
    assert inherits.budget == 3, "what is inherited comes on top"
    assert dataclasses.replace(inherits, slots=7).budget == 7


def test_an_exhaustive_phase_has_the_grid_of_its_part(tmp_path):
    assert [plan.budget for plan in phased(tmp_path).plans(algo="exhaustive")] == [4, 3]


def test_a_start_and_a_phase_define_a_study(tmp_path):
    (coarse, loss) = phased(tmp_path / "a").plans()
    assert coarse.definition["phase"] == {
        "name": "coarse",
        "searched": ["n_layers", "hidden_size"],
        "start": {"n_layers": 1, "hidden_size": 64, "loss_type": "CE", "weight_decay": 0.0},
    }
    elsewhere = dataclasses.replace(loss, start={**loss.model.defaults, "n_layers": 2})
    assert elsewhere.content_hash != loss.content_hash
    assert elsewhere.definition["phase"]["start"]["n_layers"] == 2
    other_lists = PHASED.replace("training: [weight_decay]", "architecture: [hidden_size]")
    assert phased(tmp_path / "b", model=other_lists).plans()[0].content_hash == coarse.content_hash
    whole = make_workspace(tmp_path / "c", model=PHASED).plan()
    without = make_workspace(tmp_path / "d", model=PHASED.split("phases:")[0]).plan()
    assert whole.content_hash == without.content_hash
    assert "phase" not in whole.definition


@pytest.mark.parametrize(
    ("phases", "options", "message"),
    [
        (
            "[architecture]",
            {},
            "models/NARM.yaml:8:3: NARM has none of the phases architecture; "
            "add one to `phases` of the model, or search the phase full",
        ),
        (
            "[coarse, loss, full]",
            {"max_evals": 2},
            "--max-evals: each of the 3 phases of NARM needs a trial, but max_evals is 2; "
            "raise it, or name fewer phases",
        ),
    ],
)
def test_phases_that_cannot_be_searched_are_refused(tmp_path, phases, options, message):
    with pytest.raises(InputError) as caught:
        phased(tmp_path, phases).plans(**options)
    assert str(caught.value).removeprefix(f"{tmp_path}/") == message


def test_an_unknown_parameter_in_a_phase_is_one_line_with_its_place(tmp_path):
    model = PHASED.replace("coarse: [n_layers, hidden_size]", "coarse: [n_layers, hiden_size]")
    refused(
        phased(tmp_path, "[full]", model=model),
        "{root}/models/NARM.yaml:8:22: `hiden_size` is not in the space; did you mean `hidden_size`?",
    )


def test_the_phases_of_one_study_are_found_together(tmp_path):
    plans = phased(tmp_path).plans()
    assert find_study(plans, "toy", "NARM") == plans


# -- conditions -----------------------------------------------------------------------------------

CONDITION = """\
defaults: {n_layers: 1, hidden_size: 64, learning_rate: 0.1}
space:
  n_layers: {type: choice, values: [1, 2]}
  hidden_size: {type: choice, values: [32, 64], when: {%s}}
  learning_rate: {type: uniform, min: 0, max: 1%s}
"""


@pytest.mark.parametrize(
    ("when", "more", "message"),
    [
        ("nlayers: 1", "", "4:56: `nlayers` is no other parameter of the space; did you mean `n_layers`?"),
        (
            "hidden_size: 64",
            "",
            "4:56: `hidden_size` is no other parameter of the space; use one of learning_rate, n_layers",
        ),
        (
            "learning_rate: 0.1",
            "",
            "4:56: `learning_rate` is continuous; depend on a choice, quniform or randint",
        ),
        ("n_layers: 3", "", "4:66: `n_layers` is never 3; use one of its values"),
        ("n_layers: [1, 3]", "", "4:66: `n_layers` is never 3; use one of its values"),
        ('n_layers: "1"', "", "4:66: `n_layers` is never '1'; use one of its values"),
    ],
)
def test_a_condition_that_can_never_hold_is_one_line_with_its_place(tmp_path, when, more, message):
    workspace = make_workspace(tmp_path, model=CONDITION % (when, more))
    refused(workspace, f"{{root}}/models/NARM.yaml:{message}")


def test_parameters_that_depend_on_each_other_are_refused(tmp_path):
    model = (
        "defaults: {n_layers: 1, hidden_size: 64}\nspace:\n"
        "  n_layers: {type: choice, values: [1, 2], when: {hidden_size: 64}}\n"
        "  hidden_size: {type: choice, values: [32, 64], when: {n_layers: 1}}\n"
    )
    refused(
        make_workspace(tmp_path, model=model),
        "{root}/models/NARM.yaml:3:44: `n_layers` depends on itself; take one condition away",
    )


def test_a_parameter_that_is_absent_at_the_defaults_has_no_value_there(tmp_path):
    plan = make_workspace(tmp_path, model=CONDITION % ("n_layers: 2", "")).plan()
    assert plan.defaults == {"n_layers": 1, "learning_rate": 0.1}
    assert plan.complete({"n_layers": 2, "hidden_size": 32, "learning_rate": 0.5})["hidden_size"] == 32
    assert "hidden_size" not in plan.settings({"n_layers": 1, "learning_rate": 0.5}, 1)


def test_a_condition_defines_a_study_and_none_changes_nothing(tmp_path):
    one, two = (
        make_workspace(tmp_path / w[-1], model=CONDITION % (w, "")).plan()
        for w in ("n_layers: 1", "n_layers: 2")
    )
    assert one.content_hash != two.content_hash
    assert "when" not in make_workspace(tmp_path / "c").plan().definition["model"]["space"]["n_layers"]


# -- variants -------------------------------------------------------------------------------------


def test_a_study_of_variants_starts_with_the_defaults_of_each_model(tmp_path):
    workspace = make_workspace(tmp_path, sweep=SWEEP.replace("[NARM]", "[Any]"))
    (tmp_path / "models" / "STAMP.yaml").write_text(
        "defaults: {embedding_size: 8}\nspace:\n  embedding_size: {type: choice, values: [8, 16]}\n"
    )
    (tmp_path / "models" / "Any.yaml").write_text("model_variants: [NARM, STAMP]\n")
    plan = workspace.plan(phases="coarse")
    assert (plan.label, plan.name) == ("toy/Any", "toy-sweep/toy/Any/full_with_model")
    assert plan.known_good == (
        {"model": "NARM", "NARM.n_layers": 1},
        {"model": "STAMP", "STAMP.embedding_size": 8},
    )
    assert [plan.model_of(params) for params in plan.known_good] == ["NARM", "STAMP"]
    flat = plan.settings({"model": "STAMP", "STAMP.embedding_size": 16}, 1)
    assert (flat["model"], flat["embedding_size"]) == ("STAMP", 16)
    assert not any("." in name for name in flat)
    assert plan.budget == 20, "it is searched whole, whatever the phases"
    assert set(plan.definition["variants"]) == {"NARM", "STAMP"}


# -- several objectives, pruning, limits ----------------------------------------------------------


def test_each_objective_is_maximized_or_minimized_as_its_meaning_asks(tmp_path):
    extra = "evaluation: {objectives: [NDCG@10, AveragePopularity@5, training_seconds]}\n"
    plan = make_workspace(tmp_path, sweep=SWEEP + "search: {engine: optuna}\n" + extra).plan()
    assert [(o.name, o.maximize) for o in plan.objectives] == [
        ("NDCG@10", True),
        ("AveragePopularity@5", False),
        ("training_seconds", False),
    ]
    assert (plan.directions, plan.maximize) == ([True, False, False], True)
    flat = plan.settings({"n_layers": 1}, 1)
    assert flat["topk"] == [5, 10]
    assert "AveragePopularity" in flat["metrics"]
    assert plan.definition["evaluation"]["objectives"] == [
        "NDCG@10",
        "AveragePopularity@5",
        "training_seconds",
    ]


def test_an_unknown_objective_is_one_line_with_its_place(tmp_path):
    extra = "search: {engine: optuna}\nevaluation: {objectives: [NDCG@10, Recal@10]}\n"
    refused(
        make_workspace(tmp_path, sweep=SWEEP + extra),
        "{root}/sweep.yaml:5:36: unknown metric `Recal`; did you mean `recall`?",
    )


def test_new_settings_that_are_not_used_define_nothing(tmp_path):
    definition = make_workspace(tmp_path).plan().definition
    assert definition.keys() == {"dataset", "data", "model", "training", "evaluation", "search", "seed"}
    assert definition["search"].keys() == {"engine", "algo", "startup_trials"}
    assert "objectives" not in definition["evaluation"]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout_minutes": 1},
        {"sweep_timeout_minutes": 1},
        {"no_improvement_after": 1},
        {"workers_per_study": 3},
        {"device": "cpu"},
    ],
)
def test_limits_and_places_are_no_part_of_a_study(tmp_path, options):
    workspace = make_workspace(tmp_path)
    assert workspace.plan(**options).content_hash == workspace.plan().content_hash


@pytest.mark.parametrize(
    "options",
    [{"warm_start": "a.json"}, {"transfer": True}, {"engine": "optuna"}, {"pruner": "asha"}, {"patience": 3}],
)
def test_how_a_study_searches_is_part_of_it(tmp_path, options):
    workspace = make_workspace(tmp_path)
    assert workspace.plan(**options).content_hash != workspace.plan().content_hash
