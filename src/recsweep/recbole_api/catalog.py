"""The models of RecBole, and which settings they read (see `source`)."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import yaml

from recsweep.common.errors import UserError
from recsweep.recbole_api import plugins, source
from recsweep.recbole_api.own_source import until_changed
from recsweep.recbole_api.source import FAMILY_OF_FOLDER as FAMILY_OF_FOLDER
from recsweep.recbole_api.source import class_attribute, lineage, overall_defaults
from recsweep.recbole_api.source import family as family
from recsweep.recbole_api.source import models as models
from recsweep.recbole_api.source import published_defaults as published_defaults
from recsweep.recbole_api.source import recbole_folder as recbole_folder
from recsweep.sweeps.tasks import PREDICTED

OWN_METRICS = Path(__file__).with_name("own_metrics.py")
# Keys that the trainer, the optimizer and the loaders read, whatever the model is.
TRAINING_KEYS = frozenset({"learning_rate", "train_batch_size", "weight_decay", "learner", "clip_grad_norm"})
# Attributes of RecBole's Config object, and what it computes itself.
_NOT_SETTINGS = frozenset(
    {"device", "data_path", "final_config_dict", "single_spec", "eval_type", "model", "dataset"}
)
# Keys that shape the prepared data beside those of RecBole's own lists (`data_keys`).
_MORE_DATA_KEYS = ("eval_args", "repeatable", "numerical_features", "discretization", "encoding")
# What `fixed` may hold beside what a search may vary.
_FIXED_KEYS = frozenset({"train_neg_sample_args", "shuffle", "transform"})

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
        *("metric_decimal_place", "enable_amp", "enable_scaler", "config_file"),
    }
)


@cache
def data_keys() -> frozenset[str]:
    """Keys that shape the prepared data. They belong to the data set file: a study shares one split."""
    sample = recbole_folder() / "properties" / "dataset" / "sample.yaml"
    shipped = set(yaml.safe_load(sample.read_text(encoding="utf-8")))
    return frozenset(shipped | set(_section("Dataset")) | set(_MORE_DATA_KEYS))


@until_changed
def parameters(model: str) -> frozenset[str]:
    """Names that a model's own code reads from the config, its bases and mixins included."""
    names = reads(model)
    own = names - data_keys() - settings() - _NOT_SETTINGS
    return frozenset({name for name in own if not name.isupper()} | (names & {"require_pow"}))


@until_changed
def reads(model: str) -> frozenset[str]:
    """Every key of the config that a model's own code reads."""
    return frozenset(name for part in source.sources(model) for name in source.keys_read(part))


def searchable(model: str) -> frozenset[str]:
    """Parameters that a search over a model may vary: its own, and the trainer's where it learns."""
    return parameters(model) | TRAINING_KEYS if learns(model) else parameters(model)


def fixable(model: str) -> frozenset[str]:
    """The settings that a model file may hold still: what a search may vary, and a few that are no values."""
    return searchable(model) | _FIXED_KEYS if learns(model) else searchable(model)


@until_changed
def learns(model: str) -> bool:
    """True where a model is trained by a gradient.

    Those that RecBole calls traditional count or solve instead, decision trees grow, and a model whose loss
    never looks at its batch counts too.
    """
    if class_attribute(model, "type") in ("ModelType.TRADITIONAL", "ModelType.DECISIONTREE"):
        return False
    for own in lineage(model):
        for part in own.body:
            if isinstance(part, ast.FunctionDef) and part.name == "calculate_loss":
                inside = list(ast.walk(part))
                if any(isinstance(node, ast.Return) for node in inside):  # the abstract one only raises
                    names = {node.id for node in inside if isinstance(node, ast.Name)}
                    return part.args.args[1].arg in names
    return True


@until_changed
def stages(model: str) -> tuple[str, ...]:
    """The stages in which a model is pre-trained before the one that is validated; empty for nearly all."""
    if "train_stage" not in reads(model):
        return ()
    named = dict.fromkeys(word for part in source.sources(model) for word in _lists_with(part, "finetune"))
    return tuple(name for name in named if "pretrain" in name)


def _lists_with(part: ast.AST, word: str) -> list[str]:
    """The words of the lists that hold a word."""
    lists = [node.elts for node in source.nodes(part) if isinstance(node, ast.List)]
    texts = [[one.value for one in found if isinstance(one, ast.Constant)] for found in lists]
    return [str(text) for found in texts if word in found for text in found]


@cache
def settings() -> frozenset[str]:
    """Every setting that RecBole knows without regard to the model (`overall.yaml` and lists)."""
    names = set(overall_defaults())
    for section in ("General", "Training", "Evaluation", "Dataset"):
        names |= set(_section(section))
    return frozenset(names)


@cache
def _section(name: str) -> tuple[str, ...]:
    """One list of RecBole's `argument_list.py`."""
    tree = source.parsed(recbole_folder() / "utils" / "argument_list.py")
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == f"{name.lower()}_arguments":
                return tuple(ast.literal_eval(node.value))
    return ()


@cache
def metrics() -> dict[str, bool]:
    """Ranking metrics that take a cut-off (`ndcg` for NDCG@10), and whether larger is better.

    Raises:
        UserError: another package's metric has the name of one that is there.
    """
    recboles = recbole_folder() / "evaluator" / "metrics.py"
    found = {**_ranking_metrics(recboles), **_ranking_metrics(OWN_METRICS)}
    for module, path in plugins.metric_files().items():
        for name, larger in _ranking_metrics(path).items():
            if name in found:
                raise UserError(
                    f"the metric {name} of {module} has the name of another one; a sweep could not say which "
                    "is meant; rename its class, or remove its package"
                )
            found[name] = larger
    return found


def directions() -> dict[str, bool]:
    """All metrics, of rankings and of predictions, and whether larger is better."""
    return {**metrics(), **PREDICTED}


def _ranking_metrics(path: Path) -> dict[str, bool]:
    """Those of a file, and whether larger is better."""
    found: dict[str, bool] = {}
    for name, node in source.classes_in(path).items():
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
