"""What a model needs of the data is known before the first trial."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import yaml

from helpers.rich import COLUMNS, DRAWN, RICH, VECTORS, make_rich
from helpers.workspace import make_workspace
from recsweep.common.errors import InputError, UserError
from recsweep.datasets.check import check_dataset
from recsweep.datasets.files import find_files
from recsweep.datasets.prepare import prepare
from recsweep.planning.plan import check_data, plan_sweep
from recsweep.recbole_api import catalog, source
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.recbole_api.model_facts import refusal as unusable
from recsweep.recbole_api.needs import needs
from recsweep.training import training
from recsweep.training.single import train_file

CONFIG = Path(__file__).parents[2] / "config"
PLAIN = "path: toy\n"
NOT_HERE = {"NCL", "LightGBM", "XGBoost"}
GRAPH = "item: [item_id, class]\n  kg: [head_id, relation_id, tail_id]\n  link: [item_id, entity_id]"


def refusal(workspace):
    with pytest.raises(InputError) as caught:
        plan_sweep(workspace.load())
    return str(caught.value).replace(f"{workspace.root}/", "")


def taken(workspace):
    return plan_sweep(workspace.load())[0]


def settings_of(workspace):
    plan = taken(workspace)
    return plan.settings(plan.defaults, plan.trial_seed(0))


# -- the models that cannot be used -----------------------------------------------------------------


def test_models_that_cannot_be_searched_miss_a_package():
    reasons = {model: reason for model in catalog.models() if (reason := unusable(model))}
    assert reasons.keys() <= NOT_HERE  # fewer where their libraries are installed


@pytest.mark.parametrize("model", ["KSR", "GRU4RecKG"])
def test_vectors_made_elsewhere_are_asked_for(tmp_path, model):
    said = refusal(make_rich(tmp_path, model))
    assert f"{model} begins with vectors made elsewhere, one for each ent_id" in said
    assert "add `ent: [ent_id, ent_vec]` to `columns`; or leave the model out" in said


def test_vectors_are_as_wide_as_the_model_has_them(tmp_path):
    said = refusal(make_rich(tmp_path, "KSR", "kg_embedding_size: 16", dataset=VECTORS))
    assert "the vectors of `.ent` are 8 wide, and `kg_embedding_size` is another number" in said


@pytest.mark.parametrize("model", ["KSR", "GRU4RecKG"])
def test_a_model_begins_with_vectors_of_a_file(tmp_path, model):
    workspace = make_rich(tmp_path, model, dataset=VECTORS)
    check_data(workspace.load())
    plan = plan_sweep(workspace.load(epochs=1, batch_size=32))[0]
    settings = plan.settings(plan.defaults, plan.trial_seed(0))
    split = prepare(settings, plan.files, tmp_path / "cache").split
    found = prepare(settings, plan.files, tmp_path / "cache")
    assert found.cached
    trained = training.train(settings, found.split, torch.device("cpu"))
    assert training.train(settings, split, torch.device("cpu")).score == trained.score


def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch):
    unusable.cache_clear()
    monkeypatch.setattr("recsweep.recbole_api.packages.installed", lambda name: name != "faiss")
    assert "needs the Python package faiss, which is not installed" in refusal(make_rich(tmp_path, "NCL"))
    unusable.cache_clear()


def test_a_library_that_only_some_settings_need_keeps_no_model_out(monkeypatch):
    unusable.cache_clear()
    monkeypatch.setattr("recsweep.recbole_api.packages.installed", lambda name: False)
    assert unusable("NNCF") is None  # community, for one of three ways to find neighbours
    assert unusable("LDiffRec") is None  # kmeans_pytorch, for more than one category
    assert unusable("NCL").fix.startswith("run `make setup-models`")
    unusable.cache_clear()


def test_trees_are_not_measured_by_rankings(tmp_path, monkeypatch):
    unusable.cache_clear()
    monkeypatch.setattr("recsweep.recbole_api.packages.installed", lambda name: True)
    said = refusal(make_rich(tmp_path, "XGBoost"))
    assert "XGBoost scores rows labelled 1 and 0, and ranks no items, which NDCG@10 measures" in said
    unusable.cache_clear()


@pytest.mark.parametrize(
    ("model", "setting", "asked", "does"),
    [
        ("NCL", "num_clusters", 21, "has 20 items, but NCL makes 21 clusters of them"),
        ("RaCT", "metrics_k", 21, "has 20 items, but RaCT ranks 21 items while it trains"),
    ],
)
def test_more_than_there_is_to_cluster_or_rank_is_refused(tmp_path, model, setting, asked, does):
    sweep = make_rich(tmp_path, model, f"{setting}: {asked}").load()
    with pytest.raises(InputError, match=f"{does}; set `{setting}` in `fixed` to 20 or less"):
        check_data(sweep)
    check_data(make_rich(tmp_path / "fits", model, f"{setting}: 20").load())


def test_more_clusters_of_a_shipped_file_than_users_are_refused(tmp_path):
    workspace = make_rich(tmp_path, "NCL")
    workspace.model.write_text((CONFIG / "models" / "NCL.yaml").read_text())
    said = "NCL makes 1000 clusters of them; set `num_clusters` in `space` and in `defaults` to 20 or less"
    with pytest.raises(InputError, match=said):
        check_data(workspace.load())


# -- labels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["FM", "DeepFM", "DSSM"])
def test_a_context_model_draws_negatives_where_data_label_none(tmp_path, model):
    drawn = {"distribution": "uniform", "sample_num": 1}
    assert settings_of(make_rich(tmp_path / "a", model, dataset=PLAIN))["train_neg_sample_args"] == drawn
    more = "train_neg_sample_args: {distribution: popularity, sample_num: 4}"
    own = settings_of(make_rich(tmp_path / "b", model, more, dataset=PLAIN))["train_neg_sample_args"]
    assert (own["distribution"], own["sample_num"]) == ("popularity", 4)


def test_a_context_model_told_to_draw_none_is_refused(tmp_path):
    assert refusal(make_rich(tmp_path, "FM", "train_neg_sample_args: null", dataset=PLAIN)).endswith(
        "FM learns from rows labelled 1 and 0, but datasets/toy.yaml "
        "labels none, and no negatives are drawn; add `train_neg_sample_args: {distribution: uniform, "
        "sample_num: 1}` to `fixed`, or `label_threshold: {rating: 4}` to the data"
    )


def test_fm_on_the_shipped_ml_100k_gets_no_hidden_labels(tmp_path):
    drawn = settings_of(make_rich(tmp_path, "FM", dataset="path: builtin\n"))
    assert drawn["threshold"] is None
    assert drawn["train_neg_sample_args"] == {"distribution": "uniform", "sample_num": 1}


def test_labels_of_a_threshold_are_learned_from_without_drawn_negatives(tmp_path):
    labelled = PLAIN + "label_threshold: {rating: 4}\n"
    settings = settings_of(make_rich(tmp_path / "a", "FM", dataset=labelled))
    assert settings["threshold"] == {"rating": 4}
    assert settings["train_neg_sample_args"] is None
    assert "rating" in settings["load_col"]["inter"]
    assert settings_of(make_rich(tmp_path / "b", "NeuMF", dataset=labelled))["train_neg_sample_args"] is None
    assert "train_neg_sample_args" not in settings_of(make_rich(tmp_path / "c", "BPR", dataset=labelled))


def test_drawn_negatives_do_not_take_the_place_of_labels_without_a_word(tmp_path):
    said = refusal(make_rich(tmp_path, "FM", DRAWN, dataset=PLAIN + "label_threshold: {rating: 4}\n"))
    assert "drawn negatives would take the place of the labels of datasets/toy.yaml; drop it" in said


def test_a_general_model_told_to_draw_no_negatives_needs_labels(tmp_path):
    said = refusal(make_rich(tmp_path, "NeuMF", "train_neg_sample_args: null", dataset=PLAIN))
    assert "NeuMF learns from rows labelled 1 and 0" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label_threshold: {stars: 4}\n" + COLUMNS, "`stars` is no loaded column of the `.inter` file"),
        ("label_threshold: {user_id: 4}\n", "`user_id` must be a float, but is a token"),
        ("numerical_features: [price]\n", "`price` is no loaded column of the data set"),
        ("numerical_features: [class]\n" + COLUMNS, "`class` must be a float, but is a token_seq"),
        ("normalize: [prize]\n" + COLUMNS, "`prize` is no loaded column of the data set"),
    ],
)
def test_a_column_with_a_role_is_loaded_and_of_its_type(tmp_path, text, message):
    said = refusal(make_rich(tmp_path, dataset=PLAIN + text))
    assert said.startswith("datasets/toy.yaml:2:")
    assert message in said


def test_more_than_one_threshold_is_refused(tmp_path):
    workspace = make_rich(tmp_path, dataset=PLAIN + "label_threshold: {rating: 4, timestamp: 3}\n")
    with pytest.raises(InputError, match="label_threshold"):
        workspace.load()


# -- item features, graphs, numbers -----------------------------------------------------------------


@pytest.mark.parametrize("model", ["GRU4RecF", "SASRecF", "FDSA"])
def test_item_features_that_are_not_loaded_are_asked_for(tmp_path, model):
    said = refusal(make_rich(tmp_path, model, dataset=PLAIN))
    assert said == (
        f"datasets/toy.yaml:1:1: {model} reads the item column `class` (`selected_features`), but no column "
        "of the `.item` file is loaded; set `columns: {inter: [user_id, item_id, timestamp], "
        "item: [item_id, class]}`"
    )


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("clas", "`clas` (`selected_features`), which `columns.item` does not load; set `selected_features`"),
        ("price", "`price` (`selected_features`), which must be a token or token_seq, but is a float"),
    ],
)
def test_item_features_are_there_and_of_a_type_that_is_read(tmp_path, features, message):
    dataset = RICH.replace("class]", "class, price]")
    said = refusal(make_rich(tmp_path, "FDSA", f"selected_features: [{features}]", dataset=dataset))
    assert said.startswith("models/NARM.yaml:2:")
    assert message in said


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("", "does not load `head_id` of `.kg`; set `columns: {inter: [user_id, item_id, timestamp], kg: ["),
        (COLUMNS.replace("  link: [item_id, entity_id]\n", ""), "does not load `item_id` of `.link`"),
        (COLUMNS.replace(", tail_id", ""), "does not load `tail_id` of `.kg`"),
    ],
)
def test_a_graph_that_is_not_loaded_is_asked_for(tmp_path, columns, message):
    said = refusal(make_rich(tmp_path, "CKE", dataset=PLAIN + columns))
    assert said.startswith("datasets/toy.yaml:")
    assert f"CKE learns from a knowledge graph; `columns` {message}" in said


def test_a_graph_whose_file_is_not_there_is_said(tmp_path):
    workspace = make_rich(tmp_path, "CKE", dataset=PLAIN)
    workspace.inter.with_suffix(".kg").unlink()
    assert "and there is no file" in refusal(workspace)


def test_numbers_that_dssm_counts_but_does_not_embed_are_refused(tmp_path):
    dataset = RICH.replace("class]", "class, price]")
    said = refusal(make_rich(tmp_path / "a", "DSSM", DRAWN, dataset=dataset))
    assert "DSSM counts `price` of `.item` as a feature" in said
    named = dataset + "numerical_features: [price]\nnormalize: [price]\n"
    settings = settings_of(make_rich(tmp_path / "b", "DSSM", DRAWN, dataset=named))
    assert (settings["numerical_features"], settings["normalize_field"]) == (["price"], ["price"])


def test_a_setting_that_reads_another_column_asks_for_it(tmp_path):
    said = refusal(make_rich(tmp_path / "a", "DMF", "inter_matrix_type: rating", dataset=PLAIN))
    assert "DMF with `inter_matrix_type: rating` needs `rating`, which is not loaded" in said
    assert taken(make_rich(tmp_path / "b", "DMF", "inter_matrix_type: rating"))


def test_data_without_times_are_told_how_to_leave_them_out(tmp_path):
    workspace = make_rich(tmp_path, dataset=PLAIN + "split: {type: ratio, order: random}\n")
    workspace.write_rows("a\tb", header="user_id:token\titem_id:token")
    with pytest.raises(InputError, match=r"write `columns: \{inter: \[user_id, item_id\]\}` in .*toy.yaml"):
        check_data(workspace.load())


def test_no_features_are_needed_where_none_is_read(tmp_path):
    assert taken(make_rich(tmp_path, "SASRec", dataset=PLAIN))


# -- nothing behind the back ------------------------------------------------------------------------


def test_keys_of_a_data_set_that_are_not_used_define_nothing(tmp_path):
    before = make_workspace(tmp_path / "a").plan()
    unused = "path: toy\nlabel_threshold: {}\nremove_duplicates: null\nnumerical_features: []\n"
    assert make_workspace(tmp_path / "b", dataset=unused).plan().content_hash == before.content_hash
    used = make_workspace(tmp_path / "c", dataset="path: toy\nremove_duplicates: last\n").plan()
    assert used.content_hash != before.content_hash
    assert used.settings(used.defaults, 1)["rm_dup_inter"] == "last"


# Not a setting; and of ml-100k, which has no graph: no interval, where [0,inf) is usual.
ALSO = {"MODEL_TYPE", "entity_kg_num_interval", "relation_kg_num_interval"}


@pytest.mark.parametrize("dataset", ["path: builtin\n", RICH])
@pytest.mark.parametrize("model", ["BPR", "FM", "DIN", "SASRec", "GRU4RecF", "CKE"])
def test_whatever_recboles_quick_start_sets_is_said_or_is_its_usual_value(tmp_path, model, dataset):
    """RecBole merges files by kind of model and name of the data set into every config."""
    if dataset != RICH and model in ("GRU4RecF", "CKE"):
        dataset += "columns: {inter: [user_id, item_id, timestamp], item: [item_id, class], "
        dataset += "kg: [head_id, relation_id, tail_id], link: [item_id, entity_id]}\n"
    if model == "CKE" and dataset != RICH:
        pytest.skip("the wheel has no graph")
    plan = taken(make_rich(tmp_path, model, DRAWN if model == "FM" else "", dataset=dataset))
    settings = plan.settings(plan.defaults, 1)
    config = TypedConfig(settings, torch.device("cpu"), tmp_path)
    sample = source.recbole_folder() / "properties" / "dataset" / "sample.yaml"
    usual = {
        **source.overall_defaults(),
        **source.published_defaults(model),
        **yaml.safe_load(sample.read_text()),
    }
    behind = {
        key: value
        for key, value in config.internal_config_dict.items()
        if key not in settings and key not in ALSO and usual.get(key) != value
    }
    assert behind == {}


# -- all of them ------------------------------------------------------------------------------------


def test_models_without_a_parameter_have_no_search():
    assert [model for model in catalog.models() if not catalog.searchable(model)] == ["Pop", "Random"]


def data_for(model):
    return VECTORS if needs(model).vectors else RICH


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("rich-cache")


@pytest.mark.parametrize("model", sorted(set(catalog.models()) - {"Pop", "Random"}))
def test_every_model_gets_its_data_or_is_refused_with_a_reason(tmp_path, shared_cache, model):
    workspace = make_rich(tmp_path, model, dataset=data_for(model))
    if unusable(model):
        assert model in NOT_HERE
        assert refusal(workspace).endswith("leave the model out")
        return
    plan = taken(workspace)
    settings = plan.settings(plan.defaults, plan.trial_seed(0))
    split = prepare(settings, plan.files, shared_cache).split
    config = TypedConfig(copy.deepcopy(settings), torch.device("cpu"), tmp_path)
    train, valid, test = make_loaders(config, split)
    if needs(model).graph:
        train.set_mode(recbole("utils").KGDataLoaderState.RS)
    batch = next(iter(train))
    assert len(batch) > 0
    assert len(valid) > 0
    assert len(test) > 0
    if needs(model).labels:
        assert set(batch["label"].tolist()) == {0.0, 1.0}


@pytest.mark.long
@pytest.mark.parametrize("model", sorted(set(catalog.models()) - {"Pop", "Random"}))
def test_every_model_that_gets_its_data_trains_and_is_tested(tmp_path, shared_cache, model):
    if unusable(model):
        pytest.skip(f"{model} {unusable(model)}")
    plan = plan_sweep(
        make_rich(tmp_path, model, dataset=VECTORS if needs(model).vectors else RICH).load(
            epochs=1, batch_size=32
        )
    )[0]
    settings, cpu = plan.settings(plan.defaults, plan.trial_seed(0)), torch.device("cpu")
    split = prepare(settings, plan.files, shared_cache).split
    trained = training.train(settings, split, cpu)
    assert training.evaluate(settings, split, cpu, trained.best).keys() == trained.metrics.keys()


def labels_in(tmp_path, cache, dataset, model="FM"):
    plan = taken(make_rich(tmp_path, model, dataset=dataset))
    return prepare(plan.settings(plan.defaults, 1), plan.files, cache).split.parts[0].inter_feat["label"]


def test_labels_are_those_of_the_threshold(tmp_path, shared_cache):
    labels = labels_in(tmp_path, shared_cache, PLAIN + "label_threshold: {rating: 4}\n")
    assert len(labels) == 24 * 7
    assert 0 < int(labels.sum()) < len(labels)


@pytest.mark.parametrize(("bound", "ones"), [("1", 168), ("9", 0)])
@pytest.mark.parametrize("again", [False, True])
def test_labels_that_are_all_the_same_are_refused_with_their_numbers(
    tmp_path, shared_cache, bound, ones, again
):
    """Whether the split is made or found: what a model needs is no part of it."""
    dataset = PLAIN + f"label_threshold: {{rating: {bound}}}\n"
    with pytest.raises(UserError) as caught:
        labels_in(tmp_path, shared_cache, dataset)
    said = f"FM: of 168 rows for training {ones} are labelled 1, {168 - ones} are labelled 0"
    assert str(caught.value).startswith(said)


def test_labels_that_are_all_the_same_are_known_before_anything_is_split(tmp_path):
    workspace = make_rich(tmp_path, "FM", dataset=PLAIN + "label_threshold: {rating: 9}\n")
    with pytest.raises(InputError) as caught:
        check_data(workspace.load())
    assert str(caught.value).endswith(
        "toy.yaml:2:18: of 216 interactions 0 are labelled 1 and 216 are labelled 0; "
        "FM would have nothing to tell apart; choose another threshold"
    )


@pytest.mark.parametrize("model", ["BPR", "CKE"])
def test_labels_that_no_model_learns_from_may_be_all_the_same(tmp_path, model):
    workspace = make_rich(tmp_path, model, dataset=RICH + "label_threshold: {rating: 9}\n")
    assert check_data(workspace.load()) == {"toy": 216}


def test_the_threshold_counts_what_the_filters_leave(tmp_path):
    dataset = PLAIN + 'label_threshold: {rating: 3}\nkeep: {rating: "[3,inf)"}\n'
    with pytest.raises(InputError, match="are labelled 1 and 0 are labelled 0"):
        check_data(make_rich(tmp_path, "FM", dataset=dataset).load())


@pytest.mark.parametrize(
    ("cell", "message"),
    [("2", "`label` must be 0 or 1, but got 2"), ("", "`label` is empty"), ("1", None)],
)
def test_a_column_of_labels_holds_0_and_1(tmp_path, cell, message):
    workspace = make_rich(
        tmp_path, "FM", dataset=PLAIN + "columns: {inter: [user_id, item_id, timestamp, label]}"
    )
    rows = [f"u{n % 6}\ti{(n // 6 + n % 6) % 12}\t{n}\t{n % 2}" for n in range(48)]
    header = "user_id:token\titem_id:token\ttimestamp:float\tlabel:float"
    workspace.write_rows(*rows, f"u0\ti9\t50\t{cell}", header=header)
    if message is None:
        assert check_data(workspace.load()) == {"toy": 49}
        return
    with pytest.raises(InputError, match=f"toy.inter:50:10: {message}"):
        check_data(workspace.load())


def rated(tmp_path, rating, more=""):
    workspace = make_rich(tmp_path, "FM", dataset=PLAIN + "label_threshold: {rating: 3}\n" + more)
    rows = [f"u{n % 6}\ti{(n // 6 + n % 6) % 12}\t{rating(n)}\t{n}" for n in range(48)]
    workspace.write_rows(*rows, header="user_id:token\titem_id:token\trating:float\ttimestamp:float")
    return workspace


def test_a_missing_rating_is_the_mean_all_missing_are_refused(tmp_path, shared_cache):
    """As RecBole fills it in: what is counted is what is trained on."""
    workspace = rated(tmp_path / "a", lambda n: "" if n % 3 == 0 else n % 2 * 5)
    sweep = workspace.load()
    files = find_files(sweep.datasets["toy"], sweep.dataset_documents["toy"])
    counted = check_dataset(sweep.datasets["toy"], sweep.dataset_documents["toy"], files).labels
    plan = plan_sweep(sweep)[0]
    split = prepare(plan.settings(plan.defaults, 1), plan.files, shared_cache).split
    made = torch.cat([part.inter_feat["label"] for part in split.parts])
    assert (int(made.sum()), len(made) - int(made.sum())) == (counted.ones, counted.zeros)
    late = 'keep: {timestamp: "[20,inf)"}\n'
    sweep = rated(tmp_path / "b", lambda n: 4 if n < 10 else "", late).load()
    with pytest.raises(InputError, match="`rating` is empty in every row that is kept"):
        check_data(sweep)


def test_a_config_without_labels_is_refused_by_recsweep_train(tmp_path):
    """RecBole's own configs say that context models draw no negatives, whoever asks."""
    config = tmp_path / "fm.yaml"
    config.write_text(
        "model: FM\ndataset: ml-100k\nload_col: {inter: [user_id, item_id]}\nthreshold: null\n"
        "eval_args: {mode: full}\nmetrics: [NDCG]\nvalid_metric: NDCG@10\nepochs: 1\n"
    )
    with pytest.raises(UserError, match="FM: of 80808 rows for training none is labelled"):
        train_file(config, "cpu", tmp_path, save=None, test=False, tell=print)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: BPR\nlearner: lion\n", ":2:10: `learner`: RecBole has no optimizer `lion`"),
        ("model: BPR\nembedding_size: 0\n", ":2:17: `embedding_size` must be at least 1, but got 0"),
    ],
)
def test_a_complete_config_is_held_to_the_same(tmp_path, text, message):
    config = tmp_path / "one.yaml"
    config.write_text(text + "dataset: ml-100k\n")
    with pytest.raises(InputError) as caught:
        train_file(config, "cpu", tmp_path, save=None, test=False, tell=print)
    assert f"one.yaml{message}" in str(caught.value)
