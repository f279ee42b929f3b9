"""The sequences of samples as windows of one array: rows that are filled only where somebody looks at them.

RecBole stores the sequence of each sample, padded to the longest: 50 numbers for each interaction and column,
where a number and a length will do. A `Windows` is that table to whoever asks, RecBole's own code included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch
from torch.utils._pytree import tree_map

_ROWS_AT_ONCE = 1 << 14
"""Rows whose padding is found at once, so that little memory is needed besides."""
_SHARED = "the sequences of a data set are shared, and cannot be changed; clone them first"
_aten = torch.ops.aten
_DISTRIBUTED = "torch.distributed.tensor"


class Windows(torch.Tensor):
    """[rows, width]: each row a window of one array, filled up with zeros.

    Rows, a column and a place in each row are looked up alone; for anything else all rows are filled. It
    cannot be changed in place.

    Args:
        array: [all + width] what the windows look at, and zeros behind it; shared by all made of these.
        begins: [rows] whole numbers, where each begins.
        lengths: [rows] int64, how long each is, `width` at most.
        width: of the table.
        ones: more dimensions behind these, of size 1.
    """

    array: torch.Tensor
    begins: torch.Tensor
    lengths: torch.Tensor
    width: int
    _ones: int
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(
        cls: type[Windows],
        array: torch.Tensor,
        begins: torch.Tensor,
        lengths: torch.Tensor,
        width: int,
        ones: int = 0,
    ) -> Windows:
        made: Windows = torch.Tensor._make_wrapper_subclass(
            cls, (len(begins), width, *[1] * ones), dtype=array.dtype, device=array.device
        )
        made.array, made.begins, made.lengths, made.width, made._ones = array, begins, lengths, width, ones
        return made

    def __init__(self, *parts: Any, **named: Any) -> None:
        super().__init__()

    def rows(self, chosen: Any) -> Windows:
        """Some rows as windows still, chosen as those of any tensor are."""
        return Windows(self.array, self.begins[chosen], self.lengths[chosen], self.width, self._ones)

    def dense(self) -> torch.Tensor:
        """All rows, filled."""
        if not len(self.begins):
            return self.array.new_zeros(self.shape)
        every = self.array.unfold(0, self.width, 1)
        steps = torch.arange(self.width, device=self.device)
        filled = every.index_select(0, self.begins)
        for begin in range(0, len(filled), _ROWS_AT_ONCE):
            some = slice(begin, begin + _ROWS_AT_ONCE)
            filled[some].masked_fill_(steps >= self.lengths[some, None], 0)
        return filled.view(self.shape)

    def placed(self, device: torch.device) -> Windows:
        """The same windows of an array on a device."""
        parts = (self.array, self.begins, self.lengths)
        return Windows(*(part.to(device) for part in parts), self.width, self._ones)

    def numpy(self, *, force: bool = False) -> Any:
        return self.dense().numpy(force=force)

    def tolist(self) -> Any:
        return self.dense().tolist()

    def __setitem__(self, index: Any, value: Any) -> None:
        raise RuntimeError(_SHARED)

    def __deepcopy__(self, memo: Any) -> torch.Tensor:
        return self.dense()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Windows, (self.array, self.begins, self.lengths, self.width, self._ones)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Windows({len(self.begins)} rows of {self.width}, {self.dtype}, {self.device})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = _ALONE[func](*args, **(kwargs or {})) if func in _ALONE else NotImplemented
        if found is not NotImplemented:
            return found
        if func._schema.is_mutable:
            raise RuntimeError(_SHARED)
        return func(*tree_map(_filled, args), **tree_map(_filled, kwargs or {}))

    def at(self, places: torch.Tensor) -> torch.Tensor:
        """The numbers at places [rows, places] or [places] of the rows; 0 behind their ends."""
        found = self.array[self.begins[:, None] + places]
        return found.masked_fill_(places >= self.lengths[:, None], 0)


def spare_distributed() -> None:
    """Have torch not load its distributed tensors, 500 modules that take a second, at the first of these.

    It asks that package for its class, once a process, as it first meets tensors of a class not its own. Here
    it is given one of which there are none. For processes that are recsweep's own: in a notebook somebody may
    have distributed tensors, which torch would no longer know.
    """
    if _DISTRIBUTED in sys.modules:
        return
    stand_in = ModuleType(_DISTRIBUTED)
    stand_in.DTensor = type("DTensor", (), {})  # type: ignore[attr-defined]
    sys.modules[_DISTRIBUTED] = stand_in
    try:
        Windows(torch.zeros(2), torch.tensor([0]), torch.tensor([1]), 1).unsqueeze(-1)
    finally:
        del sys.modules[_DISTRIBUTED]


def rows_of(columns: Mapping[str, torch.Tensor], chosen: Any) -> dict[str, torch.Tensor]:
    """Rows of the columns of a table; windows stay such, and what they share is chosen once."""
    found: dict[int, torch.Tensor] = {}

    def of(column: torch.Tensor) -> torch.Tensor:
        if isinstance(column, Windows):
            return Windows(column.array, of(column.begins), of(column.lengths), column.width)
        if id(column) not in found:
            found[id(column)] = column[chosen]
        return found[id(column)]

    return {name: of(column) for name, column in columns.items()}


def stored_parts(column: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The arrays that a column is made of."""
    return (column.array, column.begins, column.lengths) if isinstance(column, Windows) else (column,)


def _filled(value: Any) -> Any:
    return value.dense() if isinstance(value, Windows) else value


def _index(table: Windows, indices: list[torch.Tensor | None]) -> Any:
    (index, *others) = indices
    if others or index is None or index.dim() != 1:
        return NotImplemented
    return table.rows(index).dense()


def _select(table: Windows, dim: int, index: int) -> Any:
    if dim % table.dim() == 0:
        return table.rows(slice(index, index + 1 or None)).dense()[0]
    if dim % table.dim() != 1:
        return NotImplemented
    column = torch.tensor([index % table.width], device=table.device)
    return table.at(column).view(len(table.begins), *[1] * table._ones)


def _slice(table: Windows, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return table.rows(slice(start, end, step)).dense() if dim % table.dim() == 0 else NotImplemented


def _gather(table: Windows, dim: int, index: torch.Tensor, sparse_grad: bool = False) -> Any:
    if dim % table.dim() != 1 or table._ones or isinstance(index, Windows):
        return NotImplemented
    return table.rows(slice(len(index))).at(index)


def _unsqueeze(table: Windows, dim: int) -> Any:
    if dim % (table.dim() + 1) < 2:
        return NotImplemented
    return Windows(table.array, table.begins, table.lengths, table.width, table._ones + 1)


def _cat(tables: list[Any], dim: int = 0) -> Any:
    first = tables[0]
    if dim != 0 or not all(type(one) is Windows for one in tables):
        return NotImplemented
    if any(one.array is not first.array or one.shape[1:] != first.shape[1:] for one in tables):
        return NotImplemented
    begins, lengths = (torch.cat([getattr(one, name) for one in tables]) for name in ("begins", "lengths"))
    return Windows(first.array, begins, lengths, first.width, first._ones)


def _same(table: Windows) -> Windows:
    return table.rows(slice(None))


_ALONE: dict[Any, Callable[..., Any]] = {
    _aten.index.Tensor: _index,
    _aten.select.int: _select,
    _aten.slice.Tensor: _slice,
    _aten.gather.default: _gather,
    _aten.unsqueeze.default: _unsqueeze,
    _aten.cat.default: _cat,
    _aten.detach.default: _same,
    _aten.alias.default: _same,
}
"""Operations that need not fill all rows."""
