"""The code of a model of one's own as text: its file, and what that imports of its own package or folder.

Nothing of it is imported here, so that a sweep is checked without running anybody's code.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from recsweep.sweeps.own_names import split


@cache
def file_of(model: str) -> Path | None:
    """The file that a model's name leads to; None where there is none."""
    where, _ = split(model)
    if where.endswith(".py"):
        return Path(where) if Path(where).is_file() else None
    return next((path for path in _of_module(_base(model), where) if path.is_file()), None)


@cache
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
            pending += [one for one in _imported(path, _base(model)) if one.is_file()]
    return tuple(found)


@cache
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
    return path if not where.endswith(".py") and path.is_file() else None


@cache
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


@cache
def tree(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_bytes(), str(path))


@cache
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
