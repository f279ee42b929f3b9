"""The needs of a model of its data, besides interactions. Read from RecBole's source."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache

from recsweep.recbole_api import catalog, negatives, source

LABEL = "label"
"""The column of labels, 0 or 1: RecBole's own name of it."""
GRAPH = {"kg": ("head_id", "relation_id", "tail_id"), "link": ("entity_id",)}
"""Columns of a knowledge graph by file; `.link` has the items' column besides."""
# Settings that name item columns, and the types that the model can take.
_ITEM_COLUMNS = {"selected_features": ("token", "token_seq"), "item_attribute": ("token_seq",)}
# A network that names items which a user had before, and learns when to.
_REPEATS = "Repeat_Recommendation_Decoder"


@dataclass(frozen=True)
class Needs:
    """The needs of a model of its data."""

    labels: bool
    """Rows that are labelled 0 and 1: drawn as negatives, from a threshold, or a column of the data."""
    own_negatives: bool
    """True where RecBole draws negatives for it unless told otherwise."""
    item_columns: str | None
    """The setting that names the item columns it reads."""
    types: tuple[str, ...]
    """The types that those columns may have."""
    graph: bool
    sequences: bool
    """Interactions in order of time."""
    numbers: bool
    """True where every number of users and items must be among the numerical features."""
    vectors: bool
    """Vectors of entities and relations, made elsewhere."""
    repeats: bool
    """Users who come back to an item: without them a part of it has nothing to learn."""
    clusters: str | None
    """The setting of how many clusters it makes, of users and of items each."""
    cutoff: str | None
    """The setting of how many items it ranks while it trains."""


@cache
def needs(model: str) -> Needs:
    """The needs of a model of its data."""
    family, reads = catalog.models()[model], catalog.reads(model)
    columns = next((name for name in _ITEM_COLUMNS if name in reads), None)
    return Needs(
        labels=negatives.use(model) == "labels" and family != "knowledge",
        # RecBole's own configs for context models say none, and a threshold on the data that it knows.
        own_negatives=family not in ("context", "exlib"),
        item_columns=columns,
        types=_ITEM_COLUMNS.get(columns or "", ()),
        graph=family == "knowledge",
        sequences=family == "sequential",
        numbers=bool(source.published_defaults(model).get("double_tower")),
        vectors="get_preload_weight" in _called(model),
        repeats=_REPEATS in source.classes_in(source.model_file(model)),
        clusters="num_clusters" if "num_clusters" in reads else None,
        cutoff="metrics_k" if "metrics_k" in reads else None,
    )


def _called(model: str) -> set[str]:
    tree = source.parsed(source.model_file(model))
    return {node.func.attr for node in ast.walk(tree) if _is_method_call(node)}  # type: ignore[attr-defined]


def _is_method_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
