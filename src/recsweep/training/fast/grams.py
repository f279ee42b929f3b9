"""The interactions that computed models are made of, worked out once and shared by all trials on the data.

A study's trials differ in a regulariser or in a number of neighbours; the matrix of interactions and its
inner products are the same for all of them. They are kept for the last data sets of this process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[Any]
_KEPT = 2
"""Data sets whose matrices are kept: as many as a worker keeps splits."""
_MADE, _MADE_BYTES = 8, 1 << 28
"""Of all that is made of a data set's matrices for some trials: how many are kept, and their size."""
_BLOCK = 128
_LAST: list[Counts] = []


class Counts:
    """The interactions of a training part: how often each user had each item.

    Args:
        data: RecBole's data set of the training part.
    """

    def __init__(self, data: Any) -> None:
        self._columns = _columns(data)
        self._made: dict[Hashable, tuple[Array, ...]] = {}
        self.rows: Any = data.inter_matrix(form="csr").astype(np.float32)
        """SciPy's CSR matrix [users, items], float32; must not be written into."""
        self.rows.sum_duplicates()

    @classmethod
    def of(cls, data: Any) -> Counts:
        """Those of a data set; kept ones where its columns are the very same."""
        columns = _columns(data)
        for found in _LAST:
            if all(mine is one for mine, one in zip(found._columns, columns, strict=True)):
                return found
        _LAST.append(cls(data))
        del _LAST[:-_KEPT]
        return _LAST[-1]

    def kept(self, key: Hashable, make: Callable[[], tuple[Array, ...]]) -> tuple[Array, ...]:
        """Arrays that follow from the interactions and a key; the last ones are kept, unless large.

        Args:
            key: which family's arrays they are, and all else that decides on them.
            make: makes them where they are not kept.
        """
        if (found := self._made.pop(key, None)) is None:
            found = make()
        self._made[key] = found
        while len(self._made) > _MADE or self._size() > _MADE_BYTES:
            del self._made[next(iter(self._made))]
        return found

    def _size(self) -> int:
        return sum(array.nbytes for made in self._made.values() for array in made)

    @cached_property
    def columns(self) -> Any:
        """The same by item: CSR [items, users]."""
        return self.rows.T.tocsr()

    @cached_property
    def pairs_by_item(self) -> tuple[Array, Array]:
        """Item and user of each entry of `columns`."""
        entries = self.columns.tocoo()
        return entries.row, entries.col

    @cached_property
    def items(self) -> Array:
        """Inner products of items, [items, items] float32: whole numbers, and so exact."""
        return dense(self.rows.T @ self.rows)

    @cached_property
    def users(self) -> Array:
        """Inner products of users, [users, users] float32."""
        return dense(self.rows @ self.rows.T)


def _columns(data: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return data.inter_feat[data.uid_field], data.inter_feat[data.iid_field]


def dense(matrix: Any) -> Array:
    """A matrix, sparse or not, as an array, row after row."""
    return np.ascontiguousarray(matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix))


def by_rows(matrix: Any) -> Any:
    """A matrix as a sparse one by rows."""
    if not isinstance(matrix, np.ndarray):
        return sp.csr_matrix(matrix)
    there = matrix != 0  # SciPy's own way goes by pairs of row and column, and takes five times as long
    ends = np.concatenate([[0], there.sum(axis=1).cumsum()])
    places = np.flatnonzero(there)
    return sp.csr_matrix((matrix.ravel()[places], places % matrix.shape[1], ends), shape=matrix.shape)


def stacked(parts: list[Any]) -> Any:
    """Sparse matrices, one below the other."""
    return sp.vstack(parts)


def times(sparse: Any, matrix: Array, kernels: Any | None) -> Array:
    """A sparse matrix times an array, each sum in the order of a row's entries, as SciPy takes it.

    Args:
        sparse: CSR [rows, inner].
        matrix: [inner, n], float32 or float64.
        kernels: the compiled operators, or None.

    Returns:
        [rows, n] in the type of the matrix.
    """
    found: Array = Times(sparse.astype(matrix.dtype), kernels)(torch.from_numpy(matrix)).numpy()
    return found


class Times:
    """A sparse matrix that is multiplied by many dense ones of its type, as `times` does it.

    Args:
        sparse: CSR [rows, inner], float32 or float64.
        kernels: the compiled operators, or None.
    """

    def __init__(self, sparse: Any, kernels: Any | None) -> None:
        self._sparse, self._kernels = sparse, kernels
        places = (one.astype(np.int64) for one in (sparse.indptr[1:], sparse.indices))
        self._entries = [torch.from_numpy(one) for one in (*places, sparse.data)]

    def __call__(self, matrix: torch.Tensor) -> torch.Tensor:
        """[rows, n] of a matrix [inner, n], row after row."""
        if self._kernels is None:
            return torch.from_numpy(np.asarray(self._sparse @ matrix.numpy()))
        found: torch.Tensor = self._kernels.rows_times(*self._entries, matrix)
        return found


class Rows:
    """Rows of a product of two sparse matrices, multiplied when they are asked for.

    Args:
        factors: gives the two, CSR and CSC, as they are then.
    """

    def __init__(self, factors: Callable[[], tuple[Any, Any]]) -> None:
        self._factors = factors

    def __getitem__(self, asked: tuple[Any, Any]) -> Any:
        """Some rows as a sparse matrix, or one number: the two that RecBole's ItemKNN asks for."""
        left, right = self._factors()
        rows, columns = asked
        if isinstance(columns, slice):
            return sp.csr_matrix(left)[rows] @ right[:, columns]
        return (left[[rows]] @ right[:, [columns]]).toarray()[0, 0]


def inverted(products: Array, weight: float | Array) -> Array:
    """(products + weight I)^-1 by Cholesky's factors, float64; by others where those do not exist.

    Args:
        products: [n, n], symmetric.
        weight: one for all, or [n], one for each.
    """
    matrix = products.astype(np.float64).T  # column after column, as it is symmetric
    matrix[np.diag_indices_from(matrix)] += weight
    factor, failed = lapack.dpotrf(matrix, lower=1)
    if not failed:
        factor, failed = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed:
        return np.linalg.inv(matrix)
    found: Array = factor.T
    _mirror(found)
    return found


def _mirror(matrix: Array) -> None:
    """Put what is above the diagonal below it, too; by blocks, which stay in a processor's cache."""
    for begin in range(0, len(matrix), _BLOCK):
        end = begin + _BLOCK
        own = matrix[begin:end, begin:end]
        own[:] = np.triu(own) + np.triu(own, 1).T
        matrix[end:, begin:end] = matrix[begin:end, end:].T
