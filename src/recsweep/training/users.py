"""The test of a trained configuration, user by user: one pass over the test split, RecBole's and ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.data import Split
from recsweep.recbole_api.settings import USER_AUC, scale_width
from recsweep.statistics import ranking
from recsweep.statistics.areas import user_areas
from recsweep.statistics.users import UserScores
from recsweep.training import training

Floats = NDArray[np.float64]
_LEAST = 1e-15
"""RecBole's: a probability is at least so far from 0 and 1."""


@dataclass(frozen=True)
class Tested:
    """A test, as RecBole sums it up and user by user."""

    metrics: dict[str, float]
    """RecBole's own."""
    users: UserScores
    """The same for each user, of those metrics that are means: AUC, RMSE and coverage, for one, are not."""


def tested(settings: Mapping[str, Any], split: Split, device: torch.device, state: dict[str, Any]) -> Tested:
    """Test a trained configuration on the test split; for winners, and for configurations chosen by then."""
    with training.tester(settings, split, device, state) as (trainer, test_data):
        seen = _Seen(trainer)
        metrics = recbole.evaluate(trainer, test_data)
        names = split.whole.field2id_token[trainer.config["USER_ID_FIELD"]]
        return Tested(
            metrics, UserScores.of_rows(np.asarray(names[seen.users()], dtype=np.str_), seen.rows())
        )


class _Seen:
    """All that RecBole's evaluation sees of the test, kept: whose rows, and what its metrics are made of."""

    def __init__(self, trainer: Any) -> None:
        self._config, self._evaluator = trainer.config, trainer.evaluator
        self._batches: list[torch.Tensor] = []
        self._struct: Any = None
        self._given: dict[str, Any] = {}
        """Values of RecBole's or other metrics for each row, at each rank."""
        self._watch(trainer)

    def _watch(self, trainer: Any) -> None:
        collector, field = trainer.eval_collector, trainer.config["USER_ID_FIELD"]
        collect, evaluate = collector.eval_batch_collect, trainer.evaluator.evaluate

        def collected(scores: torch.Tensor, interaction: Any, *positive: torch.Tensor) -> Any:
            self._batches.append(_whose(interaction[field], len(scores)))
            return collect(scores, interaction, *positive)

        def evaluated(struct: Any) -> Any:
            self._struct = struct
            return evaluate(struct)

        collector.eval_batch_collect, trainer.evaluator.evaluate = collected, evaluated
        for name, metric in trainer.evaluator.metric_class.items():
            if name not in ranking.METRICS and hasattr(metric, "topk_result"):
                metric.topk_result = self._keeping(metric.topk_result)

    def _keeping(self, sum_up: Any) -> Any:
        """A metric's own summing up, which is handed each row's value at each rank."""

        def kept(name: str, values: Any) -> Any:
            self._given[name] = values
            return sum_up(name, values)

        return kept

    def users(self) -> NDArray[np.int64]:
        """The user of each row, by RecBole's numbers."""
        found = torch.cat(self._batches) if self._batches else torch.empty(0, dtype=torch.int64)
        return found.numpy()

    def rows(self) -> dict[str, Floats]:
        """The values of each row, by metric and in the order of the config."""
        return dict(self._each()) if self._batches else {}

    def _each(self) -> Iterator[tuple[str, Floats]]:
        cutoffs, computed = list(self._config["topk"] or ()), self._computed()
        for name in self._evaluator.metrics:
            if name in ranking.METRICS:
                yield from ((key, computed[key]) for key in (f"{name}@{k}" for k in cutoffs))
            elif name in self._given:
                values = np.asarray(self._given[name], dtype=np.float64)
                yield from ((f"{name}@{k}", values[:, k - 1]) for k in cutoffs)
            elif name == USER_AUC.lower():
                areas, weights = user_areas(*self._predictions(), self.users())
                yield "gauc", areas * weights * (len(weights) / max(float(weights.sum()), 1.0))
            elif name == "gauc":
                yield name, _gauc(self._struct.get("rec.meanrank").numpy().astype(np.float64))
            elif name in _LOSSES:
                yield name, _LOSSES[name](*self._predictions()) * self._unit(name)

    def _predictions(self) -> tuple[Floats, Floats]:
        """The score and the label of each row."""
        names = ("rec.score", "data.label")
        scores, labels = (self._struct.get(name).squeeze(-1).numpy().astype(np.float64) for name in names)
        return scores, labels

    def _unit(self, name: str) -> float:
        """The unit of a metric, where labels are ratings on a scale."""
        return scale_width(self._config) if name == "mae" else 1.0

    def _computed(self) -> dict[str, Floats]:
        names = [name for name in self._evaluator.metrics if name in ranking.METRICS]
        if not names:
            return {}
        cutoffs, table = list(self._config["topk"]), self._struct.get("rec.topk").numpy()
        return ranking.ranking_metrics(table[:, : max(cutoffs)], table[:, -1], names, cutoffs)


def _whose(ids: torch.Tensor, rows: int) -> torch.Tensor:
    """The users of a batch's rows: ids stand row by row, or with sampled candidates once for each of them."""
    found = ids if len(ids) == rows else torch.unique_consecutive(ids)
    if len(found) != rows:
        raise ValueError(f"{len(found)} users for {rows} rows of the test")
    return found.detach().cpu()


def _gauc(ranked: Floats) -> Floats:
    """RecBole's AUC of each user, weighted by the share of the positives; its own formula."""
    ranks, items, right = ranked[:, 0], ranked[:, 1], ranked[:, 2]
    wrong = items - right
    usable = (right > 0) & (wrong > 0)
    pairs = (items + 1) * right - right * (right + 1) / 2 - ranks
    area: Floats = np.divide(pairs, wrong, out=np.zeros(len(right)), where=usable)
    return area * (len(right) / max(float(right[usable].sum()), 1.0))


def _absolute(scores: Floats, labels: Floats) -> Floats:
    return np.abs(scores - labels)


def _log_loss(scores: Floats, labels: Floats) -> Floats:
    chance = np.clip(scores, _LEAST, 1 - _LEAST)
    return -labels * np.log(chance) - (1 - labels) * np.log(1 - chance)


_LOSSES = {"mae": _absolute, "logloss": _log_loss}
