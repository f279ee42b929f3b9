"""RecBole's config.yaml and hyper.test as a sweep that loads."""

from __future__ import annotations

import pytest

from helpers.imports import write_files
from recsweep.common.errors import InputError
from recsweep.common.files import write_yaml
from recsweep.importing.from_recbole import from_recbole
from recsweep.planning.plan import plan_sweep
from recsweep.sweeps.loading import load_sweep

CONFIG = """\
gpu_id: 0
load_col: {inter: [user_id, item_id, rating, timestamp]}
user_inter_num_interval: "[5,inf)"
item_inter_num_interval: "(4,inf)"
val_interval: {rating: "[3,inf)"}
eval_args: {split: {LS: valid_and_test}, order: TO, mode: uni100, group_by: user}
metrics: ["Recall", "NDCG"]
topk: 10
valid_metric: NDCG@10
epochs: 50
train_neg_sample_args: ~
loss_type: CE
learning_rate: 1e-3
foo: 3
"""
HYPER = """\
# ours
learning_rate choice [0.01, 0.005,0.001]
hidden_dropout_prob uniform 0.1,0.5
attn_dropout_prob quniform 0.1,0.5,0.1
weight_decay loguniform -10,-5
n_layers randint 1,4
"""


def test_recboles_files_become_a_sweep_that_loads(tmp_path):
    made = from_recbole(
        *write_files(tmp_path, {"c.yaml": CONFIG, "h.test": HYPER}), "ours", "SASRec", "ml-100k"
    )
    for path, content in made.files.items():
        write_yaml(tmp_path / path, content)
    (plan,) = plan_sweep(load_sweep(tmp_path / "ours.yaml"))
    assert (plan.model.model, plan.sweep.training.epochs, plan.sweep.evaluation.metric) == (
        "SASRec",
        50,
        "NDCG@10",
    )
    assert plan.defaults["learning_rate"] == 0.001
    assert set(plan.space) == {line.split()[0] for line in HYPER.splitlines()[1:]}
    assert made.files["datasets/ours.yaml"]["min_item_interactions"] == 5
    assert made.files["datasets/ours.yaml"]["split"] == {"type": "leave_one_out", "order": "time"}
    assert made.files["models/ours.yaml"]["fixed"] == {"train_neg_sample_args": None, "loss_type": "CE"}


def test_all_that_is_not_the_same_is_said(tmp_path):
    made = from_recbole(
        *write_files(tmp_path, {"c.yaml": CONFIG, "h.test": HYPER}), "ours", "SASRec", "ml-100k"
    )
    said = "\n".join(made.changes)
    for word in (
        "gpu_id",
        "foo",
        "uni100",
        "max_evals",
        "weight_decay: loguniform -10,-5",
        "n_layers: randint 1,4",
    ):
        assert word in said


def made_of(tmp_path, config: str):
    files = {"c.yaml": config, "h.test": "learning_rate choice [0.01]\n"}
    return from_recbole(*write_files(tmp_path, files), "ours", "BPR", "ml-100k")


def test_bounds_candidates_and_split_files_are_taken_over(tmp_path):
    config = (
        'item_inter_num_interval: "[5,100)"\nbenchmark_filename: [part1, part2, part3]\n'
        "eval_args: {mode: {valid: pop100, test: full}}\nrm_dup_inter: false\n"
    )
    made = made_of(tmp_path, config)
    assert made.files["datasets/ours.yaml"] == {
        "path": "builtin",
        "min_item_interactions": 5,
        "max_item_interactions": 99,
        "split": {"type": "files", "files": ["part1", "part2", "part3"]},
        "candidates": "pop100",
    }
    said = "\n".join(made.changes)
    for words in ("rm_dup_inter", "benchmark_filename", "mode pop100", "the test has pop100 too"):
        assert words in said


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("eval_args: {group_by: item}\n", "1:23: `eval_args.group_by` must be one of RecBole's groups"),
        ("eval_args: {mode: unni100}\n", "1:19: `eval_args.mode` must be one of RecBole's modes"),
        ("benchmark_filename: [a, b]\n", "1:21: `benchmark_filename` must name three files"),
    ],
)
def test_what_recbole_has_not_is_refused_with_its_place(tmp_path, config, message):
    with pytest.raises(InputError) as caught:
        made_of(tmp_path, config)
    assert message in str(caught.value)


def test_groups_of_a_split_are_taken_over(tmp_path):
    made = made_of(tmp_path, "eval_args: {group_by: null, split: {RS: [8, 1, 1]}}\n")
    assert made.files["datasets/ours.yaml"]["split"]["group_by"] == "none"


def test_lists_in_quotes_are_lists(tmp_path):
    hyper = "learning_rate choice [0.01]\nmlp_hidden_size choice ['[64,32]','[128]']\n"
    made = from_recbole(*write_files(tmp_path, {"c.yaml": "", "h.test": hyper}), "ours", "NeuMF", "ml-100k")
    assert made.files["models/ours.yaml"]["space"]["mlp_hidden_size"]["values"] == [[64, 32], [128]]
    assert "mlp_hidden_size: lists in quotes are lists" in made.changes
