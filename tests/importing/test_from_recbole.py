"""RecBole's config.yaml and hyper.test as a sweep that loads."""

from __future__ import annotations

from helpers.imports import write_files
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


def test_lists_in_quotes_are_lists(tmp_path):
    hyper = "learning_rate choice [0.01]\nmlp_hidden_size choice ['[64,32]','[128]']\n"
    made = from_recbole(*write_files(tmp_path, {"c.yaml": "", "h.test": hyper}), "ours", "NeuMF", "ml-100k")
    assert made.files["models/ours.yaml"]["space"]["mlp_hidden_size"]["values"] == [[64, 32], [128]]
    assert "mlp_hidden_size: lists in quotes are lists" in made.changes
