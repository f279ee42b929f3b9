"""The house in numbers: files, rooms, arrows between rooms, and what is longer than it should be.

    python benchmarks/house.py [FOLDER]    of a checkout; this one by default

A room is a line of the order of packages: a package, or a file beside the packages. An arrow is an import
from one room in another. Lines are those of the file, docstrings and comments included.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

TOGETHER = {"plan", "study", "store", "view"}
"""What travels together; signatures with two, three and all four of them."""
LONG_FILE, LONG_FUNCTION = 350, 30


def modules(source: Path) -> dict[str, Path]:
    """Every module by its name, a package by the name of its folder."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = ("recsweep", *path.relative_to(source).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.Module, own: dict[str, Path]) -> Iterator[str]:
    """Our own modules that a file imports, those inside functions included."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in own else str(node.module) for name in full]
        yield from (name for name in names if name.startswith("recsweep."))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body
    first = body[1] if ast.get_docstring(function) and len(body) > 1 else body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def measure(source: Path) -> dict[str, object]:
    own = modules(source)
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in own.items()}
    rooms = {name.split(".")[1] for name in own if "." in name}
    arrows = {
        (name.split(".")[1], other.split(".")[1])
        for name, tree in trees.items()
        if "." in name
        for other in imports(tree, own)
        if other.split(".")[1] != name.split(".")[1]
    }
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in own.items()}
    longest = max(lengths, key=lambda name: lengths[name])
    every = [function for tree in trees.values() for function in functions(tree)]
    shared = [len(TOGETHER & {arg.arg for arg in [*f.args.args, *f.args.kwonlyargs]}) for f in every]
    return {
        "files": len(own),
        "lines": sum(lengths.values()),
        "rooms": len(rooms),
        "arrows between rooms": len(arrows),
        "pairs of rooms with arrows both ways": sum((b, a) in arrows and a < b for a, b in arrows),
        "longest file": f"{longest.removeprefix('recsweep.')} ({lengths[longest]})",
        f"files over {LONG_FILE} lines": sum(length > LONG_FILE for length in lengths.values()),
        f"functions over {LONG_FUNCTION} lines": sum(body_lines(f) > LONG_FUNCTION for f in every),
        "signatures with two of plan, study, store, view": sum(n == 2 for n in shared),
        "… with three": sum(n == 3 for n in shared),
        "… with four": sum(n == 4 for n in shared),
    }


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    for name, value in measure(folder / "src" / "recsweep").items():
        print(f"{name:50} {value}")


if __name__ == "__main__":
    main()
