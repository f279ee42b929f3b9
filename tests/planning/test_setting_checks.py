"""Settings that RecBole would take and ignore, or fail at in a trial."""

from __future__ import annotations

import pytest

from helpers.workspace import SWEEP, make_workspace
from recsweep.common.errors import InputError
from recsweep.planning.checks import check_sweep
from recsweep.recbole_api import catalog, heeds, negatives, source, words

RATE = "defaults: {learning_rate: 0.001}\nspace:\n  learning_rate: {type: choice, values: [0.001]}\n"
NEGATIVE = "`train_neg_sample_args`"
FORM = "write `{distribution: uniform, sample_num: 1}`"


def refusal(tmp_path, model, file):
    """What the check says about a model file, from its line on; empty where it is taken."""
    workspace = make_workspace(tmp_path, model=f"model: {model}\n{file}")
    try:
        check_sweep(workspace.load())
    except InputError as error:
        return str(error).partition("NARM.yaml:")[2]
    return ""


def fixed(tmp_path, model, text):
    return refusal(tmp_path, model, f"fixed: {{{text}}}\n" + RATE)


@pytest.mark.parametrize(
    ("model", "text", "message"),
    [
        (
            "BPR",
            "learner: lion",
            "`learner`: RecBole has no optimizer `lion`, and would train with Adam; use one of",
        ),
        ("BPR", "learner: adamm", "would train with Adam; did you mean `adam`?"),
        ("BPR", "learner: sparse_adam", "RecBole has no optimizer `sparse_adam`"),
        ("BPR", "embedding_size: 16.0", "`embedding_size` must be a whole number, but got 16.0; write 16"),
        ("BPR", "embedding_size: 0", "must be at least 1, but got 0; use 64, which RecBole ships"),
        ("BPR", "embedding_size: '16'", "must be a number, but got the text '16'; write it without quotes"),
        ("BPR", "embedding_size: true", "must be a number, but got true"),
        ("BPR", "weight_decay: -0.1", "must be >= 0, but got -0.1"),
        ("BPR", "clip_grad_norm: 5", "must hold the arguments of torch's clip_grad_norm_, but got 5; write"),
        ("BPR", "clip_grad_norm: {norm_type: 2}", "has no `max_norm`"),
        ("BPR", "clip_grad_norm: {max_norm: 0}", "`max_norm` must be a number > 0, but got 0"),
        ("BPR", "clip_grad_norm: {maxnorm: 5}", "has no `maxnorm`; did you mean `max_norm`?"),
        ("BPR", "train_neg_sample_args: {uniform: 2}", "write `{distribution: uniform, sample_num: 2}`"),
        ("BPR", "train_neg_sample_args: {distribution: zipf}", "one of uniform, popularity, but got 'zipf'"),
        (
            "BPR",
            "train_neg_sample_args: {sample_num: 0}",
            "`sample_num` must be a whole number of at least 1",
        ),
        ("BPR", "train_neg_sample_args: {sample_num: 1.0}", "`sample_num` must be a whole number"),
        ("BPR", "train_neg_sample_args: {number: 1}", "has no `number`"),
        ("BPR", "train_neg_sample_args: {dynamic: true}", "there is no `candidate_num`; add"),
        ("BPR", "train_neg_sample_args: {candidate_num: 3}", "heeded with `dynamic: true` only"),
        ("BPR", "train_neg_sample_args: {alpha: 0.5}", "heeded with `distribution: popularity` only"),
        ("BPR", "train_neg_sample_args: uniform", f"must hold keys and values, but got 'uniform'; {FORM}"),
        ("BPR", "train_neg_sample_args: null", "BPR learns from pairs, which need negatives; drop it"),
        ("MultiVAE", "train_neg_sample_args: {sample_num: 2}", "MultiVAE draws no negatives"),
        ("SASRec", "train_neg_sample_args: {sample_num: 2}", "ranks all items in its loss `CE`"),
        ("RepeatNet", "train_neg_sample_args: {sample_num: 2}", "RepeatNet ranks all items in its loss"),
        ("SASRec", "loss_type: ce", "SASRec knows no `loss_type: ce`; did you mean `CE`?"),
        ("SASRec", "loss_type: NOPE", "SASRec knows no `loss_type: NOPE`; use one of BPR, CE"),
        ("GRU4RecCPR", "loss_type: BPR", "GRU4RecCPR knows no `loss_type: BPR`; use one of CE"),
        ("RepeatNet", "loss_type: CE", "RepeatNet never reads `loss_type`"),
        ("DMF", "embedding_size: 8", "DMF never reads `embedding_size`"),
        ("SASRec", "hidden_act: geglu", "SASRec knows no `hidden_act: geglu`; did you mean `gelu`?"),
        ("SASRec", "hidden_dropout_prob: 1.5", "must be between 0 and 1, but got 1.5"),
        ("SASRec", "hidden_size: 63", "`hidden_size` 63 is not a multiple of `n_heads` 2"),
        ("SASRec", "n_layers: 0", "must be at least 1, but got 0"),
        ("SASRec", "transform: crop_itemseq", "`transform` is part of the model: null; drop it"),
        ("NeuMF", "mlp_hidden_size: '[64,32]'", "must be a list, but got the text '[64,32]'; write [64,32]"),
        ("NeuMF", "mlp_hidden_size: 64", "must be a list, but got 64; write [64]"),
        ("NeuMF", "mlp_hidden_size: [64, 0]", "in [64, 0]: each part must be at least 1, but got 0"),
        ("NeuMF", "mlp_hidden_size: [64.0]", "in [64.0]: each part must be a whole number"),
        ("NeuMF", "mf_train: 'yes'", "must be true or false, but got yes"),
        ("NeuMF", "mf_pretrain_path: w.pth", "reads weights from a file"),
        ("NARM", "dropout_probs: [0.1]", "must have 2 parts, but got [0.1]; RecBole ships [0.25, 0.5]"),
        ("NARM", "dropout_probs: [0.1, 2]", "each part must be between 0 and 1, but got 2"),
        ("SimpleX", "aggregator: max", "SimpleX knows no `aggregator: max`"),
        ("BPR", "loss_decimal_place: 3", "BPR never reads `loss_decimal_place`"),
        (
            "BPR",
            "rm_dup_inter: first",
            "every model of a sweep; set `remove_duplicates` in the data set file",
        ),
        ("BPR", "threshold: {rating: 3}", "set `label_threshold` in the data set file"),
        ("BPR", "benchmark_filename: [a, b, c]", "files: [train, valid, test]}` in the data set file"),
        ("BPR", "filter_inter_by_user_or_item: false", "is the same for every model of a sweep"),
        ("BPR", "seq_separator: '|'", "set `sequence_separator` in the data set file"),
        ("BPR", "alias_of_item_id: [x]", "is the same for every model of a sweep"),
        ("BPR", "additional_feat_suffix: ent", "is the same for every model of a sweep"),
        ("BPR", "preload_weight: {a: b}", "drop it; no key of the sweep or data set file changes it"),
        ("BPR", "normalize_all: true", "set `normalize` in the data set file"),
        ("BPR", "numerical_features: [a]", "set `numerical_features` in the data set file"),
        ("BPR", "discretization: {}", "is the same for every model of a sweep"),
        ("BPR", "eval_args: {}", "set `split` in the data set file, and `evaluation` in the sweep file"),
        ("BPR", "metric_decimal_place: 1", "is the same for every model of a sweep"),
    ],
)
def test_what_recbole_would_ignore_is_refused_at_its_place(tmp_path, model, text, message):
    said = fixed(tmp_path, model, text)
    assert message in said
    assert said.startswith(("2:9: ", f"2:{11 + text.index(':')}: ", f"2:{12 + text.index(':')}: "))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("BPR", "train_neg_sample_args: {distribution: popularity, sample_num: 4, alpha: 0.5}"),
        ("BPR", "train_neg_sample_args: {distribution: uniform, dynamic: true, candidate_num: 4}"),
        ("SASRec", "loss_type: BPR, train_neg_sample_args: {sample_num: 2}"),
        ("SASRec", "train_neg_sample_args: null"),
        ("BPR", "learner: AdamW, weight_decay: 0, clip_grad_norm: {max_norm: 5.0, norm_type: 2}"),
        ("DCN", "reg_weight: 1.5, train_neg_sample_args: {sample_num: 1}"),
        ("SimpleX", "negative_weight: 0.5"),
        ("SASRec", "hidden_dropout_prob: 0, attn_dropout_prob: 1"),
        ("HRM", "pooling_type_layer_1: average"),
        ("NeuMF", "mlp_hidden_size: []"),
    ],
)
def test_what_recbole_heeds_is_taken(tmp_path, model, text):
    assert fixed(tmp_path, model, text) == ""


