"""Prepared splits: exact in time, cached by content, safe to load, private to no trial."""

from __future__ import annotations

import copy
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from helpers.splits import (
    ROWS,
    held_out,
    make_tiny,
    prepared,
    settings_with,
    users_with_wrong_items,
)
from recsweep.datasets.prepare import open_tables, prepare, split_key
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api import data, frames
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.running import processes
from recsweep.sweeps.loading import load_sweep

# -- time -----------------------------------------------------------------------------------------


def test_every_user_is_validated_and_tested_on_the_true_last_two_items(make_plan):
    plan = make_plan(datasets="ml-100k")
    assert plan.dataset.time_order == "exact"
    assert users_with_wrong_items(plan) == set()


def test_with_recboles_rounded_times_a_few_users_are_not(make_plan):
    wrong = users_with_wrong_items(make_plan(datasets="ml-100k"), time_order="recbole")
    assert 1 <= len(wrong) <= 20


def test_the_order_stays_exact_where_ranks_are_counted_within_users(tmp_path, monkeypatch):
    overall = held_out(prepared(make_tiny(tmp_path / "a")).split)
    monkeypatch.setattr(frames, "MAX_EXACT_RANKS", 3)
    within = held_out(prepared(make_tiny(tmp_path / "b")).split)
    assert within == overall
    assert within["u1"] == ["i4", "i5"]


def test_the_prepared_sequences_hold_no_nan(tmp_path):
    split = prepared(make_tiny(tmp_path)).split
    for part in split.parts:
        for values in part.inter_feat.interaction.values():
            assert torch.isfinite(values.double()).all()


# -- cache ----------------------------------------------------------------------------------------


def test_a_second_call_finds_the_split_in_the_cache(tmp_path):
    plan = make_tiny(tmp_path)
    first, second = prepared(plan), prepared(plan)
    assert (first.cached, second.cached) == (False, True)
    assert first.key == second.key == split_key(plan.settings(plan.defaults, 1), plan.files)
    assert first.split.statistics == second.split.statistics
    assert held_out(first.split) == held_out(second.split)


def test_what_a_trial_varies_does_not_ask_for_another_split(tmp_path):
    plan = make_tiny(tmp_path)
    prepared(plan)
    changes = {"learning_rate": 0.5, "embedding_size": 16, "seed": 99, "epochs": 1, "train_batch_size": 7}
    assert prepare(settings_with(plan, **changes), plan.files, plan.outputs.cache).cached


def test_a_changed_byte_of_the_data_is_another_split(tmp_path):
    prepared(make_tiny(tmp_path))
    changed = [*ROWS[:4], ("u1", "i6", 9), *ROWS[5:]]
    again = prepared(make_tiny(tmp_path, changed))
    assert not again.cached
    assert held_out(again.split)["u1"] == ["i4", "i6"]


