"""ADMMSLIM: sparse weights of items by alternating steps (Steck et al. 2020, "ADMM SLIM", WSDM).

RecBole keeps two matrices between its rounds, weights C and multipliers Γ. Both follow from A = B + Γ / ρ,
which is the one that is kept here: C is A beyond a threshold, Γ / ρ is A - C.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from recsweep.training.fast.closed import MOST_SOLVED, ByItems
from recsweep.training.fast.grams import Array, Times, inverted, times

_COLUMNS = 128
"""Items whose weights are sought at once: what is known of them stays in a processor's cache."""
_NOISE = 1e-5
"""The largest number that RecBole adds to a score."""
_SETTINGS = ("lambda1", "lambda2", "alpha", "rho", "k", "positive_only", "center_columns")


class AdmmSlim(ByItems):
    """ADMMSLIM. A column of weights depends on no other, so all rounds of some are done before the next ones.

    RecBole adds small random numbers to the scores, users after users in the order of a validation: torch
    draws the same ones in a row, whatever the batches.
    """

    models = ("ADMMSLIM",)
    draws_scores = True

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        if cls.refuses(model) is not None:
            return False
        for name in _SETTINGS:
            setattr(model, name, config[name])
        super().blank(model, config, data)
        model.item_means = model.shared.rows.mean(axis=0).getA1()
        penalties = _penalties(model)
        return bool(
            model.rho > 0 and model.lambda1 >= 0 and np.isfinite(penalties).all() and min(penalties) > 0
        )

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return f"more than {MOST_SOLVED:,} items" if model.n_items > MOST_SOLVED else None

    def work(self) -> None:
        m = self.model
        penalties = _penalties(m)
        made = _InverseByUsers if m.n_users < m.n_items else _InverseByItems
        inverse = made(m, penalties, self.kernels)
        parts = torch.split(torch.arange(m.n_items), _COLUMNS)
        found = [self._weights(inverse, part, torch.from_numpy(penalties[part]).float()) for part in parts]
        m.item_similarity = torch.cat(found, dim=1).numpy()

    def _weights(
        self, inverse: _InverseByUsers | _InverseByItems, part: torch.Tensor, penalties: torch.Tensor
    ) -> torch.Tensor:
        """Columns of C, [n_items, some]: B = I - P (D + diag γ) + P V, where V = ρC - Γ = 2ρ (C - A/2)."""
        m, own = self.model, (part, torch.arange(len(part)))
        columns = inverse.columns(part)
        diagonal = columns[own]
        kept = torch.zeros_like(columns)
        for _ in range(int(m.k)):
            weights = self._beyond(kept)
            moved = inverse.times(torch.sub(weights, kept, alpha=0.5))
            gamma = (1.0 - penalties * diagonal + moved[own]) / (diagonal + 1e-7)
            moved.addcmul_(columns, penalties + gamma, value=-1.0)
            moved[own] += 1.0
            kept.sub_(weights).add_(moved)
        return self._beyond(kept)

    def _beyond(self, kept: torch.Tensor) -> torch.Tensor:
        """C of A: what of it lies beyond the threshold."""
        threshold = self.model.lambda1 / self.model.rho
        if self.model.positive_only:
            return torch.sub(kept, threshold).relu_()
        return functional.softshrink(kept, threshold)

    def scored(self, users: torch.Tensor) -> torch.Tensor:
        m = self.model
        found = super().scored(users)
        if m.center_columns:
            found += torch.from_numpy(m.item_means - m.item_means @ self.dense_of(m.item_similarity))
        return found + _NOISE * torch.rand(found.numel()).view_as(found)


def _penalties(model: Any) -> Array:
    """[n_items] float64: the diagonal D that is added to the inner products."""
    with np.errstate(divide="ignore", over="ignore"):
        found: Array = (
            model.lambda2 * np.power(model.item_means, float(model.alpha)).astype(np.float64) + model.rho
        )
    return found


class _InverseByItems:
    """2ρ times P = (X'X + D)^-1, as a matrix; X is centred if the model wants it."""

    def __init__(self, model: Any, penalties: Array, kernels: Any | None) -> None:
        products = model.shared.items.astype(np.float64)
        if model.center_columns:
            means = model.item_means.astype(np.float64)
            products -= model.n_users * np.outer(means, means)
        self._inverse = torch.from_numpy(inverted(products, penalties).astype(np.float32))
        self._twice = 2.0 * model.rho

    def columns(self, part: torch.Tensor) -> torch.Tensor:
        """Some columns of P itself."""
        return self._inverse[:, part]

    def times(self, dense: torch.Tensor) -> torch.Tensor:
        """2ρ P times a matrix."""
        return (self._inverse @ dense).mul_(self._twice)


class _InverseByUsers:
    """The same from the users' side: P = D^-1 - S'KS, where S = X D^-1 and K = (XD^-1X' + I)^-1.

    S is sparse and K small, where there are fewer users than items.
    """

    def __init__(self, model: Any, penalties: Array, kernels: Any | None) -> None:
        shares, rows = 1.0 / penalties, model.shared.rows.astype(np.float64)
        scaled = rows.multiply(shares[None]).tocsr()
        products = times(scaled, np.ascontiguousarray(rows.T.toarray()), kernels)
        self._means = None
        if model.center_columns:
            means = model.item_means.astype(np.float64)
            off = scaled @ means
            products += (means**2 * shares).sum() - off[:, None] - off[None]
            self._means = torch.from_numpy(means * shares).float()
        self._twice = 2.0 * model.rho
        self._inner = torch.from_numpy((self._twice * inverted(products, 1.0)).astype(np.float32))
        self._rows = Times(scaled.astype(np.float32), kernels)
        self._back = Times((-scaled).T.tocsr().astype(np.float32), kernels)
        self._shares = torch.from_numpy(self._twice * shares).float()[:, None]

    def columns(self, part: torch.Tensor) -> torch.Tensor:
        """Some columns of P itself."""
        units = torch.zeros(len(self._shares), len(part))
        units[part, torch.arange(len(part))] = 1.0 / self._twice
        return self.times(units)

    def times(self, dense: torch.Tensor) -> torch.Tensor:
        """2ρ P times a matrix."""
        found = self._rows(dense)
        if self._means is not None:
            found -= self._means @ dense
        found = self._inner @ found
        back = self._back(found)
        if self._means is not None:
            back.addr_(self._means, found.sum(0))
        return back.addcmul_(dense, self._shares)