@pytest.mark.parametrize(
    ("model", "defaults", "space", "message"),
    [
        ("BPR", "learner: adam", "learner: {type: choice, values: [adam, lion]}", "5:42: `learner`: RecB"),
        ("NeuMF", "mlp_hidden_size: '[8]'", "mlp_hidden_size: {type: choice, values: ['[8]']}", "5:44: `mlp"),
        ("BPR", "embedding_size: 8", "embedding_size: {type: randint, min: 0, max: 8}", "5:40: `embedding"),
        ("BPR", "embedding_size: 8.0", "embedding_size: {type: uniform, min: 1, max: 8}", "use `randint`"),
        ("BPR", "embedding_size: 8.0", "embedding_size: {type: choice, values: [8.0]}", "5:43: `embedding"),
        ("SASRec", "n_heads: 3", "n_heads: {type: choice, values: [1, 3]}", "`hidden_size` 64 is not"),
        ("EASE", "learning_rate: 0.1", "learning_rate: {type: choice, values: [0.1]}", "by no gradient"),
        ("BPR", "val_interval: a", "val_interval: {type: choice, values: [a]}", "set `keep` in the data set"),
    ],
)
def test_every_value_of_a_space_is_looked_at(tmp_path, model, defaults, space, message):
    file = f"fixed: {{}}\ndefaults: {{{defaults}}}\nspace:\n  {space}\n"
    assert message in refusal(tmp_path, model, file)


