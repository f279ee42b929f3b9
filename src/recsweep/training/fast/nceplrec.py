"""NCEPLRec: a regression on a few directions of weighted interactions (Wu et al. 2019, SIGIR).

The directions are those of scikit-learn's randomized SVD (Halko et al. 2011), from the same random numbers.
Its matrices of vectors only have to span the same space, so all is done on the smaller side of the
interactions: with S = MM' the space after a round is that of S Q, and the directions follow from Q'SQ and
(SQ)'(SQ).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recsweep.recbole_api.compat import recbole
from recsweep.training.fast.computed import KEPT_BYTES, Computed
from recsweep.training.fast.grams import Counts, Times, inverted, times

_MORE = 10
"""Random vectors beyond the rank, as scikit-learn takes them."""
_LEAST = 1e-7
"""A squared singular value below this part of the largest is nothing but rounding here."""
_FULL = 16
"""Inner products are worked out where they are at most so many times as many as interactions."""
_FEW, _MANY_ROUNDS, _ROUNDS = 0.1, 7, 4
"""Rounds of scikit-learn's `n_iter="auto"`: more where the rank is a small part of the smaller side."""


class NcePlRec(Computed):
    """NCEPLRec: items' popularity weighs the interactions; a user is its projection, and explains its items.

    What the regulariser has no part in is kept for the trials that share it.
    """

    models = ("NCEPLRec",)
    trainers = ("Trainer",)

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        model.dummy_param = torch.nn.Parameter(torch.zeros(1))
        model.shared = Counts.of(data)
        model.beta, model.rank = float(config["beta"]), int(config["rank"])
        model.reg_weight, model.seed = config["reg_weight"], int(config["seed"])
        model.user_embeddings = model.item_embeddings = None
        small = 8 * model.rank * (model.n_users + model.n_items) <= KEPT_BYTES
        model.other_parameter_name = ["user_embeddings", "item_embeddings"] if small else []
        return True

    @property
    def computed(self) -> bool:
        return self.model.item_embeddings is not None

    def work(self) -> None:
        m = self.model
        of_trial = (m.beta, m.rank, m.seed)
        users, products, toward = m.shared.kept((NcePlRec, *of_trial), lambda: self._projected(*of_trial))
        weights = inverted(products, m.reg_weight) @ toward
        m.user_embeddings = torch.from_numpy(users).to(m.device)
        m.item_embeddings = torch.from_numpy(weights).to(m.device)

    def _projected(self, beta: float, rank: int, seed: int) -> tuple[Any, Any, Any]:
        """Users U [n_users, rank], U'U and U'R, float64."""
        counts = self.model.shared
        directions = _directions(_weighted(counts.rows, beta), rank, seed, self.kernels)
        users = times(counts.rows, directions, self.kernels)
        return users, users.T @ users, times(counts.columns, users, self.kernels).T

    def scored(self, users: torch.Tensor) -> torch.Tensor:
        m = self.model
        found: torch.Tensor = m.user_embeddings[users.to(m.device)] @ m.item_embeddings
        return found


def _weighted(rows: Any, beta: float) -> Any:
    """The interactions, each with log(users / popularity^beta), or 0 where that is less: CSR, float64."""
    found = rows.astype(np.float64)
    popularity = np.asarray(rows.sum(axis=0)).ravel()[rows.indices]
    found.data = np.maximum(np.log(rows.shape[0] / np.power(popularity, beta)), 0).astype(np.float64)
    return found


def _directions(weighted: Any, rank: int, seed: int, kernels: Any | None) -> Any:
    """[n_items, rank]: right singular vectors times the roots of their singular values."""
    found = None
    if rank + _MORE <= min(weighted.shape):
        found = _by_products(weighted, rank, seed, kernels)
    if found is not None:
        return found
    svd = recbole("model.general_recommender.nceplrec").randomized_svd
    normalizer = {"power_iteration_normalizer": "QR", "random_state": seed}
    _, values, vectors = svd(weighted.tocoo(), n_components=rank, n_iter="auto", **normalizer)
    return np.ascontiguousarray(vectors.T * np.sqrt(values))


def _by_products(weighted: Any, rank: int, seed: int, kernels: Any | None) -> Any | None:
    """The same by inner products; None where these lose the last directions in rounding."""
    by_users = weighted.shape[0] < weighted.shape[1]
    side = weighted if by_users else weighted.T.tocsr()
    multiply, turned = _squared(side, kernels), Times(side.T.tocsr(), kernels)
    drawn = np.random.RandomState(seed).normal(size=(side.shape[0], rank + _MORE))
    basis = torch.from_numpy(drawn)
    for _ in range(_MANY_ROUNDS if rank < _FEW * min(side.shape) else _ROUNDS):
        basis = multiply(basis)
        factor, failed = torch.linalg.cholesky_ex(basis.T @ basis)
        if failed:
            return None
        basis = torch.linalg.solve_triangular(factor, basis.T, upper=False).T
    image = multiply(basis)
    factor, failed = torch.linalg.cholesky_ex(basis.T @ image)
    if failed:
        return None
    inner = torch.linalg.solve_triangular(factor, image.T, upper=False)
    values, vectors = torch.linalg.eigh(inner @ inner.T)
    values, vectors = values[_MORE:].flip(0), vectors[:, _MORE:].flip(1)
    if not values[-1] > _LEAST * values[0]:
        return None
    vectors = torch.linalg.solve_triangular(factor.T, vectors, upper=True)
    if by_users:  # M is the interactions turned, and M Q X are the items' vectors
        return (turned(basis @ vectors) * values**0.25).numpy()
    return ((image @ vectors) * values**-0.25).numpy()


def _squared(side: Any, kernels: Any | None) -> Any:
    """Multiplies a matrix by the inner products of the rows of a sparse one."""
    if side.shape[0] ** 2 <= _FULL * side.nnz:
        full = torch.from_numpy(times(side, np.ascontiguousarray(side.T.toarray()), kernels))
        return lambda dense: full @ dense
    there, back = Times(side, kernels), Times(side.T.tocsr(), kernels)
    return lambda dense: there(back(dense.contiguous()))
