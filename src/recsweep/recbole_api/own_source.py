"""The code of a model of one's own as text: its file, and what that imports of its own package or folder.

Nothing of it is imported here, so that a sweep is checked without running anybody's code.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import Any, TypeVar

from recsweep.sweeps.own_names import split

_ResultT = TypeVar("_ResultT")
_KEPT: list[_lru_cache_wrapper[Any]] = []
_SEEN: dict[Path, tuple[int, int] | None] = {}
"""Files that answers came of, each as it was then; None: it was not there."""


def until_changed(function: Callable[..., _ResultT]) -> _lru_cache_wrapper[_ResultT]:
    """Keep a function's answers about models, until `look_again` finds that code of one's own was changed."""
    kept = cache(function)
    _KEPT.append(kept)
    return kept


def look_again() -> None:
    """Forget all that was read, where a file of a model of one's own is not what it was.

    Whoever edits a model beside a notebook or a server that runs is to get what stands there now.
    """
    if any(_stamp(path) != stamp for path, stamp in _SEEN.items()):
        _SEEN.clear()
        for kept in _KEPT:
            kept.cache_clear()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _is_there(path: Path) -> bool:
    """True where there is a file, which is remembered as it is now."""
    _SEEN.setdefault(path, _stamp(path))
    return path.is_file()


@until_changed
def file_of(model: str) -> Path | None:
    """The file that a model's name leads to; None where there is none."""
    where, _ = split(model)
    if where.endswith(".py"):
        return Path(where) if _is_there(Path(where)) else None
    return next((path for path in _of_module(_base(model), where) if _is_there(path)), None)


@until_changed
def files(model: str) -> tuple[Path, ...]:
    """The file of a model, and all files of its package or folder that it imports, one by the other.

    Raises:
        SyntaxError: one is no Python.
    """
    first = file_of(model)
    pending, found = [first] if first is not None else [], list[Path]()
    while pending:
        path = pending.pop()
        if path not in found:
            found.append(path)
            pending += [one for one in _imported(path, _base(model)) if _is_there(one)]
    return tuple(found)


@until_changed
def code_hash(model: str) -> str:
    """SHA-256 of a model's code: of all its files, and of their names below its folder or package."""
    digest = hashlib.sha256()
    base, shipped = _base(model), properties(model)
    for path in sorted([*files(model), *([shipped] if shipped else [])]):
        name = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
        digest.update(f"{name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def properties(model: str) -> Path | None:
    """The file of settings that a package ships for its model, where RecBole's family has them."""
    where, name = split(model)
    path = _base(model) / where.split(".")[0] / "properties" / "model" / f"{name}.yaml"
    return path if not where.endswith(".py") and _is_there(path) else None


@until_changed
def aliases(model: str) -> dict[str, str]:
    """Classes that a model's code imports under another name, and the names that they have at home."""
    imports = (node for path in files(model) for node in tree(path).body if isinstance(node, ast.ImportFrom))
    return {alias.asname: alias.name for node in imports for alias in node.names if alias.asname}


def foreign(model: str) -> Iterator[tuple[Path, int, str]]:
    """Packages that a model's files import as they are loaded: file, line, and the package's name."""
    for path in files(model):
        for node in tree(path).body:
            if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in names or [str(getattr(node, "module", ""))]:
                    if not any(one.is_file() for one in _of_module(_base(model), name.split(".")[0])):
                        yield path, node.lineno, name.split(".")[0]


def relative(model: str) -> Iterator[tuple[Path, int, str]]:
    """Relative imports of a model that is a file, and of what lies beside it: Python knows no package there.

    Each as file, line, and the module as it has to be written.
    """
    where, _ = split(model)
    for path in files(model) if where.endswith(".py") else ():
        for node in tree(path).body:
            if isinstance(node, ast.ImportFrom) and node.level and path.parent == _base(model):
                yield path, node.lineno, node.module or node.names[0].name


def beside(model: str) -> list[str]:
    """Names of the modules that a model which is a file imports from its folder."""
    base, others = _base(model), set(files(model)) - {file_of(model)}
    names = [path.relative_to(base).with_suffix("").parts for path in others if path.is_relative_to(base)]
    return sorted({name for parts in names for name in (parts[0], ".".join(parts))})


@until_changed
def tree(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_bytes(), str(path))


@until_changed
def _base(model: str) -> Path:
    """The folder that the model's own modules are sought in."""
    where, _ = split(model)
    if where.endswith(".py"):
        return Path(where).parent
    try:
        spec = importlib.util.find_spec(where.split(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return Path("/nonexistent")
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return Path(spec.origin or "/nonexistent/module").parent


def _of_module(base: Path, module: str) -> tuple[Path, Path]:
    path = base.joinpath(*module.split("."))
    return path.with_name(f"{path.name}.py"), path / "__init__.py"


def _imported(path: Path, base: Path) -> Iterator[Path]:
    """Files that a file may import of its own folder or package; not all of them need be there."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _of_module(base, alias.name)
        elif isinstance(node, ast.ImportFrom):
            start = path.parents[node.level - 1] if node.level else base
            inside = f"{node.module}." if node.module else ""
            if node.module:
                yield from _of_module(start, node.module)
            for alias in node.names:
                if alias.name != "*":
                    yield from _of_module(start, f"{inside}{alias.name}")
