"""implicit or LensKit fits one model and lists the best items of users, timed; runs in their environment.

    python libraries_process.py TASK.json    # see libraries.py; prints its result

All are fitted to pairs of users and items, with the library's defaults but for what the table of models says.
Lists leave out the items that a user is trained with.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speed_process import Channel

Pairs = tuple[list[int], list[int]]
"""Users, and an item of each."""
Lists = Callable[[list[int], int], list[list[int]]]
"""From users and a length: a list for each."""
FACTORS = 64


def main() -> None:
    channel = Channel()
    task: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    prepared = MODELS[task["what"]](task)
    channel.ready()
    began = time.perf_counter()
    lists = prepared()
    fitted = time.perf_counter()
    found = lists(task["users"], task["length"])
    channel.result(fit=fitted - began, lists=time.perf_counter() - fitted, found=found)


def _implicit(make: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Callable[[], Lists]]:
    """A model of implicit's on a matrix of users and items, which is made beforehand."""

    def prepare(task: dict[str, Any]) -> Callable[[], Lists]:
        import numpy as np
        from scipy.sparse import csr_matrix

        users, items = (np.asarray(column) for column in task["train"])
        matrix = csr_matrix((np.ones(len(users), dtype=np.float32), (users, items)))
        model = make(task)

        def lists(asked: list[int], length: int) -> list[list[int]]:
            ids, _ = model.recommend(np.asarray(asked), matrix[asked], N=length)
            found: list[list[int]] = ids.tolist()
            return found

        def fit() -> Lists:
            model.fit(matrix, show_progress=False)
            return lists

        return fit

    return prepare


def _lenskit(make: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Callable[[], Lists]]:
    """A scorer of LensKit's in its pipeline for lists, on a data set that is made beforehand."""

    def prepare(task: dict[str, Any]) -> Callable[[], Lists]:
        import pandas as pd
        from lenskit.batch import recommend
        from lenskit.data import from_interactions_df
        from lenskit.pipeline import topn_pipeline

        users, items = task["train"]
        data = from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items}))
        pipeline = topn_pipeline(make(task), n=task["length"])

        def lists(asked: list[int], length: int) -> list[list[int]]:
            lists = recommend(pipeline, asked, length, n_jobs=1)  # starting processes would take longer
            found = {key.user_id: one.ids().tolist() for key, one in lists}
            return [found[user] for user in asked]

        def fit() -> Lists:
            pipeline.train(data)
            return lists

        return fit

    return prepare


def _implicit_neighbours(task: dict[str, Any]) -> Any:
    from implicit.nearest_neighbours import CosineRecommender

    return CosineRecommender(K=100)


def _implicit_als(task: dict[str, Any]) -> Any:
    from implicit.als import AlternatingLeastSquares

    return AlternatingLeastSquares(factors=FACTORS, iterations=task["epochs"], random_state=1)


def _implicit_bpr(task: dict[str, Any]) -> Any:
    from implicit.bpr import BayesianPersonalizedRanking

    return BayesianPersonalizedRanking(factors=FACTORS, iterations=task["epochs"], random_state=1)


def _lenskit_ease(task: dict[str, Any]) -> Any:
    from lenskit.knn import EASEScorer

    return EASEScorer(regularization=250.0)


def _lenskit_neighbours(task: dict[str, Any]) -> Any:
    from lenskit.knn import ItemKNNScorer

    return ItemKNNScorer(k=100, feedback="implicit")


def _lenskit_als(task: dict[str, Any]) -> Any:
    from lenskit.als import ImplicitMFScorer

    return ImplicitMFScorer(embedding_size=FACTORS, epochs=task["epochs"])


MODELS = {
    "LensKit's EASEScorer": _lenskit(_lenskit_ease),
    "LensKit's ItemKNNScorer": _lenskit(_lenskit_neighbours),
    "LensKit's ImplicitMFScorer (ALS)": _lenskit(_lenskit_als),
    "implicit's CosineRecommender": _implicit(_implicit_neighbours),
    "implicit's AlternatingLeastSquares": _implicit(_implicit_als),
    "implicit's BayesianPersonalizedRanking": _implicit(_implicit_bpr),
}
"""By the name in the table."""


if __name__ == "__main__":
    main()