@pytest.mark.parametrize(
    "change",
    [
        {"max_sequence_length": 4},
        {"min_user_interactions": 6},
        {"time_order": "recbole"},
        {"keep": {"timestamp": "[6,inf)"}},
        {"split": {"type": "ratio", "ratio": [0.6, 0.2, 0.2]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_is_another_split(tmp_path, change):
    first = prepared(make_tiny(tmp_path))
    second = prepared(make_tiny(tmp_path, **change))
    assert not second.cached
    assert second.key != first.key


def test_another_library_version_is_another_split(tmp_path, monkeypatch):
    plan = make_tiny(tmp_path)
    first = prepared(plan)
    found = {"recbole": "1.2.1", "numpy": "0.0.1"}
    monkeypatch.setattr("recsweep.datasets.prepare.versions", lambda: found)
    assert split_key(settings_with(plan), plan.files) != first.key


def test_all_trials_share_one_random_split_that_depends_on_the_sweeps_seed(tmp_path):
    by_chance = {"model": "BPR", "split": {"type": "ratio", "order": "random"}}
    plans = [make_tiny(tmp_path, seed=seed, **by_chance) for seed in (1, 2)]
    of_trials = {split_key(plans[0].settings(plans[0].defaults, seed), plans[0].files) for seed in (7, 8)}
    of_sweeps = {split_key(plan.settings(plan.defaults, 7), plan.files) for plan in plans}
    assert (len(of_trials), len(of_sweeps)) == (1, 2)


def test_a_split_by_time_depends_on_no_seed(tmp_path):
    plans = [make_tiny(tmp_path, seed=seed) for seed in (1, 2)]
    assert len({split_key(plan.settings(plan.defaults, plan.sweep.seed), plan.files) for plan in plans}) == 1


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("name", ["split.json", "arrays.bin", "manifest.yaml"])
@pytest.mark.parametrize(
    "damage", [flipped, lambda content: b"", lambda content: b"[", None], ids=["bit", "empty", "text", "gone"]
)
def test_a_damaged_entry_is_made_anew(tmp_path, name, damage):
    plan = make_tiny(tmp_path)
    expected = held_out(prepared(plan).split)
    (entry,) = plan.outputs.cache.iterdir()
    content = (entry / name).read_bytes()
    (entry / name).unlink()
    if damage is not None:
        (entry / name).write_bytes(damage(content))
    again = prepared(plan)
    assert held_out(again.split) == expected
    # One bit of the manifest may lie in a number that nothing depends on.
    assert not again.cached or (name, damage) == ("manifest.yaml", flipped)
    assert prepared(plan).cached
    assert sorted(p.name for p in entry.iterdir()) == ["arrays.bin", "manifest.yaml", "split.json"]


def prepare_together(pipe, folder: str) -> None:
    plan = make_plan_of(folder)
    pipe.send("ready")
    pipe.recv()
    found = prepared(plan)
    pipe.send((found.key, found.split.statistics))


def make_plan_of(folder: str) -> StudyPlan:
    return plan_sweep(load_sweep(Path(folder) / "config" / "sweep.yaml"))[0]


def test_two_processes_that_prepare_at_once_both_succeed_and_leave_one_entry(tmp_path):
    plan = make_tiny(tmp_path)
    started = [processes.start(prepare_together, (str(tmp_path),), 1) for _ in range(2)]
    pipes = [pipe for _, pipe in started]
    assert [pipe.recv() for pipe in pipes] == ["ready"] * 2
    for pipe in pipes:
        pipe.send("go")
    first, second = (pipe.recv() for pipe in pipes)
    assert first == second
    for process, _ in started:
        process.join(120)
        assert process.exitcode == 0
    (entry,) = plan.outputs.cache.iterdir()
    assert not entry.name.startswith(".")
    assert prepared(plan).cached


def test_an_interrupted_preparation_leaves_nothing_behind(tmp_path, monkeypatch):
    plan = make_tiny(tmp_path)
    monkeypatch.setattr(
        "recsweep.datasets.prepare.write_arrays", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        prepared(plan)
    assert list(plan.outputs.cache.iterdir()) == []


def test_preparing_leaves_random_states_and_switches_as_they_were(tmp_path):
    plan = make_tiny(tmp_path)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    torch.backends.cudnn.benchmark, before = True, torch.backends.cudnn.benchmark
    try:
        prepared(plan)
        assert torch.backends.cudnn.benchmark is True
    finally:
        torch.backends.cudnn.benchmark = before
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == states


# -- safety ---------------------------------------------------------------------------------------


def test_trials_do_not_see_each_others_loaders(tmp_path):
    plan = make_tiny(tmp_path)
    split = prepared(plan).split
    before = {name: tensor.clone() for name, tensor in split.parts[0].inter_feat.interaction.items()}
    config = TypedConfig(settings_with(plan), torch.device("cpu"), tmp_path)
    for loader in make_loaders(config, split):
        assert len(list(loader)) > 0
    train = split.parts[0].inter_feat.interaction
    assert train.keys() == before.keys(), "a loader's own columns stay its own"
    assert all(torch.equal(train[name], before[name]) for name in before)


# -- RecBole's Config without its habits ----------------------------------------------------------


def test_a_string_in_the_settings_is_never_evaluated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('os').system('touch harmed')"
    config = TypedConfig(
        settings_with(make_tiny(tmp_path / "d"), note=code, topk_text="[1, 2]"), cpu(), tmp_path
    )
    assert config["note"] == code
    assert config["topk_text"] == "[1, 2]"
    assert not (tmp_path / "harmed").exists()


def cpu() -> torch.device:
    return torch.device("cpu")


def test_the_command_line_does_not_reach_recbole(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recsweep", "--learning_rate=9", "--model=BPR"])
    config = TypedConfig(settings_with(make_tiny(tmp_path)), cpu(), tmp_path)
    assert (config["learning_rate"], config["model"]) == (0.001, "FPMC")


def test_process_wide_settings_stay_as_they_are(tmp_path, monkeypatch):
    from recbole.utils import argument_list

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    resolvers = {key: list(value) for key, value in yaml.FullLoader.yaml_implicit_resolvers.items()}
    lists = {name: list(value) for name, value in vars(argument_list).items() if isinstance(value, list)}
    TypedConfig(settings_with(make_tiny(tmp_path)), cpu(), tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"
    assert yaml.FullLoader.yaml_implicit_resolvers == resolvers
    assert {n: list(v) for n, v in vars(argument_list).items() if isinstance(v, list)} == lists


def test_a_folder_named_ml_100k_is_not_mistaken_for_recboles_own(tmp_path):
    plan = make_tiny(tmp_path)
    folder = plan.files.folder.rename(plan.files.folder.parent / "ml-100k")
    (folder / "tiny.inter").rename(folder / "ml-100k.inter")
    settings = settings_with(plan, dataset="ml-100k", data_path=str(folder.parent))
    assert TypedConfig(settings, cpu(), tmp_path)["data_path"] == str(folder)


def test_the_given_settings_are_not_changed(tmp_path):
    settings = settings_with(make_tiny(tmp_path))
    before = repr(settings)
    TypedConfig(settings, cpu(), tmp_path)
    assert repr(settings) == before


def test_recboles_defaults_are_parsed_once_and_spoilt_by_none(tmp_path, monkeypatch):
    settings = settings_with(make_tiny(tmp_path))
    first = TypedConfig(settings, cpu(), tmp_path)
    before = copy.deepcopy(first.internal_config_dict)
    first.internal_config_dict["eval_args"]["order"] = first.internal_config_dict["epochs"] = "spoilt"
    monkeypatch.setattr(yaml, "load", lambda *given, **more: pytest.fail("they were parsed already"))
    second = TypedConfig(settings, cpu(), tmp_path)
    assert second.internal_config_dict == before


# -- what RecBole is handed -------------------------------------------------------------------------

FEATURES = {
    "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    + "".join(
        f"u{u}\ti{(u * 3 + n) % 7}\t{n % 5 + 1}\t{1000 + u * 7 + n}\n" for u in range(8) for n in range(6)
    ),
    "user": "user_id:token\tage:float\tcity:token\n"
    + "".join(f"u{u}\t{20 + u}\tc{u % 3}\n" for u in range(8)),
    "item": "item_id:token\tclass:token_seq\tvec:float_seq\tprice:float\n"
    + "".join(f"i{i}\t{' '.join(f'k{k}' for k in range(i % 4))}\t{i}.5 {i}\t{i}\n" for i in range(9)),
}
ALL_COLUMNS = {
    "inter": ["user_id", "item_id", "rating", "timestamp"],
    "user": ["user_id", "age", "city"],
    "item": ["item_id", "class", "vec", "price"],
}


def with_features(folder: Path, **dataset) -> StudyPlan:
    make_tiny(folder, model="BPR", columns=ALL_COLUMNS, **dataset)
    for suffix, text in FEATURES.items():
        (folder / "data" / "tiny" / f"tiny.{suffix}").write_text(text)
    return plan_sweep(load_sweep(folder / "config" / "sweep.yaml"))[0]


@pytest.mark.parametrize(
    "dataset",
    [{}, {"keep": {"rating": "[2,5]"}, "min_user_interactions": 4, "min_item_interactions": 3}],
    ids=["all", "filtered"],
)
def test_of_ordinary_files_recbole_makes_what_it_makes_by_itself(tmp_path, dataset):
    plan = with_features(tmp_path, time_order="recbole", **dataset)
    config = TypedConfig(settings_with(plan), cpu(), tmp_path)
    cls = data._dataset_class(config)
    own, ours = cls(config), frames.handed(cls, open_tables(config), config)(config)
    for name in ("field2type", "field2source", "field2seqlen", "field2bucketnum", "feat_name_list"):
        assert getattr(ours, name) == getattr(own, name)
    assert {name: list(ids) for name, ids in ours.field2id_token.items()} == {
        name: list(ids) for name, ids in own.field2id_token.items()
    }
    own.build(), ours.build()
    for feature in own.feat_name_list:
        expected, found = getattr(own, feature).interaction, getattr(ours, feature).interaction
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(("way", "items", "rows"), [("drop", 3, 21), ("keep", 7, 48)])
def test_items_without_features_are_dropped_or_kept_as_the_data_set_says(tmp_path, way, items, rows):
    plan = with_features(tmp_path, without_features=way)
    path = tmp_path / "data" / "tiny" / "tiny.item"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    plan = plan_sweep(load_sweep(tmp_path / "config" / "sweep.yaml"))[0]
    split = prepared(plan).split
    assert split.statistics["items"] == items
    assert sum(map(len, split.parts)) == rows
    unlisted = split.whole.item_feat.interaction["class"][4:]
    assert not unlisted.any(), "padding"


def test_nanoseconds_keep_their_order(tmp_path):
    base = 1_700_000_000_000_000_000
    rows = [(user, f"i{n}", base + (9 - n)) for user in ("a", "b") for n in range(9)]
    held = held_out(prepared(make_tiny(tmp_path, rows)).split)
    assert held == {"a": ["i1", "i0"], "b": ["i1", "i0"]}


@pytest.mark.parametrize("scale", ["", ".000000000001", "000000000000000000000001"])
def test_times_of_any_length_keep_their_order(tmp_path, scale):
    rows = [("a", f"i{n}", f"17{n:02}{scale}") for n in range(9)] + [("b", "i1", 5), ("b", "i2", 4)]
    held = held_out(prepared(make_tiny(tmp_path, rows)).split)
    assert held["a"] == ["i7", "i8"]


def test_a_graph_is_read_as_it_stands(tmp_path):
    """Quotes and NA words in `.kg` and `.link`; every linked item keeps its interactions."""
    columns = {
        "inter": ["user_id", "item_id", "timestamp"],
        "kg": ["head_id", "relation_id", "tail_id"],
        "link": ["item_id", "entity_id"],
    }
    make_tiny(tmp_path, model="BPR", columns=columns)
    folder = tmp_path / "data" / "tiny"
    entities = ['"NA', "null", "NA", 'e"3', "None", '"', "e6"]
    links = "".join(f"i{n}\t{entity}\n" for n, entity in enumerate(entities))
    (folder / "tiny.link").write_text("item_id:token\tentity_id:token\n" + links)
    triples = "".join(f"{entity}\tr\tn/a\n" for entity in entities)
    (folder / "tiny.kg").write_text("head_id:token\trelation_id:token\ttail_id:token\n" + triples)
    plan = plan_sweep(load_sweep(tmp_path / "config" / "sweep.yaml"))[0]
    split = prepare({**settings_with(plan), "model": "CKE"}, plan.files, plan.outputs.cache).split
    assert sum(map(len, split.parts)) == len(ROWS)
    assert split.whole.entity_num == 1 + len(entities) + 1
