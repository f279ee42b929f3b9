"""Checks of what a sweep's models need of its data sets: labels, item features, a graph, times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from recsweep.common.errors import InputError
from recsweep.datasets.files import DataFiles
from recsweep.datasets.header import read_header
from recsweep.planning.checks import single_models
from recsweep.planning.setting_checks import possible
from recsweep.recbole_api import negatives
from recsweep.recbole_api.model_facts import facts, refusal
from recsweep.recbole_api.needs import GRAPH, LABEL, VECTORS, needs
from recsweep.recbole_api.settings import columns, gives_labels
from recsweep.sweeps.config import DatasetConfig, ModelConfig
from recsweep.sweeps.documents import Document, nearest
from recsweep.sweeps.loading import Sweep

if TYPE_CHECKING:
    from recsweep.datasets.check import Checked

_DRAW = "`train_neg_sample_args: {distribution: uniform, sample_num: 1}`"


def check_needs(sweep: Sweep, files: Mapping[str, DataFiles]) -> None:
    """Look at every model on every data set, before anything is trained.

    Args:
        files: of each data set by its name.

    Raises:
        InputError: a model that cannot be used here, or that needs what a data set lacks.
    """
    for name, model in single_models(sweep):
        if (reason := refusal(model.model)) is not None:
            raise sweep.model_documents[name].error(
                ("model",), f"{model.model} {reason.problem}", reason.fix, at_key=True
            )
        if not facts(model.model).ranks and "@" in sweep.config.evaluation.metric:
            raise sweep.model_documents[name].error(
                ("model",),
                f"{model.model} scores rows labelled 1 and 0, and ranks no items, which "
                f"{sweep.config.evaluation.metric} measures",
                "search for `evaluation.metric: AUC` with data that label their rows, or leave the model out",
                at_key=True,
            )
    for name, dataset in sweep.datasets.items():
        data = _Data(name, dataset, sweep.dataset_documents[name], files[name])
        _check_roles(data)
        for own, model in single_models(sweep):
            _check_model(data, model, sweep.model_documents[own])


@dataclass(frozen=True)
class _Data:
    """A data set as its files' headers have it."""

    name: str
    config: DatasetConfig
    document: Document
    files: DataFiles

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """Columns that are loaded, by suffix."""
        return columns(self.config)

    def types(self, suffix: str) -> dict[str, str]:
        """Types of the loaded columns of a file; empty where there is none (which `check_data` says)."""
        path = self.files.of(suffix)
        if suffix not in self.columns or not path.is_file():
            return {}
        return {name: kind for name, kind in read_header(path).items() if name in self.columns[suffix]}

    def width(self, suffix: str) -> int:
        """The values in the first vector of a file."""
        path = self.files.of(suffix)
        at = list(read_header(path).values()).index("float_seq")
        with path.open(encoding="utf-8") as lines:
            next(lines)
            cells = next(lines, "").rstrip("\n").split("\t")
        return len(cells[at].split(self.config.sequence_separator)) if at < len(cells) else 0

    def there(self, suffix: str) -> str:
        """Where a file lies, if it is not there: ", and there is no file …"."""
        path = self.files.of(suffix)
        return "" if path.is_file() else f", and there is no file {path}"

    def adding(self, more: Mapping[str, list[str]]) -> str:
        """How to load more columns."""
        own = {} if self.config.columns else {"inter": self.columns["inter"]}
        keys = ", ".join(f"{suffix}: [{', '.join(names)}]" for suffix, names in {**own, **more}.items())
        return f"add `{keys}` to `columns`" if self.config.columns else f"set `columns: {{{keys}}}`"

    def error(self, key: str, problem: str, fix: str) -> InputError:
        return self.document.error((key,), problem, fix)


def _check_roles(data: _Data) -> None:
    """Columns that the data set file gives a part to are loaded, and have the type for it."""
    everywhere = {name: kind for suffix in data.columns for name, kind in data.types(suffix).items()}
    inter = data.types("inter")
    roles = [("label_threshold", name, inter, "`.inter` file") for name in data.config.label_threshold]
    roles += [("label_scale", name, inter, "`.inter` file") for name in data.config.label_scale]
    for key in ("numerical_features", "normalize"):
        roles += [(key, name, everywhere, "data set") for name in getattr(data.config, key)]
    for key, name, types, where in roles:
        if name not in types:
            raise data.error(
                key, f"`{name}` is no loaded column of the {where}", f"{nearest(name, types)}, see `columns`"
            )
        if not types[name].startswith("float"):
            raise data.error(key, f"`{name}` must be a float, but is a {types[name]}", "name another column")
    if inter.get(LABEL, "float") != "float":
        raise data.error(
            "columns", f"`{LABEL}` must be a float, but is a {inter[LABEL]}", "write label:float"
        )
    for key in ("label_threshold", "label_scale"):
        if getattr(data.config, key) and LABEL in inter:
            raise data.error(key, f"the data have a column `{LABEL}` already", "keep one of them")


