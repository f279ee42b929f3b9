"""Parts of a sweep made again of what a store kept of them, by whatever version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

_Config = TypeVar("_Config", bound=BaseModel)


def remade(kind: type[_Config], data: Mapping[str, Any]) -> _Config:
    """A part of a sweep; what this version does not know of it is left out.

    Raises:
        ValueError: it is none.
    """
    return kind.model_validate({name: value for name, value in data.items() if name in kind.model_fields})
