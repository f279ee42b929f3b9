"""A small data set with users, items and a graph, and a sweep of any of RecBole's models on it."""

from __future__ import annotations

from pathlib import Path

from helpers import catalogue
from helpers.workspace import Workspace, make_workspace
from recsweep.recbole_api import catalog, words

USERS, ITEMS = 24, 20
COLUMNS = (
    "columns:\n  inter: [user_id, item_id, rating, timestamp]\n  user: [user_id, gender]\n"
    "  item: [item_id, class]\n  kg: [head_id, relation_id, tail_id]\n  link: [item_id, entity_id]\n"
)
RICH = "path: toy\nmax_sequence_length: 8\n" + COLUMNS
VECTORS = RICH + "  ent: [ent_id, ent_vec]\n  rel: [rel_id, rel_vec]\n"
DRAWN = "train_neg_sample_args: {distribution: uniform, sample_num: 1}"
SMALL = {**catalogue.SMALL, "mlp_hidden_size": [8, 8], "reranker_CAN_NUM": 10}
OWN = {name: catalogue.OWN[name] for name in ("ConvNCF", "FEARec")}


def make_rich(root: Path, model: str = "BPR", fixed: str = "", dataset: str = RICH) -> Workspace:
    """A workspace whose one model is any of RecBole's, small, with its searchable parameters at one value."""
    own = _fixed(model, fixed)
    searched = next(
        name
        for name in ("learning_rate", *sorted(catalog.parameters(model)), "shrink")
        if name in catalog.searchable(model) and isinstance(words.shipped(model, name), int | float)
    )
    value = words.shipped(model, searched)
    workspace = make_workspace(
        root,
        model=f"model: {model}\nfixed: {{{own}}}\ndefaults: {{{searched}: {value}}}\n"
        f"space:\n  {searched}: {{type: choice, values: [{value}]}}\n",
        dataset=dataset,
        rows=(),
    )
    rows = [
        f"u{user}\ti{(user * 7 + step * 3) % ITEMS}\t{(user + step) % 5 + 1}\t{1_000 + user * 7 + step * 500}"
        for user in range(USERS)
        for step in range(9)
    ]
    workspace.write_rows(*rows, header="user_id:token\titem_id:token\trating:float\ttimestamp:float")
    _write(workspace, "user", "user_id:token\tage:float\tgender:token", USERS, "u{0}\t{0}\tf")
    _write(workspace, "item", "item_id:token\tclass:token_seq\tprice:float", ITEMS, "i{0}\tc{1} d\t{0}.5")
    _write(workspace, "kg", "head_id:token\trelation_id:token\ttail_id:token", ITEMS, "e{0}\tr{1}\te{2}")
    _write(workspace, "link", "item_id:token\tentity_id:token", ITEMS, "i{0}\te{0}")
    vector = " ".join(["0.5"] * 7)
    _write(workspace, "ent", "ent_id:token\tent_vec:float_seq", ITEMS, "e{0}\t0.{1} " + vector)
    _write(workspace, "rel", "rel_id:token\trel_vec:float_seq", 3, "r{0}\t0.{1} " + vector)
    return workspace


def _fixed(model: str, fixed: str) -> str:
    readable = catalog.published_defaults(model).keys() & catalog.fixable(model)
    values = {**SMALL, **OWN.get(model, {})}
    small = [f"{name}: {value}" for name, value in values.items() if name in readable and name not in fixed]
    return ", ".join([*small, *([fixed] if fixed else [])])


def _write(workspace: Workspace, suffix: str, header: str, count: int, row: str) -> None:
    lines = [header, *(row.format(n, n % 3, (n + 1) % count) for n in range(count))]
    workspace.inter.with_suffix(f".{suffix}").write_text("".join(f"{line}\n" for line in lines))
