"""NumPy's arrays and SciPy's matrices as tensors, which a checkpoint holds; read without code."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

_ARRAY, _SPARSE = "numpy array", "sparse matrix"
_PARTS = ("shape", "ends", "indices", "values")


def written(value: Any) -> Any:
    """An array of numbers or a sparse matrix as a mapping of tensors; all else as it is."""
    if sp.issparse(value):
        by_column = value.format == "csc"
        matrix = value if by_column else value.tocsr()
        parts = matrix.indptr, matrix.indices, matrix.data
        shape = [int(number) for number in matrix.shape]
        tensors = [torch.from_numpy(np.ascontiguousarray(part)) for part in parts]
        return {_SPARSE: dict(zip(_PARTS, (shape, *tensors), strict=True)) | {"by_column": by_column}}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {_ARRAY: torch.from_numpy(np.ascontiguousarray(value))}
    return value


def is_written(value: Any) -> bool:
    """True for what `written` has made of an array or a sparse matrix."""
    return isinstance(value, dict) and value.keys() in ({_ARRAY}, {_SPARSE})


def read(value: dict[str, Any]) -> Any:
    """The array, or the sparse matrix by rows or columns, that `written` was given."""
    if _ARRAY in value:
        return value[_ARRAY].numpy().copy()
    shape, *parts = (value[_SPARSE][name] for name in _PARTS)
    ends, indices, values = (part.numpy().copy() for part in parts)
    made = sp.csc_matrix if value[_SPARSE]["by_column"] else sp.csr_matrix
    return made((values, indices, ends), shape=tuple(shape))
