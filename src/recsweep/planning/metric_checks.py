"""A sweep's metrics: known, all of one task, and of one that its data sets and models are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recsweep.recbole_api import catalog
from recsweep.recbole_api.needs import needs
from recsweep.recbole_api.settings import gives_labels
from recsweep.sweeps import hints, tasks
from recsweep.sweeps.config import SECONDS, DatasetConfig, ModelConfig
from recsweep.sweeps.documents import nearest
from recsweep.sweeps.loading import Sweep
from recsweep.sweeps.protocol import FULL

_RANK = "or a metric of rankings such as NDCG@10"
_Path = tuple[str | int, ...]


def check_metrics(sweep: Sweep) -> None:
    """Look at the metrics that a sweep names.

    Raises:
        InputError: one that RecBole does not know, or of another task than the one that is searched for.
    """
    metrics, evaluation = catalog.metrics(), sweep.config.evaluation
    for path, metric in _named(sweep):
        name, at, _ = metric.partition("@")
        if tasks.is_predicted(name) and at:
            raise sweep.error(path, f"{name} is of predictions and takes no cut-off", f"write `{name}`")
        if name.lower() not in metrics and not tasks.is_predicted(name):
            raise sweep.error(
                path, f"unknown metric `{name}`", hints.metric(name) or nearest(name, catalog.directions())
            )
        if tasks.misplaced(evaluation.metric, [metric]) is not None:
            is_of = "rankings" if evaluation.predicts else "predictions"
            raise sweep.error(
                path,
                f"`{name}` is no metric of {'predictions' if evaluation.predicts else 'rankings'}, which "
                f"`metric: {evaluation.metric}` is, but of {is_of}; a model is measured by one or the other",
                f"use {_fitting(evaluation.predicts)}, or another `metric`",
            )
    for position, cutoff in enumerate(evaluation.topk):
        if cutoff < 1:
            raise sweep.error(
                ("evaluation", "topk", position), f"a cut-off must be >= 1, but got {cutoff}", "use 10"
            )


def _named(sweep: Sweep) -> Iterator[tuple[_Path, str]]:
    """Every metric of a sweep, with its place."""
    evaluation = sweep.config.evaluation
    yield ("evaluation", "metric"), evaluation.metric
    for position, objective in enumerate(evaluation.objectives):
        if objective != SECONDS:
            yield ("evaluation", "objectives", position), objective
    for position, name in enumerate(evaluation.metrics):
        yield ("evaluation", "metrics", position), name


def _fitting(predicts: bool) -> str:
    """The metrics of a task."""
    if predicts:
        return ", ".join(tasks.LABELS)
    return ", ".join(sorted({hints.written(name) for name in catalog.metrics()}))


def check_tasks(sweep: Sweep, models: Iterable[tuple[str, ModelConfig]]) -> None:
    """See that the data sets have what the metrics are measured against, and that the models predict it.

    Args:
        models: each with the name of its file.

    Raises:
        InputError: rows without labels, metrics of labels where there are ratings, a model that only ranks.
    """
    evaluation = sweep.config.evaluation
    if not evaluation.predicts:
        return
    for name, dataset in sweep.datasets.items():
        _check_dataset(sweep, name, dataset)
    for name, model in models:
        if not needs(model.model).labels:
            raise sweep.model_documents[name].error(
                ("model",),
                f"{model.model} ranks items and predicts no label, which {evaluation.metric} measures",
                f"leave the model out, or use a metric of rankings such as NDCG@10; {_predicting()} predict",
            )


def _check_dataset(sweep: Sweep, name: str, dataset: DatasetConfig) -> None:
    document, metric = sweep.dataset_documents[name], sweep.config.evaluation.metric
    if not gives_labels(dataset):
        raise document.error(
            ("label_threshold",),
            f"{metric} measures predictions against labels, and {document.path} labels no row",
            f"set `label_threshold: {{{dataset.rating_field}: 4}}`, {_RANK}",
        )
    if dataset.candidates != FULL:
        raise document.error(
            ("candidates",),
            f"{metric} is of predictions, for which nothing is ranked",
            "leave `candidates` out",
        )
    for path, wrong in _named(sweep):
        if dataset.label_scale and wrong not in tasks.RATINGS:
            raise sweep.error(
                path,
                f"{wrong} is of labels 0 and 1, and {name} has ratings (`label_scale`)",
                f"use {', '.join(tasks.RATINGS)}; or `label_threshold` in {document.path}",
            )


def _predicting() -> str:
    """The models that learn labels."""
    return ", ".join(sorted(model for model in catalog.models() if needs(model).labels))