def _check_model(data: _Data, model: ModelConfig, document: Document) -> None:
    needed = needs(model.model)
    if needed.labels:
        _check_labels(data, model, document)
    if needed.graph or needed.vectors:
        _check_graph(data, model)
    if needed.vectors:
        _check_vectors(data, model, document)
    if needed.item_columns:
        _check_item_columns(data, model, document, needed.item_columns, needed.types)
    if needed.numbers:
        _check_numbers(data, model)
    inter = data.columns.get("inter", [])
    wanted = {
        "inter_matrix_type": ("rating", data.config.rating_field),
        "time-aware": (True, data.config.time_field),
    }
    for setting, (value, column) in wanted.items():
        if value in possible(model, setting) and column not in inter:
            raise data.error(
                "columns",
                f"{model.model} with `{setting}: {value}` needs `{column}`, which is not loaded",
                f"add `{column}` to `columns.inter`",
            )


def _check_labels(data: _Data, model: ModelConfig, document: Document) -> None:
    """A task of telling 1 from 0 has both: in the data, or because negatives are drawn."""
    given = model.fixed.get(negatives.KEY)
    draws = bool(given) or negatives.KEY not in model.fixed
    if gives_labels(data.config):
        if given:
            raise document.error(
                ("fixed", negatives.KEY),
                f"drawn negatives would take the place of the labels of {data.document.path}",
                "drop it, or the labels",
                at_key=True,
            )
    elif not draws:
        raise document.error(
            ("fixed", negatives.KEY),
            f"{model.model} learns from rows labelled 1 and 0, but {data.document.path} labels none, "
            "and no negatives are drawn",
            f"add {_DRAW} to `fixed`, or `label_threshold: {{{data.config.rating_field}: 4}}` to the data",
            at_key=True,
        )


def check_labels(sweep: Sweep, name: str, checked: Checked) -> None:
    """See that the labels of a data set are not all the same, where a model learns from them.

    Raises:
        InputError: they are, and the model draws no negatives.
    """
    labels, dataset = checked.labels, sweep.datasets[name]
    learners = [model.model for _, model in single_models(sweep) if needs(model.model).labels]
    if labels is None or not learners or (labels.ones and labels.zeros):
        return
    raise sweep.dataset_documents[name].error(
        ("label_threshold",) if dataset.label_threshold else ("columns",),
        f"of {labels.ones + labels.zeros} interactions {labels.ones} are labelled 1 and {labels.zeros} are "
        f"labelled 0; {', '.join(learners)} would have nothing to tell apart",
        "choose another threshold" if dataset.label_threshold else f"drop the column, and draw by {_DRAW}",
    )


def check_sizes(sweep: Sweep, name: str, checked: Checked) -> None:
    """See that no model makes more clusters than there are users or items, or ranks more items.

    Raises:
        InputError: it would.
    """
    users, items = (checked.counts.all_users, "users"), (checked.counts.all_items, "items")
    for own, model in single_models(sweep):
        needed, document = needs(model.model), sweep.model_documents[own]
        if needed.clusters is not None:
            _check_size(
                model, document, needed.clusters, "makes {} clusters of them", name, min(users, items)
            )
        if needed.cutoff is not None:
            _check_size(model, document, needed.cutoff, "ranks {} items while it trains", name, items)


def _check_size(
    model: ModelConfig, document: Document, setting: str, does: str, name: str, there: tuple[int, str]
) -> None:
    asked, (most, whose) = _most(model, setting), there
    if asked <= most:
        return
    part = next((part for part in ("fixed", "space") if setting in getattr(model, part)), None)
    shipped = ", as RecBole ships it," if part is None else ""
    with_default = " and in `defaults`" if part == "space" else ""
    raise document.error(
        (part, setting) if part is not None else ("model",),
        f"{name} has {most} {whose}, but {model.model}{shipped} {does.format(asked)}",
        f"set `{setting}` in `{part or 'fixed'}`{with_default} to {most} or less, "
        f"such as {max(1, most // 10)}",
    )


