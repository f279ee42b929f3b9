"""RecBole's source as text: its models and what each is built from, found without importing it.

The config is checked before anything heavy is loaded, so the parent process and Snakemake read
RecBole's files as text: importing them costs seconds and pulls in torch. A file is parsed once.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from functools import cache
from pathlib import Path

import yaml

from recsweep.common.errors import UnsupportedEnvironment
from recsweep.common.yaml_loader import FloatLoader
from recsweep.recbole_api import own_source
from recsweep.sweeps.own_names import is_own, split

FAMILY_OF_FOLDER = {
    "general_recommender": "general",
    "context_aware_recommender": "context",
    "sequential_recommender": "sequential",
    "knowledge_aware_recommender": "knowledge",
    "exlib_recommender": "exlib",
}
_FAMILY_OF_BASE = {
    "GeneralRecommender": "general",
    "SequentialRecommender": "sequential",
    "ContextRecommender": "context",
    "KnowledgeRecommender": "knowledge",
}
_CLASS = re.compile(r"^class (\w+)\s*\(", re.MULTILINE)
# Trainers that a family has where a model has none of its own.
_COMMON_TRAINERS = ("Trainer", "AbstractTrainer")
_TRAINERS = {"exlib": {"DecisionTreeTrainer"}, "knowledge": {"KGTrainer"}}


@cache
def recbole_folder() -> Path:
    """Where RecBole is installed.

    Raises:
        UnsupportedEnvironment: it is not installed.
    """
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise UnsupportedEnvironment(
            "RecBole is not installed; the recommender models come from it; run `make setup`"
        )
    return Path(next(iter(spec.submodule_search_locations)))


@own_source.until_changed
def parsed(path: Path) -> ast.Module:
    """A file of RecBole's."""
    with warnings.catch_warnings():
        # RecBole's own escape sequences; Python 3.12 would show them to the user.
        warnings.filterwarnings("ignore", "invalid escape sequence")
        return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(part: ast.AST) -> tuple[ast.AST, ...]:
    """All that a piece of source consists of; walked once, since much is asked of it."""
    return tuple(ast.walk(part))


@own_source.until_changed
def classes_in(path: Path) -> dict[str, ast.ClassDef]:
    """The classes that a file defines."""
    return {node.name: node for node in parsed(path).body if isinstance(node, ast.ClassDef)}


@cache
def models() -> dict[str, str]:
    """Every model of RecBole and its family (general, sequential, context, knowledge, exlib)."""
    found: dict[str, str] = {}
    for folder, family in FAMILY_OF_FOLDER.items():
        for path in sorted((recbole_folder() / "model" / folder).glob("*.py")):
            for name in _CLASS.findall(path.read_text(encoding="utf-8")):
                if name.lower() == path.stem:
                    found[name] = family
    return found


def family(model: str) -> str:
    """The family of a model: RecBole's own, or that of the base class of one's own."""
    return (family_of_own(model) or "general") if is_own(model) else models()[model]


@own_source.until_changed
def family_of_own(model: str) -> str | None:
    """The family whose base class a model of one's own has; None where it has none of them."""
    bases = [_name_of(base, model) for node in lineage(model) for base in node.bases]
    return next((_FAMILY_OF_BASE[base] for base in bases if base in _FAMILY_OF_BASE), None)


@own_source.until_changed
def published_defaults(model: str) -> dict[str, object]:
    """The model's settings as RecBole ships them (`properties/model/<model>.yaml`).

    A model of one's own that is derived from RecBole's models has theirs, under what its package ships.
    """
    if is_own(model):
        theirs = [node.name for node in lineage(model)[1:] if node.name in models()]
        own = own_source.properties(model)
        parts = [*(published_defaults(name) for name in theirs[::-1]), _settings_in(own) if own else {}]
        return {key: value for part in parts for key, value in part.items()}
    path = properties(model)
    return _settings_in(path) if path.is_file() else {}


def _settings_in(path: Path) -> dict[str, object]:
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader=FloatLoader) or {})  # noqa: S506


def properties(model: str) -> Path:
    """The file of a model's settings: by its name, or for decision trees in small letters."""
    folder = recbole_folder() / "properties" / "model"
    path = folder / f"{model}.yaml"
    return path if path.is_file() else folder / f"{model.lower()}.yaml"


