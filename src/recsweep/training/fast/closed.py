"""EASE, SLIMElastic and ItemKNN: items explained by items (or users by users), computed and not learnt.

The formulas are RecBole's, and those of the papers: Steck 2019 (EASE), Ning and Karypis 2011 (SLIM), Aiolli
2013 (ItemKNN's cosine with shrinkage).
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api.compat import recbole
from recsweep.training.fast.computed import KEPT_BYTES, Computed
from recsweep.training.fast.grams import Array, Counts, Rows, by_rows, inverted, stacked, times

MOST_SOLVED = 16_384
"""Items, or users, whose inner products are kept in one matrix: 1 GiB."""
_AT_ONCE = 256
"""Items whose neighbours are sought at once."""
_ROUNDS, _TOLERANCE = 100, 1e-4
"""Of each regression of SLIM, as RecBole sets them."""
_SEEDS = np.iinfo(np.int32).max


class ByItems(Computed):
    """Scores are a user's row of interactions times a similarity of items [n_items, n_items]."""

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        model.dummy_param = torch.nn.Parameter(torch.zeros(1))
        model.shared = Counts.of(data)
        model.interaction_matrix = model.shared.rows
        model.item_similarity = None
        model.other_parameter_name = ["item_similarity"] if model.n_items**2 * 4 <= KEPT_BYTES else []
        return True

    @property
    def computed(self) -> bool:
        return self.model.item_similarity is not None

    def scored(self, users: torch.Tensor) -> torch.Tensor:
        rows = by_rows(self.model.interaction_matrix[users.numpy()])
        similarity = self.dense_of(self.model.item_similarity)
        return torch.from_numpy(times(rows, similarity, self.kernels))


class Ease(ByItems):
    """EASE: B = I - P / diag(P), where P = (X'X + λI)^-1.

    With fewer users than items, P is had from the users' side: P = (I - X'KX) / λ, where K = (XX' + λI)^-1.
    With W = KX / (1 - diag(X'KX)), B is X'W without its diagonal. Its scores XB are X - λW, as XX'K = I - λK.
    So B itself is made for RecBole's own code alone, and kept in no checkpoint. All is computed in float64;
    RecBole inverts in float32, which loses digits where λ is small beside X'X.
    """

    models = ("EASE",)

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        made = super().blank(model, config, data)
        model.reg_weight = float(config["reg_weight"])
        model.user_weights = None
        if _has_few_users(model):
            model.other_parameter_name = []
        return made

    @property
    def computed(self) -> bool:
        return super().computed or self.model.user_weights is not None

    def work(self) -> None:
        m = self.model
        if _has_few_users(m):
            m.user_weights = self._from_users(m.shared, m.reg_weight)
            return
        inverse = inverted(m.shared.items, m.reg_weight)
        similarity = (inverse / -np.diag(inverse)).astype(np.float32)
        np.fill_diagonal(similarity, 0.0)
        m.item_similarity = similarity

    def complete(self) -> None:
        m = self.model
        if m.item_similarity is None:
            similarity = times(m.shared.columns, m.user_weights, self.kernels)
            np.fill_diagonal(similarity, 0.0)
            m.item_similarity = similarity

    def scored(self, users: torch.Tensor) -> torch.Tensor:
        m, asked = self.model, users.numpy()
        weights = getattr(m, "user_weights", None)  # RecBole's own constructor makes none
        if weights is None:
            return super().scored(users)
        scores = weights[asked] * np.float32(-m.reg_weight)
        rows = m.interaction_matrix[asked].tocoo()
        scores[rows.row, rows.col] += rows.data
        return torch.from_numpy(scores)

    def _from_users(self, counts: Counts, weight: float) -> Array:
        """W [n_users, n_items], float32."""
        by_item = counts.columns
        solved = times(by_item, inverted(counts.users, weight), self.kernels)  # (KX)' [n_items, n_users]
        owners, users = counts.pairs_by_item
        own = np.bincount(owners, by_item.data * solved[owners, users], minlength=len(solved))
        # λ of P and of its diagonal cancel.
        scaled = torch.from_numpy(solved) / torch.from_numpy(1.0 - own)[:, None]
        found: Array = scaled.float().T.contiguous().numpy()
        return found


def _has_few_users(model: Any) -> bool:
    """True where EASE is computed from the users' side."""
    return bool(model.reg_weight > 0 and model.n_users < model.n_items)


