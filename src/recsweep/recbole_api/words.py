"""The words that RecBole knows for a setting: those that its source compares it with, read as text."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

from recsweep.recbole_api import source
from recsweep.recbole_api.own_source import until_changed
from recsweep.sweeps.own_names import is_own

_ACTIVATION = re.compile(r"act_func$")


def shipped(model: str, key: str) -> Any:
    """RecBole's default of a setting, or None."""
    return source.published_defaults(model).get(key, source.overall_defaults().get(key))


@cache
def learners() -> tuple[str, ...]:
    """Names of the optimizers that RecBole's trainer knows; every other one is Adam there.

    But `sparse_adam`, which wants gradients of sparse embeddings: no model of RecBole's has them.
    """
    build = next(
        node
        for node in source.classes_in(source.recbole_folder() / "trainer" / "trainer.py")["Trainer"].body
        if isinstance(node, ast.FunctionDef) and node.name == "_build_optimizer"
    )
    found = [word for name, words in _compared(build) if name == "learner" for word in words]
    return tuple(word for word in found if word.islower() and word != "sparse_adam")


@until_changed
def choices(model: str, key: str) -> frozenset[str]:
    """The words that a model's source compares a setting with, and those that RecBole's comments name.

    A word whose branch only raises or exits is none: `loss_type: BPR` of GRU4RecCPR.
    """
    if key == "hidden_act":
        return _activations("get_hidden_act")
    if _ACTIVATION.search(key):
        return _activations("activation_layer")
    names = {key, *_aliases(model, key)}
    found: set[str] = set()
    for part in source.sources(model):
        refused = _refused(part)
        found |= {w for name, words in _compared(part) if name in names for w in words if w not in refused}
    if key == "loss_type":
        return frozenset(found)
    return frozenset(found | _commented(model, key) | {str(shipped(model, key))}) if found else frozenset()


def _aliases(model: str, key: str) -> set[str]:
    """Variables and attributes that are assigned `config[key]`."""
    return {
        ast.unparse(target).removeprefix("self.")
        for part in source.sources(model)
        for node in source.nodes(part)
        if isinstance(node, ast.Assign) and source.config_key(node.value) == key
        for target in node.targets
    }


@cache
def _compared(part: ast.AST) -> list[tuple[str, list[str]]]:
    """Each comparison of something with words: the name of the one, and the others."""
    found = []
    for node in source.nodes(part):
        if isinstance(node, ast.Compare) and any(_words(other) for other in node.comparators):
            text = ast.unparse(node.left).removeprefix("self.")
            name = source.config_key(node.left) or text.removesuffix(".lower()")
            words = [word for other in node.comparators for word in _words(other)]
            found.append((name, words + [w.upper() for w in words] if text.endswith(".lower()") else words))
    return found


def _words(node: ast.expr) -> list[str]:
    parts = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


@cache
def _refused(part: ast.AST) -> frozenset[str]:
    """Words for which a branch does nothing but say so and end."""
    found: set[str] = set()
    for node in source.nodes(part):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
            ends = isinstance(node.body[-1], ast.Raise) or "sys.exit" in ast.unparse(node.body[-1])
            if ends and isinstance(node.test.ops[0], ast.Eq):
                found |= {word for other in node.test.comparators for word in _words(other)}
    return frozenset(found)


@cache
def _activations(function: str) -> frozenset[str]:
    """The activations that RecBole's layers know: keys of a table, or words of an if-chain."""
    tree = source.parsed(source.recbole_folder() / "model" / "layers.py")
    (node,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function][:1]
    tables = [n for n in ast.walk(node) if isinstance(n, ast.Dict)]
    if tables:
        return frozenset(ast.literal_eval(key) for key in tables[0].keys if key is not None)
    return frozenset(word for _, words in _compared(node) for word in words)


@until_changed
def _commented(model: str, key: str) -> frozenset[str]:
    """The words of `# (str) … Range in [a, b]` behind a setting that RecBole ships."""
    path = source.recbole_folder() / "properties" / "model" / f"{model}.yaml"
    if is_own(model):
        return frozenset()
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(rf"{re.escape(key)}:.*[Rr]ang\w* in\W*?\[(.*?)\]", line)
        if found:
            return frozenset(re.findall(r"[\w-]+", found.group(1)))
    return frozenset()