@cache
def overall_defaults() -> dict[str, object]:
    """The settings that RecBole ships for all models."""
    text = (recbole_folder() / "properties" / "overall.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=FloatLoader))  # noqa: S506 - a SafeLoader


@own_source.until_changed
def model_file(model: str) -> Path:
    """The file of a model's class."""
    if is_own(model):
        return own_source.file_of(model) or Path(split(model)[0])
    folder = next(name for name, short in FAMILY_OF_FOLDER.items() if short == family(model))
    return recbole_folder() / "model" / folder / f"{model.lower()}.py"


@own_source.until_changed
def trainer(model: str) -> ast.ClassDef:
    """The trainer of a model: its own, or that of its family, or RecBole's `Trainer`."""
    trainers = classes_in(recbole_folder() / "trainer" / "trainer.py")
    own = [name for name in trainers if name.lower() == f"{model}Trainer".lower()]
    return trainers[next(iter([*own, *_TRAINERS.get(family(model), ()), "Trainer"]))]


@own_source.until_changed
def sources(model: str) -> tuple[ast.AST, ...]:
    """The parts of a model: its file, the models it builds on, its bases and layers, its own trainer.

    Followed through the imports, so ``num_layers`` is not among what NARM reads: NARM reads ``n_layers``.
    """
    found: list[ast.AST] = []
    if is_own(model):  # its trainer is one of RecBole's common ones
        _collect_own(model, found)
        return tuple(found)
    _collect_module(model_file(model), found, set())
    if (own := trainer(model)).name != "Trainer":
        trainers = classes_in(recbole_folder() / "trainer" / "trainer.py")
        found.append(own)
        found += [trainers[name] for name in map(ast.unparse, own.bases) if name not in _COMMON_TRAINERS]
    if (transform := published_defaults(model).get("transform")) is not None:
        path = recbole_folder() / "data" / "transform.py"
        _collect_classes(path, {_transforms().get(str(transform), "")}, found, follow_bases=False)
    return tuple(found)


@cache
def _transforms() -> dict[str, str]:
    """Names of RecBole's transforms of batches, and the class of each."""
    for node in ast.walk(parsed(recbole_folder() / "data" / "transform.py")):
        if isinstance(node, ast.Dict) and all(isinstance(value, ast.Name) for value in node.values):
            pairs = zip(node.keys, node.values, strict=True)
            return {ast.literal_eval(key): ast.unparse(value) for key, value in pairs if key is not None}
    return {}


def _collect_own(model: str, found: list[ast.AST]) -> None:
    """All that a model of one's own builds on of RecBole's, then its own files: their classes come last."""
    seen: set[Path] = set()
    own = [parsed(path) for path in own_source.files(model)]
    for tree in own:
        _collect_imports(tree, found, seen)
    found += own


def _collect_module(path: Path, found: list[ast.AST], seen: set[Path]) -> None:
    """A model's file, those of the models it builds on, and its bases and layers."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    found.append(parsed(path))
    _collect_imports(parsed(path), found, seen)


def _collect_imports(tree: ast.Module, found: list[ast.AST], seen: set[Path]) -> None:
    """The models, bases and layers of RecBole's that a file imports."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recbole.model."):
            parts = (node.module or "").split(".")
            target = recbole_folder().joinpath(*parts[1:]).with_suffix(".py")
            if parts[2] in FAMILY_OF_FOLDER and len(parts) == 3:
                for alias in node.names:
                    _collect_module(target.with_suffix("") / f"{alias.name.lower()}.py", found, seen)
            elif parts[2] in FAMILY_OF_FOLDER:
                _collect_module(target, found, seen)
            else:
                imported = {alias.name for alias in node.names}
                _collect_classes(target, imported, found, follow_bases=True)


def _collect_classes(path: Path, wanted: set[str], found: list[ast.AST], follow_bases: bool) -> None:
    classes = classes_in(path)
    pending = [name for name in sorted(wanted) if name in classes]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        found.append(classes[name])
        if follow_bases:
            bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
            pending += [base for base in bases if base in classes]


@own_source.until_changed
def lineage(model: str) -> tuple[ast.ClassDef, ...]:
    """A model's class and its bases, the nearest first."""
    tops = [top for part in sources(model) for top in (part.body if isinstance(part, ast.Module) else [part])]
    classes = {top.name: top for top in tops if isinstance(top, ast.ClassDef)}
    found: list[ast.ClassDef] = []
    pending = [split(model)[1]]
    while pending:
        node = classes.get(pending.pop(0))
        if node is not None and node not in found:
            found.append(node)
            pending += [_name_of(base, model) for base in node.bases]
    return tuple(found)


def knows_bases(model: str) -> bool:
    """True where the source of every base of a model's class was found."""
    found = lineage(model)
    there = {"Module", "object", *(node.name for node in found), *_FAMILY_OF_BASE}
    return all(_name_of(base, model) in there for node in found for base in node.bases)


def _name_of(base: ast.expr, model: str) -> str:
    """The name of a base class where it is defined."""
    name = ast.unparse(base).rpartition(".")[2]
    return own_source.aliases(model).get(name, name) if is_own(model) else name


def class_attribute(model: str, name: str) -> str | None:
    """The source of what a model's class, or the nearest of its bases that has it, gives an attribute."""
    for node in lineage(model):
        for statement in node.body:
            match statement:
                case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=value):
                    if value is not None and ast.unparse(target) == name:
                        return ast.unparse(value)
    return None


def keys_read(part: ast.AST) -> set[str]:
    """`name` of every ``config["name"]``, ``config.name`` and ``hasattr(config, "name")``."""
    names: set[str] = set()
    for node in nodes(part):
        if isinstance(node, ast.Subscript) and (key := config_key(node)) is not None:
            names.add(key)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "config":
                names.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
            if _is_config(node.args[0]):
                names.add(str(ast.literal_eval(node.args[1])))
    return names


def config_key(node: ast.AST) -> str | None:
    """`name` of ``config["name"]``; None for anything else."""
    if isinstance(node, ast.Subscript) and _is_config(node.value) and isinstance(node.slice, ast.Constant):
        return node.slice.value if isinstance(node.slice.value, str) else None
    return None


def _is_config(node: ast.expr) -> bool:
    text = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return text.endswith("config")