class SlimElastic(ByItems):
    """SLIMElastic: for each item an elastic net on all others, by coordinate descent on their inner products.

    Order of coordinates, screening and stop are those of scikit-learn's solver, whose seeds RecBole draws of
    NumPy's generator; sums are taken in float64, where that solver adds residuals in float32.
    """

    models = ("SLIMElastic",)

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        if cls.refuses(model) is not None:
            return False
        for name in ("hide_item", "alpha", "l1_ratio", "positive_only"):
            setattr(model, name, config[name])
        # RecBole's constructor draws a seed for each item, whether or not the model is restored afterwards.
        model.drawing = np.random.RandomState()
        model.drawing.set_state(np.random.get_state())
        np.random.randint(0, _SEEDS, model.n_items)
        return super().blank(model, config, data)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return f"more than {MOST_SOLVED:,} items" if model.n_items > MOST_SOLVED else None

    def work(self) -> None:
        m = self.model
        strengths = m.alpha * m.l1_ratio * m.n_users, m.alpha * (1.0 - m.l1_ratio) * m.n_users
        if self.kernels is None:
            m.item_similarity = _by_scikit(m)
            return
        seeds = m.drawing.randint(0, _SEEDS, m.n_items)
        items, seeds = torch.from_numpy(m.shared.items), torch.from_numpy(seeds)
        chosen = (bool(m.positive_only), bool(m.hide_item), _ROUNDS, _TOLERANCE)
        weights = self.kernels.slim(items, seeds, *strengths, *chosen).numpy()
        m.item_similarity = by_rows(weights).T
        self.keep_dense(m.item_similarity, np.ascontiguousarray(weights.T))


def _by_scikit(model: Any) -> Any:
    """SLIM's regressions by scikit-learn's own solver; a column is hidden by zeros in its place."""
    net = recbole("model.general_recommender.slimelastic").ElasticNet(
        alpha=model.alpha,
        l1_ratio=model.l1_ratio,
        positive=model.positive_only,
        fit_intercept=False,
        copy_X=False,
        selection="random",
        random_state=model.drawing,
        max_iter=_ROUNDS,
        tol=_TOLERANCE,
    )
    columns, found = model.shared.rows.tocsc(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a regression does not converge, as RecBole does
        for item in range(model.n_items):
            part = slice(columns.indptr[item], columns.indptr[item + 1])
            own = columns.data[part].copy()
            target = columns[:, [item]].toarray().ravel()
            columns.data[part] *= not model.hide_item
            found.append(net.fit(columns, target).sparse_coef_)
            columns.data[part] = own
    return stacked(found).T


class ItemKnn(Computed):
    """ItemKNN, and UserKNN: each item's, or user's, nearest ones by cosine with shrinkage.

    Neighbours that are equally near are chosen as NumPy's partition leaves them, as in RecBole.
    """

    models = ("ItemKNN",)

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        if cls.refuses(model) is not None:
            return False
        model.k, model.method = config["k"], config["knn_method"]
        model.shrink = config["shrink"] or 0.0
        model.shared = Counts.of(data)
        model.interaction_matrix = model.shared.rows
        model.w = None
        model.pred_mat = Rows(partial(_factors, model))
        model.fake_loss = torch.nn.Parameter(torch.zeros(1))
        model.other_parameter_name = ["w"]
        return bool(model.method in ("item", "user"))

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        many = max(model.n_items, model.n_users) > MOST_SOLVED
        return f"more than {MOST_SOLVED:,} users or items" if many else None

    @property
    def computed(self) -> bool:
        return self.model.w is not None

    def work(self) -> None:
        m = self.model
        products = m.shared.users if m.method == "user" else m.shared.items
        found = _nearest(products, int(m.k), m.shrink)
        nearest = by_rows(found)
        m.w = nearest.tocsc() if m.method == "user" else nearest.T
        if m.method == "item":
            self.keep_dense(m.w, np.ascontiguousarray(found.T))

    def scored(self, users: torch.Tensor) -> torch.Tensor:
        m, rows = self.model, users.numpy()
        interactions = m.interaction_matrix
        if m.method == "item":
            return torch.from_numpy(times(interactions[rows], self.dense_of(m.w), self.kernels))
        by_item = self.by_item(interactions)
        near = np.ascontiguousarray(m.w.tocsr()[rows].toarray().T)
        return torch.from_numpy(times(by_item, near, self.kernels).T.copy())


def _factors(model: Any) -> tuple[Any, Any]:
    """The two matrices whose product RecBole keeps as the scores of all users."""
    return (
        (model.w, model.interaction_matrix) if model.method == "user" else (model.interaction_matrix, model.w)
    )


def _nearest(products: Array, count: int, shrink: float) -> Array:
    """[n, n] float32: in row i what is nearest to i, by RecBole's formula in its order of operations."""
    norms = np.sqrt(np.diag(products))
    found = np.empty_like(products)
    count = min(count, len(products))
    for begin in range(0, len(products), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        near = products[part].copy()
        near[np.arange(len(near)), np.arange(begin, begin + len(near))] = 0.0
        near *= 1 / (norms[part, None] * norms + shrink + 1e-6)
        found[part] = near
        many = np.flatnonzero((near != 0).sum(axis=1) > count)  # the others have no more neighbours than that
        top = (-near[many]).argpartition(count - 1, axis=1)[:, :count]
        rows = begin + many[:, None]
        found[rows[:, 0]] = 0.0
        found[rows, top] = near[many[:, None], top]
    return found