def _most(model: ModelConfig, setting: str) -> int:
    """The largest number that a trial may get."""
    parameter = model.space.get(setting)
    highest = getattr(parameter, "max", None)
    return int(highest if highest is not None else max(possible(model, setting)))


def _check_graph(data: _Data, model: ModelConfig) -> None:
    """The graph's files are loaded, with the columns that RecBole reads."""
    wanted = {
        suffix: [data.config.item_field, *names] if suffix == "link" else list(names)
        for suffix, names in GRAPH.items()
    }
    for suffix, names in wanted.items():
        missing = [name for name in names if name not in data.columns.get(suffix, [])]
        if missing:
            raise data.error(
                "columns",
                f"{model.model} learns from a knowledge graph; `columns` does not load `{missing[0]}` of "
                f"`.{suffix}`{data.there(suffix)}",
                f"{data.adding(wanted)}, or leave the model out",
            )
        for name, kind in data.types(suffix).items():
            if name in names and kind != "token":
                raise data.error(
                    "columns", f"`{name}` must be a token, but is a {kind}", f"write {name}:token"
                )


def _check_vectors(data: _Data, model: ModelConfig, document: Document) -> None:
    """The files of vectors are loaded, and each vector is as wide as the model has it."""
    needed = needs(model.model)
    for suffix in needed.vectors:
        name, types = VECTORS[suffix], data.types(suffix)
        if types.get(name) != "token" or list(types.values()).count("float_seq") != 1 or len(types) != 2:
            raise data.error(
                "columns",
                f"{model.model} begins with vectors made elsewhere, one for each {name}: `columns` must load "
                f"`{name}` (token) and one float_seq of `.{suffix}`{data.there(suffix)}",
                "write that file, such as by TransE on the graph, and "
                f"{data.adding({suffix: [name, f'{suffix}_vec']})}; or leave the model out",
            )
        vector = next(one for one in types if one != name)
        if any(vector in names for other, names in data.columns.items() if other != suffix):
            raise data.error(
                "columns", f"`{vector}` is a column of `.{suffix}` and of another file", "rename one of them"
            )
        width = data.width(suffix)
        if any(value != width for value in possible(model, needed.width)):
            raise document.error(
                ("fixed", needed.width) if needed.width in model.fixed else ("model",),
                f"the vectors of `.{suffix}` are {width} wide, and `{needed.width}` is another number",
                f"set `{needed.width}: {width}` in `fixed`",
            )


def _check_item_columns(
    data: _Data, model: ModelConfig, document: Document, setting: str, types: tuple[str, ...]
) -> None:
    """The item columns that a model reads are loaded, and have a type that it can take."""
    path = next(((part, setting) for part in ("fixed", "space") if setting in getattr(model, part)), None)
    loaded = {name: kind for name, kind in data.types("item").items() if name != data.config.item_field}
    usable = [name for name, kind in loaded.items() if kind in types]
    for value in possible(model, setting):
        for name in [value] if isinstance(value, str) else value:
            if loaded.get(name) in types:
                continue
            kind = " or ".join(types)
            problem = f"{model.model} reads the item column `{name}` (`{setting}`)"
            if name in loaded:
                problem += f", which must be a {kind}, but is a {loaded[name]}"
            elif not loaded:
                raise data.error(
                    "columns",
                    f"{problem}, but no column of the `.item` file is loaded{data.there('item')}",
                    data.adding({"item": [data.config.item_field, name]}),
                )
            else:
                problem += ", which `columns.item` does not load"
            fix = f"set `{setting}` in `fixed` to columns such as {usable[0]}" if usable else f"load a {kind}"
            raise document.error(path or ("fixed",), problem, fix)


def _check_numbers(data: _Data, model: ModelConfig) -> None:
    """DSSM counts every number of users and items as a feature, and embeds the numerical features alone."""
    for suffix in ("user", "item"):
        for name, kind in data.types(suffix).items():
            if kind.startswith("float") and name not in data.config.numerical_features:
                raise data.error(
                    "columns",
                    f"{model.model} counts `{name}` of `.{suffix}` as a feature, but it is none of the "
                    "`numerical_features`",
                    f"add `{name}` to `numerical_features`, or drop it from `columns`",
                )
