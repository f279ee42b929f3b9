"""A small data set with users, items, a graph and links, and settings for any of RecBole's models on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsweep.datasets.prepare import open_tables
from recsweep.recbole_api import catalog
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, build_split, data_key
from recsweep.recbole_api.model import clean_globals

USERS, ITEMS = 40, 30
FIRST = {
    "user": "user_id:token\tage:float\tgender:token",
    "item": "item_id:token\tclass:token_seq\tprice:float",
}
COLUMNS = {
    "inter": ["user_id", "item_id", "rating", "timestamp", "label"],
    "user": ["user_id", "age", "gender"],
    "item": ["item_id", "class", "year"],
}
GRAPH = {"kg": ["head_id", "relation_id", "tail_id"], "link": ["item_id", "entity_id"]}
NEGATIVES = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}
SMALL = {
    "pretrain_epochs": 1,
    "metrics_k": 5,
    "num_clusters": 5,
    "embedding_size": 8,
    "hidden_size": 8,
    "inner_size": 8,
    "n_layers": 1,
    "n_heads": 2,
    "mlp_hidden_size": [8],
    "kg_embedding_size": 8,
}
EMBEDDED = {
    "load_col": {**COLUMNS, **GRAPH, "ent": ["ent_id", "ent_vec"], "rel": ["rel_id", "rel_vec"]},
    "additional_feat_suffix": ["ent", "rel"],
    "alias_of_entity_id": ["ent_id"],
    "alias_of_relation_id": ["rel_id"],
    "preload_weight": {"ent_id": "ent_vec", "rel_id": "rel_vec"},
}
OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("GRU4RecKG", "KSR"), EMBEDDED),
    **{name: {"reranker_CAN_NUM": 5} for name in ("GRU4RecCPR", "SASRecCPR")},
    "FEARec": {"n_layers": 2},
    "ConvNCF": {"embedding_size": 64},
    **{name: {"train_stage": "finetune", "pretrain_epochs": 1} for name in ("RaCT", "S3Rec")},
}
"""What a single model needs besides."""


def write_dataset(folder: Path) -> Path:
    """`rich.inter`, `.user`, `.item`, `.kg`, `.link` and vectors of entities; returns their folder."""
    folder = folder / "rich"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(5)
    rows = []
    for user in range(USERS):
        for step, item in enumerate(generator.permutation(ITEMS)[:10]):
            rating = int(generator.integers(1, 6))
            rows.append(f"u{user}\ti{item}\t{rating}\t{1_000_000 + user * 7 + step * 500}\t{int(rating > 3)}")
    entities = range(ITEMS + 10)
    vector = lambda n: " ".join(f"{value:.3f}" for value in np.sin(np.arange(8) + n))  # noqa: E731
    files = {
        "inter": ("user_id:token\titem_id:token\trating:float\ttimestamp:float\tlabel:float", rows),
        "user": (
            "user_id:token\tage:token\tgender:token",
            [f"u{user}\t{20 + user % 9}\t{'fm'[user % 2]}" for user in range(USERS)],
        ),
        "item": (
            "item_id:token\tclass:token_seq\tyear:token",
            [f"i{item}\tc{item % 4} c{item % 3 + 4}\t{1990 + item % 5}" for item in range(ITEMS)],
        ),
        "kg": (
            "head_id:token\trelation_id:token\ttail_id:token",
            [f"e{n}\tr{n % 3}\te{(n * 7 + 1) % len(entities)}" for n in entities],
        ),
        "link": ("item_id:token\tentity_id:token", [f"i{item}\te{item}" for item in range(ITEMS)]),
        "ent": ("ent_id:token\tent_vec:float_seq", [f"e{n}\t{vector(n)}" for n in entities]),
        "rel": ("rel_id:token\trel_vec:float_seq", [f"r{n}\t{vector(n)}" for n in range(3)]),
    }
    for suffix, (first, lines) in files.items():
        (folder / f"rich.{suffix}").write_text("".join(f"{line}\n" for line in (first, *lines)))
    return folder


def settings_for(model: str, folder: Path) -> dict[str, Any]:
    """A complete RecBole config of a short training of any model."""
    family = catalog.models()[model]
    parameters = catalog.parameters(model)
    settings: dict[str, Any] = {
        "model": model,
        "dataset": folder.name,
        "data_path": str(folder.parent),
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "load_col": {**COLUMNS, **(GRAPH if family == "knowledge" else {})},
        "MAX_ITEM_LIST_LENGTH": 6,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "time_order": "exact",
        "epochs": 1,
        "train_batch_size": 64,
        "metrics": ["Recall", "NDCG"],
        "topk": [5],
        "valid_metric": "NDCG@5",
        "seed": 3,
        "reproducibility": True,
        "show_progress": False,
        **{name: value for name, value in SMALL.items() if name in parameters},
    }
    if family in ("context", "exlib"):
        settings["LABEL_FIELD"] = "label"
        settings["train_neg_sample_args"] = None
        settings["metrics"], settings["valid_metric"] = ["AUC", "LogLoss"], "AUC"
        settings["eval_args"] = {**settings["eval_args"], "mode": "labeled"}
    elif family == "sequential" and catalog.published_defaults(model).get("loss_type") == "CE":
        settings["train_neg_sample_args"] = None
    return {**settings, **OWN.get(model, {})}


def make_split(config: TypedConfig) -> Split:
    """The split of a config, read and made now."""
    with clean_globals():
        return build_split(config, open_tables(config))


def splits(folder: Path) -> Callable[[Mapping[str, Any]], Split]:
    """Gives the split for settings, each made once.

    Args:
        folder: that the data set's folder is in.
    """
    made: dict[str, Split] = {}

    def find(settings: Mapping[str, Any]) -> Split:
        config = TypedConfig(settings, torch.device("cpu"), folder)
        key = repr(data_key(config))
        if key not in made:
            made[key] = make_split(config)
        return made[key]

    return find