@pytest.mark.parametrize("model", sorted(name for name in catalog.models() if not catalog.learns(name)))
def test_no_model_that_counts_or_solves_has_a_learning_rate(tmp_path, model):
    assert f"{model} is trained by no gradient, and never reads `learning_rate`" in refusal(
        tmp_path, model, RATE
    )


def test_a_loss_that_is_searched_keeps_negatives_out(tmp_path):
    file = (
        "fixed: {train_neg_sample_args: {sample_num: 2}}\ndefaults: {loss_type: BPR}\n"
        "space:\n  loss_type: {type: choice, values: [BPR, CE]}\n"
    )
    assert "NARM ranks all items in its loss `CE`" in refusal(tmp_path, "NARM", file)


def test_a_model_among_variants_is_looked_at_too(tmp_path):
    workspace = make_workspace(tmp_path, sweep=SWEEP.replace("NARM", "Two"))
    (tmp_path / "models" / "Two.yaml").write_text("model_variants: [NARM, BPR]\n")
    (tmp_path / "models" / "BPR.yaml").write_text("fixed: {learner: lion}\n" + RATE)
    with pytest.raises(InputError, match=r"BPR\.yaml:1:18: `learner`: RecBole has no optimizer `lion`"):
        check_sweep(workspace.load())


def test_all_that_recbole_ships_is_heeded():
    wrong = {
        (model, name, value if not isinstance(value, list) else tuple(value)): mistake
        for model in catalog.models()
        for name, value in source.published_defaults(model).items()
        if name in catalog.fixable(model) and (mistake := heeds.mistake(model, name, value))
    }
    assert {name for _, name, _ in wrong} == {"train_stage"}  # all stages are trained here
    assert negatives.mistake(source.overall_defaults()[negatives.KEY]) is None


ODD = [
    None,
    True,
    0,
    -1,
    2.5,
    float("nan"),
    float("inf"),
    "",
    "[1]",
    "x",
    [],
    [None],
    [[1]],
    {},
    {"a": 1},
    {1: [2]},
]


def test_no_value_of_any_kind_is_an_error_of_the_check_itself():
    for model in catalog.models():
        for name in catalog.fixable(model):
            for value in ODD:
                found = heeds.mistake(model, name, value)
                assert found is None or all(found), (model, name, value)


def test_sizes_of_several_rerankers_may_be_text(tmp_path):
    assert fixed(tmp_path / "a", "SASRecCPR", "reranker_CAN_NUM: '500,100,20'") == ""
    assert "must be a number" in fixed(tmp_path / "b", "SASRecCPR", "reranker_CAN_NUM: many")


def test_the_optimizers_and_distributions_are_those_of_recboles_source():
    assert words.learners() == ("adam", "adamw", "sgd", "adagrad", "rmsprop")
    assert negatives.distributions() == ("uniform", "popularity")


@pytest.mark.parametrize(
    ("model", "use"),
    [
        ("BPR", "pairs"),
        ("CFKG", "pairs"),
        ("NeuMF", "labels"),
        ("FM", "labels"),
        ("DIN", "labels"),
        ("MultiVAE", "never"),
        ("Pop", "not at all"),
        ("SASRec", "unless CE"),
        ("SINE", "unless CE"),
        ("RepeatNet", "not at all"),
    ],
)
def test_how_a_model_uses_negatives_is_read_from_its_source(model, use):
    assert negatives.use(model) == use


@pytest.mark.parametrize(
    ("word", "fix"),
    [
        ("HR", "RecBole's name of it is Hit"),
        ("hit_rate", "RecBole's name of it is Hit"),
    ],
)
def test_a_metric_by_another_name_is_named(tmp_path, word, fix):
    workspace = make_workspace(tmp_path, sweep=SWEEP + f"evaluation: {{metrics: [{word}]}}\n")
    with pytest.raises(InputError, match=f"4:24: unknown metric `{word}`; {fix}"):
        check_sweep(workspace.load())


@pytest.mark.parametrize(
    ("kind", "key", "fix"),
    [
        ("sweep", "eval_args: {}", "`split` in the data set file, and `evaluation` in the sweep file"),
        ("sweep", "val_interval: {}", "`keep` in the data set file"),
        ("dataset", "RS: [8, 1, 1]", "`split: {type: ratio, ratio: [0.8, 0.1, 0.1]}` in the data set file"),
        ("dataset", "split: {LS: valid_and_test}", "`split: {type: leave_one_out}` in the data set file"),
        ("dataset", "load_col: {}", "`columns` in the data set file"),
        ("model", "eval_args: {}", "`split` in the data set file, and `evaluation` in the sweep file"),
    ],
)
def test_recboles_own_keys_lead_to_ours(tmp_path, kind, key, fix):
    workspace = make_workspace(tmp_path)
    path = getattr(workspace, kind)
    path.write_text(path.read_text() + key + "\n")
    with pytest.raises(InputError) as caught:
        workspace.load()
    assert str(caught.value).endswith(f"; it is {fix}")
