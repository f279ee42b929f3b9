"""The needs of a model of its data, besides interactions. Read from RecBole's source."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from recsweep.recbole_api import catalog, negatives, source
from recsweep.recbole_api.own_source import until_changed

LABEL = "label"
"""The column of labels, 0 or 1: RecBole's own name of it."""
GRAPH = {"kg": ("head_id", "relation_id", "tail_id"), "link": ("entity_id",)}
"""Columns of a knowledge graph by file; `.link` has the items' column besides."""
VECTORS = {"ent": "ent_id", "rel": "rel_id"}
"""Files of vectors of entities and of relations, and the name that models know the ids of each by."""
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
    vectors: tuple[str, ...]
    """The files of vectors, made elsewhere, that it begins with: `ent` of entities, `rel` of relations."""
    width: str
    """The setting that the width of those vectors has to be."""
    repeats: bool
    """Users who come back to an item: without them a part of it has nothing to learn."""
    clusters: str | None
    """The setting of how many clusters it makes, of users and of items each."""
    cutoff: str | None
    """The setting of how many items it ranks while it trains."""


@until_changed
def needs(model: str) -> Needs:
    """The needs of a model of its data."""
    family, reads = catalog.family(model), catalog.reads(model)
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
        vectors=tuple(suffix for suffix, name in VECTORS.items() if name in _preloaded(model)),
        width="kg_embedding_size" if "kg_embedding_size" in reads else "embedding_size",
        repeats=_REPEATS in source.classes_in(source.model_file(model)),
        clusters="num_clusters" if "num_clusters" in reads else None,
        cutoff="metrics_k" if "metrics_k" in reads else None,
    )


def _preloaded(model: str) -> set[str]:
    """The ids whose vectors a model asks its data set for, by RecBole's names."""
    tree = source.parsed(source.model_file(model))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    asked = (node for node in calls if getattr(node.func, "attr", "") == "get_preload_weight")
    return {str(ast.literal_eval(node.args[0])) for node in asked}
