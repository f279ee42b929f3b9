"""The rules of the house, read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import recsweep
from helpers.workspace import run_python

SOURCE = Path(recsweep.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST = 350
"""Lines of a file."""
LONGEST_BODY = 30
"""Lines of a function, without its head and its docstring."""
LONGEST_NAME = 12
"""Words of a test's name, `test` not counted."""

# A file imports only from lines above its own; inside a package freely, as long as there is no cycle.
ORDER = [
    "common",
    "statistics",
    "sweeps",
    "study",
    "recbole_api",
    "datasets",
    "importing",
    "planning",
    "estimating",
    "training",
    "search",
    "checkpoints",
    "alarms",
    "running",
    "report",
    "document",
    "tracking",
    "looking",
    "api",
    "service",
    "client",
    "cli",
    "__main__",
]

# One importer for each foreign library.
IMPORTERS = {
    "recbole": {"recbole_api"},
    "hyperopt": {"search/engines/hyperopt_"},
    "optuna": {"study", "search/engines/optuna_", "report/parameter_charts"},
    "optuna_dashboard": {"report/dashboard"},
    "plotly": {"report/figures"},
    "matplotlib": {"report/pictures"},
    "sqlalchemy": {"study"},
    "alembic": {"study"},
    "cmaes": {"search/engines/cmaes_"},
    "scipy": {
        *("recbole_api", "statistics", "search/engines/sobol", "search/pruning_rules"),
        "training/fast/grams",
    },
    "tensorboard": {"tracking/trackers/tensorboard_"},
    "mlflow": {"tracking/trackers/mlflow_"},
    "wandb": {"tracking/trackers/wandb_", "tracking/trackers/wandb_files"},
    "pynvml": {"running/nvml"},
    "click": {"cli"},
    "rich": {"running/progress"},
    "yaml": {"common/files", "common/yaml_loader", "sweeps/documents", "recbole_api"},
    "pydantic": {"sweeps", "service"},
    "pandas": {"recbole_api", "api/frames"},
    "statsmodels": {"statistics"},
    "fastapi": {"service"},
    "starlette": {"service"},
    "uvicorn": {"service"},
    # One starts it; the engine has Ray Tune's searchers, which need no Ray that runs. The others are what Ray
    # Tune wants as classes of its own kinds: a run and its parts, a trial, a scheduler.
    "ray": {
        "running/ray_link",
        "search/engines/ray_",
        *(f"running/ray_{part}" for part in ("drive", "parts", "trial", "schedulers", "population")),
    },
    "apprise": {"api/notify_send"},
    "httpx": {"client"},
    "fsspec": {"checkpoints/bucket"},
    "jinja2": {"service/pages"},
    "pyarrow": {"common/parquet", "common/separated", "importing"},
}


def module_name(path: Path) -> str:
    """`recsweep.report.tables` of `report/tables.py`; a package's name for its `__init__.py`."""
    parts = ("recsweep", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree(path)))


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, those inside functions included."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: write imports in full"
            source = node.module or ""
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield name if name in MODULES else source


def line_of(module: str) -> str:
    """The line of ORDER that a module stands on: its file, or its package."""
    return module.split(".")[1] if "." in module else "recsweep"


@cache
def own_imports(path: Path) -> set[str]:
    return {name for name in imported(path) if name.split(".")[0] == "recsweep" and name != "recsweep"}


def at(path: Path, node: ast.AST | None = None) -> str:
    """A file, and the line of it that something stands on."""
    name = str(path.relative_to(SOURCE))
    return f"{name}:{node.lineno}" if node is not None else name


def test_every_file_has_its_place_in_the_order():
    assert {line_of(module) for module in MODULES} - {"recsweep"} <= set(ORDER)


def test_a_file_imports_only_from_lines_above_it():
    found = []
    for path in FILES:
        own = line_of(module_name(path))
        # `recsweep` itself names what Python code may use; that it imports nothing is tested below.
        above = ORDER[: ORDER.index(own)] if own != "recsweep" else ORDER
        wrong = sorted(name for name in own_imports(path) if line_of(name) not in (*above, own))
        found += [f"{at(path)} stands on the line `{own}`, but imports {name}" for name in wrong]
    assert found == []


def test_no_two_files_import_each_other():
    edges = {name: own_imports(path) & MODULES.keys() - {name} for name, path in MODULES.items()}
    done: set[str] = set()
    while free := {name for name in edges.keys() - done if edges[name] <= done}:
        done |= free
    assert not edges.keys() - done, f"a cycle among {sorted(edges.keys() - done)}"


def test_a_foreign_library_has_one_importer():
    found = []
    for path in FILES:
        name = path.relative_to(SOURCE).with_suffix("").as_posix()
        for library in IMPORTERS.keys() & {name.split(".")[0] for name in imported(path)}:
            if not {name, name.split("/")[0]} & IMPORTERS[library]:
                found.append(f"{at(path)} imports {library}")
    assert found == []


@cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Location and name of every call, and the call itself."""
    every = ((path, node) for path in FILES for node in nodes(path) if isinstance(node, ast.Call))
    return [(at(path, node), ast.unparse(node.func), node) for path, node in every]


def test_nothing_evaluates_strings_or_runs_a_shell():
    forbidden = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "builtins.eval"}
    found = [f"{location}: {name}" for location, name, _ in calls() if name in forbidden]
    found += [
        f"{location}: shell="
        for location, _, call in calls()
        if any(keyword.arg == "shell" for keyword in call.keywords)
    ]
    assert found == []


def test_nothing_prints_but_the_command_line():
    assert [location for location, name, _ in calls() if name == "print"] == []


def test_no_file_swallows_every_error_or_validates_by_assert():
    found = []
    for path in FILES:
        for node in nodes(path):
            if isinstance(node, ast.Assert):
                found.append(f"{at(path, node)}: assert")
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                found.append(f"{at(path, node)}: bare except")
    assert found == []


def test_every_file_says_what_it_is():
    said_nothing = [at(path) for path in FILES if tree(path).body and not ast.get_docstring(tree(path))]
    assert said_nothing == []


def test_a_file_is_read_in_one_sitting():
    long = []
    for path in FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LONGEST and "lines, as " not in (ast.get_docstring(tree(path)) or ""):
            long.append(f"{at(path)} has {lines} lines, more than {LONGEST}")
    assert long == [], (
        "move a concept to a file of its own, or say in its docstring why not: `These are many lines, as …`"
    )


def test_a_function_is_read_at_a_glance():
    long = []
    for path in FILES:
        for node in nodes(path):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            said = ast.get_docstring(node)
            body = node.body[1:] if said is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > LONGEST_BODY and "long, as " not in (said or ""):
                long.append(f"{at(path, node)}: {node.name} has {lines} lines")
    assert long == [], "split it, or say in its docstring why not: `It is long, as …`"


def test_the_parent_of_the_workers_holds_no_torch():
    modules = (
        *("cli.commands", "cli.doctor", "running.supervisor", "running.progress", "running.events", "study"),
        *("planning.plan", "sweeps.config", "report.results", "report.tables"),
    )
    imports = "".join(f"import recsweep.{name}\n" for name in modules)
    code = f"import sys\n{imports}print([m for m in ('torch', 'recbole') if m in sys.modules])"
    assert run_python(code) == "[]"


def test_recbole_is_imported_when_it_is_used_and_bridged_first():
    """Only `compat` imports it, after mending it, and imports what builds on its classes."""
    own_metrics = "recsweep.recbole_api.own_metrics"
    direct = [
        path
        for path in FILES
        if any(name == own_metrics or name.split(".")[0] == "recbole" for name in imported(path))
    ]
    assert {at(path) for path in direct} == {"recbole_api/compat.py", "recbole_api/own_metrics.py"}
    names = [name for name in MODULES if name not in (own_metrics, "recsweep.__main__")]
    code = (
        f"import importlib, logging, sys, numpy\nfor name in {names}:\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as missing:\n"
        "        assert missing.name in ('ray', 'mlflow', 'wandb'), missing\n"
        "print('recbole' in sys.modules, 'float' in vars(numpy), logging.getLogger().filters)"
    )
    assert run_python(code) == "False False []"


def test_importing_the_package_imports_nothing_foreign():
    code = "import sys\nbefore = set(sys.modules)\nimport recsweep\nprint(sorted(set(sys.modules) - before))"
    assert run_python(code) == "['recsweep']"


def test_the_tests_stand_as_the_source_does():
    rooms = {path.name for path in TESTS.iterdir() if any(path.glob("test_*.py"))} - {"end_to_end"}
    assert rooms <= set(ORDER), f"a folder of tests for no package: {sorted(rooms - set(ORDER))}"
    assert {path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))} - rooms == set()


def test_tests_share_what_they_share_in_helpers():
    for path in TESTS.rglob("test_*.py"):
        found = {name for name in imported(path) if name.startswith("test_")}
        assert not found, f"{path.relative_to(TESTS)} imports {sorted(found)}; move it to tests/helpers"


def test_a_docstring_says_what_is_returned():
    first = ('"""What ', '"""Whether ')
    found = [
        f"{path.relative_to(SOURCE)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(word in line for word in first)
    ]
    assert found == [], "name the thing, or say `True where`"


def test_what_the_pipeline_imports_is_there():
    """Rules and handlers import when they run; nothing else reads the Snakefile as Python."""
    text = (TESTS.parent / "Snakefile").read_text(encoding="utf-8")
    found = re.findall(r"^ *from (recsweep[\w.]*) import (?:\(([^)]*)\)|(.+))$", text, flags=re.MULTILINE)
    wanted = [(module, name.strip()) for module, *names in found for name in "".join(names).split(",")]
    assert len(wanted) > 8
    for module, name in wanted:
        assert not name or hasattr(import_module(module), name), f"Snakefile: {module} has no {name}"


def test_no_two_test_files_have_one_name():
    """Outside packages pytest imports them by it, and refuses the second one."""
    files = sorted(path.name for path in TESTS.rglob("test_*.py"))
    assert sorted({*files}) == files


def test_names_of_tests_are_short():
    long = [
        f"{path.relative_to(TESTS)}:{node.lineno}: {node.name}"
        for path in TESTS.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and len(node.name.split("_")) - 1 > LONGEST_NAME
    ]
    assert long == [], f"say it in at most {LONGEST_NAME} words; a docstring has room for the rest"


def test_names_say_what_things_are():
    vague = {"FAMILIES", "known", "place", "_known", "_place"}
    found = []
    for path in (*FILES, *TESTS.rglob("*.py")):
        for node in nodes(path):
            stored = isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)
            name = getattr(node, "id", getattr(node, "attr", "")) if stored else ""
            if isinstance(node, ast.arg):
                name = node.arg
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                name = node.name
            if name in vague and (path.name, name) != ("transfer.py", "known"):  # what `merge` prints
                found.append(f"{path.name}:{node.lineno}: {name}")
    assert found == [], "a folder, a location, names, ids, a record: say which"
