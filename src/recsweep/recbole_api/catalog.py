"""What RecBole has and what its models read, found in its source without importing it.

The config is checked before anything heavy is loaded, so the parent process and Snakemake read
RecBole's files as text: importing them costs seconds and pulls in torch.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from functools import cache
from pathlib import Path

import yaml

from recsweep.documents import FloatLoader
from recsweep.errors import UnsupportedEnvironment

FAMILIES = {
    "general_recommender": "general",
    "context_aware_recommender": "context",
    "sequential_recommender": "sequential",
    "knowledge_aware_recommender": "knowledge",
    "exlib_recommender": "exlib",
}
_CLASS = re.compile(r"^class (\w+)\s*\(", re.MULTILINE)

# Keys that the trainer, the optimizer and the loaders read, whatever the model is.
TRAINING_KEYS = frozenset({"learning_rate", "train_batch_size", "weight_decay", "learner", "clip_grad_norm"})
# Attributes of RecBole's Config object, and what it computes itself.
_NOT_SETTINGS = frozenset(
    {"device", "data_path", "final_config_dict", "single_spec", "eval_type", "model", "dataset"}
)
# Keys that shape the prepared data. They belong to the data set file: a study shares one split.
DATA_KEYS = frozenset({"MAX_ITEM_LIST_LENGTH", "load_col", "val_interval", "eval_args", "seq_len"})

# Keys that a sweep sets for all of its models alike, or that only make sense outside one.
RESERVED_KEYS = frozenset(
    {
        *("model", "dataset", "data_path", "epochs", "stopping_step", "eval_step", "eval_batch_size"),
        *("metrics", "topk", "valid_metric", "valid_metric_bigger", "eval_args", "repeatable"),
        *("seed", "reproducibility", "gpu_id", "use_gpu", "device", "worker", "show_progress", "state"),
        *("checkpoint_dir", "save_dataset", "save_dataloaders", "dataset_save_path"),
        *("dataloaders_save_path", "log_wandb", "wandb_project", "MAX_ITEM_LIST_LENGTH"),
        *("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD", "RATING_FIELD", "val_interval"),
        *("user_inter_num_interval", "item_inter_num_interval", "load_col"),
    }
)


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


def _tree(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        # RecBole's own escape sequences; Python 3.12 would show them to the user.
        warnings.filterwarnings("ignore", "invalid escape sequence")
        return ast.parse(path.read_text(encoding="utf-8"))


@cache
def models() -> dict[str, str]:
    """Every model of RecBole and its family (general, sequential, context, knowledge, exlib)."""
    found: dict[str, str] = {}
    for folder, family in FAMILIES.items():
        for path in sorted((recbole_folder() / "model" / folder).glob("*.py")):
            for name in _CLASS.findall(path.read_text(encoding="utf-8")):
                if name.lower() == path.stem:
                    found[name] = family
    return found


@cache
def parameters(model: str) -> frozenset[str]:
    """Names that a model's own code reads from the config, its bases and mixins included.

    Found by following ``config["name"]`` through the model's file and the files of the classes it
    is built from, so ``num_layers`` is not among NARM's: NARM reads ``n_layers``.
    """
    family = models()[model]
    folder = next(name for name, short in FAMILIES.items() if short == family)
    names: set[str] = set()
    _collect_module(recbole_folder() / "model" / folder / f"{model.lower()}.py", names, set())
    trainers = recbole_folder() / "trainer" / "trainer.py"
    trainer = f"{model}Trainer".lower()
    own = {name for name in _classes(trainers) if name.lower() == trainer}
    _collect_classes(trainers, own, names, follow_bases=False)
    if family == "exlib":
        _collect_classes(trainers, {"DecisionTreeTrainer"}, names, follow_bases=False)
    known = names - DATA_KEYS - set(_section("Dataset")) - settings() - _NOT_SETTINGS
    return frozenset(known | (names & {"require_pow"}))


def _collect_module(path: Path, names: set[str], seen: set[Path]) -> None:
    """Keys read in a model's file, in the models it builds on, and in its bases and layers."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    tree = _tree(path)
    names |= _keys_read(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recbole.model."):
            parts = (node.module or "").split(".")
            target = recbole_folder().joinpath(*parts[1:]).with_suffix(".py")
            if parts[2] in FAMILIES:
                _collect_module(target, names, seen)
            else:
                imported = {alias.name for alias in node.names}
                _collect_classes(target, imported, names, follow_bases=True)


def _collect_classes(path: Path, wanted: set[str], names: set[str], follow_bases: bool) -> None:
    classes = _classes(path)
    pending = [name for name in wanted if name in classes]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        names |= _keys_read(classes[name])
        if follow_bases:
            bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
            pending += [base for base in bases if base in classes]


@cache
def _classes(path: Path) -> dict[str, ast.ClassDef]:
    tree = _tree(path)
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _keys_read(tree: ast.AST) -> set[str]:
    """`name` of every ``config["name"]``, ``self.config["name"]`` and ``config.name``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_config(node.value):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                names.add(node.slice.value)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "config":
                names.add(node.attr)
    return names


def _is_config(node: ast.expr) -> bool:
    text = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return text.endswith("config")


def searchable(model: str) -> frozenset[str]:
    """Parameters that a search over a model may vary: its own and the trainer's."""
    return parameters(model) | TRAINING_KEYS


@cache
def settings() -> frozenset[str]:
    """Every setting that RecBole knows without regard to the model (`overall.yaml` and lists)."""
    overall = recbole_folder() / "properties" / "overall.yaml"
    names = set(yaml.safe_load(overall.read_text(encoding="utf-8")))
    for section in ("General", "Training", "Evaluation", "Dataset"):
        names |= set(_section(section))
    return frozenset(names)


@cache
def _section(name: str) -> tuple[str, ...]:
    """One list of RecBole's `argument_list.py`."""
    tree = _tree(recbole_folder() / "utils" / "argument_list.py")
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == f"{name.lower()}_arguments":
                return tuple(ast.literal_eval(node.value))
    return ()


@cache
def published_defaults(model: str) -> dict[str, object]:
    """The model's settings as RecBole ships them (`properties/model/<model>.yaml`)."""
    path = recbole_folder() / "properties" / "model" / f"{model}.yaml"
    if not path.is_file():
        return {}
    data = yaml.load(path.read_text(encoding="utf-8"), Loader=FloatLoader)  # noqa: S506
    return dict(data or {})


@cache
def metrics() -> dict[str, bool]:
    """Ranking metrics that take a cut-off (`ndcg` for NDCG@10), and whether larger is better."""
    found: dict[str, bool] = {}
    for name, node in _classes(recbole_folder() / "evaluator" / "metrics.py").items():
        assigned = {
            statement.targets[0].id: ast.unparse(statement.value)
            for statement in node.body
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        }
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        ranks = "TopkMetric" in bases or assigned.get("metric_type", "").endswith("RANKING")
        if ranks and name != "GAUC":  # GAUC takes no cut-off
            found[name.lower()] = assigned.get("smaller") != "True"
    return found
