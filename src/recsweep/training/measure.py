"""Other metrics of a trained model, on the test data and without training; of all cases, or by groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsweep.common.errors import InputError
from recsweep.recbole_api import catalog
from recsweep.recbole_api import model as recbole
from recsweep.statistics.ranking import METRICS, ranking_metrics
from recsweep.sweeps.documents import nearest
from recsweep.training import training
from recsweep.training.ensemble import Ensemble, tested
from recsweep.training.groups import ITEMS, Groups, groups_by
from recsweep.training.scoring import TrainedModel


@dataclass(frozen=True)
class Measured:
    """Metrics of one group of test cases."""

    group: str
    """Its name; empty for all."""
    cases: int | None
    """Test cases that the metrics are means over; None where nobody counted."""
    metrics: dict[str, float]


def measured(
    trained: TrainedModel, device: torch.device, metrics: Sequence[str], by: str | None = None
) -> list[Measured]:
    """Metrics of a trained model.

    Args:
        trained: the model.
        device: where it scores.
        metrics: as `ndcg@10`; none: those that it was trained with.
        by: the groups, see `groups_by`; None for all together.

    Raises:
        InputError: an unknown metric or group, or a cut-off beyond all items.
    """
    wanted = _checked(metrics, int(trained.split.whole.item_num) - 1, grouped=by is not None)
    wanted = wanted or _own(trained)
    names = list(dict.fromkeys(name for name, _ in wanted))
    settings = {**trained.settings, "metrics": names, "topk": sorted({cutoff for _, cutoff in wanted})}
    keys = [f"{name}@{cutoff}" for name, cutoff in wanted]
    state = dict(trained.state)
    if by is None:
        found = training.evaluate(settings, trained.split, device, state)
        return [Measured("", None, {key: found[key] for key in keys})]
    with training.tester(settings, trained.split, device, state) as (trainer, test_data):
        separator = trainer.config["seq_separator"] or " "
        groups = groups_by(by, trained.split, Path(trainer.config["data_path"]), separator)
        cases = _Cases(trainer, groups)
        recbole.evaluate(trainer, test_data)
    return [_of_group(cases, groups, number, keys) for number in range(len(groups.names))]


def ensemble_measured(
    ensemble: Ensemble, device: torch.device, metrics: Sequence[str], by: str | None = None
) -> list[Measured]:
    """The same of an ensemble, of all cases together.

    Raises:
        InputError: groups, or a metric that is no mean over cases.
    """
    if by is not None:
        raise InputError("--by", "an ensemble is not measured by groups", "leave it out")
    first = ensemble.members[0].trained
    wanted = _checked(metrics, int(first.split.whole.item_num) - 1, grouped=True) or _own(first)
    names, cutoffs = list(dict.fromkeys(n for n, _ in wanted)), sorted({k for _, k in wanted})
    users = tested(ensemble, device, names, cutoffs)
    means = users.means()
    return [Measured("", None, {f"{name}@{k}": means[f"{name}@{k}"] for name, k in wanted})]


def _checked(metrics: Sequence[str], items: int, *, grouped: bool) -> list[tuple[str, int]]:
    found = []
    there = METRICS.keys() if grouped else catalog.metrics().keys()
    for metric in metrics:
        name, _, cutoff = metric.lower().partition("@")
        if name not in there:
            where = "of groups and ensembles there" if grouped else "there"
            raise InputError("--metrics", f"{where} is no metric {metric}", nearest(name, there))
        if not cutoff.isdecimal() or not 1 <= int(cutoff) <= items:
            problem = f"{metric} has no cut-off from 1 to the {items} items"
            raise InputError("--metrics", problem, f"write `{name}@10`")
        found.append((name, int(cutoff)))
    return list(dict.fromkeys(found))


def _own(trained: TrainedModel) -> list[tuple[str, int]]:
    names = [str(name).lower() for name in trained.settings["metrics"]]
    return [(name, int(k)) for name in names if name in METRICS for k in trained.settings["topk"]]


def _of_group(cases: _Cases, groups: Groups, number: int, keys: Sequence[str]) -> Measured:
    hits, right = cases.of(number)
    names = list(dict.fromkeys(key.partition("@")[0] for key in keys))
    cutoffs = sorted({int(key.partition("@")[2]) for key in keys})
    values = ranking_metrics(hits, right, names, cutoffs)
    means = {key: float(values[key].mean()) if len(right) else float("nan") for key in keys}
    return Measured(groups.names[number], len(right), means)


class _Cases:
    """The test cases, as RecBole's evaluation sees them: in each group the right items and their ranks."""

    def __init__(self, trainer: Any, groups: Groups) -> None:
        self._groups = groups
        self._cutoff, self._user = max(trainer.config["topk"]), trainer.config["USER_ID_FIELD"]
        self._masks = torch.from_numpy(groups.members).to(trainer.device)
        self._hits: list[list[torch.Tensor]] = [[] for _ in groups.names]
        self._right: list[list[torch.Tensor]] = [[] for _ in groups.names]
        collector = trainer.eval_collector
        collect = collector.eval_batch_collect

        def collected(scores: torch.Tensor, asked: Any, rows: torch.Tensor, items: torch.Tensor) -> Any:
            self._take(scores, asked, rows.to(scores.device), items.to(scores.device))
            return collect(scores, asked, rows, items)

        collector.eval_batch_collect = collected

    def of(self, number: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Of a group's cases: [cases, cut-off] where a right item is, and how many there are of them."""
        if not self._hits[number]:
            return np.zeros((0, self._cutoff), dtype=bool), np.zeros(0, dtype=np.int64)
        hits, right = torch.cat(self._hits[number]), torch.cat(self._right[number])
        return hits.numpy().astype(bool), right.numpy().astype(np.int64)

    def _take(self, scores: torch.Tensor, asked: Any, rows: torch.Tensor, items: torch.Tensor) -> None:
        top = torch.topk(scores, self._cutoff, dim=1).indices
        right = torch.zeros_like(scores, dtype=torch.bool)
        right[rows, items] = True
        users = asked[self._user].to(scores.device)
        for number, mask in enumerate(self._masks):
            if self._groups.kind == ITEMS:
                inside = right & mask
                cases = inside.any(1)
            else:
                inside, cases = right, mask[users]
            self._hits[number].append(inside[cases].gather(1, top[cases]).cpu())
            self._right[number].append(inside[cases].sum(1).cpu())
