"""Decision trees, LightGBM's and XGBoost's, as models and trainers like RecBole's others.

RecBole's own trainers for them call nobody back after a validation, give rows other rows' sequences, and
leave models that are files. Here a model holds its trees as a weight (the library's own form, in bytes), so
that all that is done with a model is done with these too. Columns are those that have one value a row, the
label aside. An epoch is what RecBole calls one: LightGBM's rounds, after which a second epoch would grow the
same trees again; XGBoost's rounds, from which the next ones go on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api.compat import recbole

_TREES = "trees"


class _Held:
    """A booster that is replaced as it grows."""

    booster: Any = None


class TreeModel(torch.nn.Module):
    """Trees in the place of one of RecBole's models."""

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library, self._held = library, _Held()

    @property
    def booster(self) -> Any:
        """The library's own object; None before any tree is grown."""
        return self._held.booster

    def grow(self, rows: Any, labels: Any) -> None:
        """One epoch."""
        self._held.booster = self._library.grown(self.booster, rows, labels)

    def predict(self, rows: Any) -> Any:
        """How likely each row is labelled 1."""
        return self._library.predicted(self.booster, rows)

    def state_dict(self, *_: Any, **__: Any) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """The trees, in bytes; none before any is grown."""
        found = b"" if self.booster is None else self._library.to_bytes(self.booster)
        return {_TREES: torch.frombuffer(bytearray(found), dtype=torch.uint8) if found else _nothing()}

    def load_state_dict(self, state_dict: Any, *_: Any, **__: Any) -> Any:
        """Take up trees from `state_dict`."""
        found = state_dict[_TREES].cpu().numpy().tobytes()
        self._held.booster = self._library.from_bytes(found) if found else None

    def other_parameter(self) -> dict[str, Any]:
        """Nothing: RecBole's models keep here what is no weight."""
        return {}

    def load_other_parameter(self, _: Any) -> None:
        """Nothing to take up."""


def _nothing() -> torch.Tensor:
    return torch.zeros(0, dtype=torch.uint8)


class Library:
    """LightGBM or XGBoost, with the parameters of a trial.

    Args:
        config: RecBole's, of the trial.
    """

    module: str
    goes_on: bool
    """True where another epoch adds trees."""

    def __init__(self, config: Any) -> None:
        self._trees = importlib.import_module(self.module)
        self._config = config

    def grown(self, before: Any, rows: Any, labels: Any) -> Any:
        """A booster with one more epoch of rounds."""
        raise NotImplementedError

    def predicted(self, booster: Any, rows: Any) -> Any:
        """A number between 0 and 1 for each row."""
        return booster.predict(rows)

    def to_bytes(self, booster: Any) -> bytes:
        """The library's own form, which holds numbers and text alone."""
        raise NotImplementedError

    def from_bytes(self, found: bytes) -> Any:
        """A booster of it."""
        raise NotImplementedError


class LightGbm(Library):
    """Its rounds are an epoch, and a second epoch is the same."""

    module, goes_on = "lightgbm", False

    def grown(self, before: Any, rows: Any, labels: Any) -> Any:
        own = {"seed": self._config["seed"], "num_threads": torch.get_num_threads(), "verbosity": -1}
        data = self._trees.Dataset(rows, labels)
        return self._trees.train(
            {**self._config["lgb_params"], **own}, data, self._config["lgb_num_boost_round"]
        )

    def to_bytes(self, booster: Any) -> bytes:
        return str(booster.model_to_string()).encode()

    def from_bytes(self, found: bytes) -> Any:
        return self._trees.Booster(model_str=found.decode())


class XgBoost(Library):
    """Each epoch's rounds go on from those before."""

    module, goes_on = "xgboost", True

    def grown(self, before: Any, rows: Any, labels: Any) -> Any:
        own = {"seed": self._config["seed"], "nthread": torch.get_num_threads(), "verbosity": 0}
        return self._trees.train(
            {**self._config["xgb_params"], **own},
            self._trees.DMatrix(rows, labels),
            self._config["xgb_num_boost_round"],
            xgb_model=before,
        )

    def predicted(self, booster: Any, rows: Any) -> Any:
        return booster.predict(self._trees.DMatrix(rows))

    def to_bytes(self, booster: Any) -> bytes:
        return bytes(booster.save_raw("ubj"))

    def from_bytes(self, found: bytes) -> Any:
        booster = self._trees.Booster()
        booster.load_model(bytearray(found))
        return booster


LIBRARIES: dict[str, type[Library]] = {"LightGBM": LightGbm, "XGBoost": XgBoost}
"""By the name of RecBole's model."""


def made(name: str, config: Any) -> TreeModel:
    """A model without trees, whose class has the name of RecBole's."""
    model: TreeModel = type(name, (TreeModel,), {})(LIBRARIES[name](config))
    return model


class _NoOptimizer:
    def state_dict(self) -> dict[str, Any]:
        return {}


class TreeTrainer:
    """RecBole's loop of epochs, validations and early stop, over trees.

    Args:
        config: RecBole's, of the trial.
        model: the trees.
    """

    def __init__(self, config: Any, model: TreeModel) -> None:
        self.config, self.model, self.device = config, model, config["device"]
        self.epochs = int(config["epochs"]) if model._library.goes_on else 1
        self.start_epoch, self.cur_step = 0, 0
        self.eval_step, self.stopping_step = min(config["eval_step"], self.epochs), config["stopping_step"]
        self.valid_metric, self.valid_metric_bigger = (
            str(config["valid_metric"]).lower(),
            config["valid_metric_bigger"],
        )
        self.best_valid_score = -np.inf if self.valid_metric_bigger else np.inf
        self.best_valid_result: dict[str, Any] | None = None
        self.train_loss_dict: dict[int, float] = {}
        self.optimizer, self.enable_amp = _NoOptimizer(), False
        self.eval_collector = recbole("evaluator").Collector(config)
        self.evaluator = recbole("evaluator").Evaluator(config)

    def fit(
        self, train_data: Any, valid_data: Any, callback_fn: Callable[[int, float], None], **_: Any
    ) -> tuple[float, dict[str, Any] | None]:
        """Grow trees to the end.

        Returns:
            The best validation score, and all metrics of that validation.
        """
        rows, labels = _columns(train_data, self.config["LABEL_FIELD"])
        for epoch in range(self.start_epoch, self.epochs):
            self.model.grow(rows, labels)
            if (epoch + 1) % self.eval_step:
                continue
            score, metrics = self._valid_epoch(valid_data, show_progress=False)
            stopping = (score, self.best_valid_score, self.cur_step)
            self.best_valid_score, self.cur_step, stops, better = recbole("utils").early_stopping(
                *stopping, max_step=self.stopping_step, bigger=self.valid_metric_bigger
            )
            if better:
                self.best_valid_result = metrics
            callback_fn(epoch, score)
            if stops:
                break
        return self.best_valid_score, self.best_valid_result

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, dict[str, Any]]:
        metrics = self.evaluate(valid_data)
        return recbole("utils").calculate_valid_score(metrics, self.valid_metric), metrics

    def evaluate(self, eval_data: Any, **_: Any) -> dict[str, Any]:
        """Metrics of the trees as they are, of labelled rows."""
        rows, _labels = _columns(eval_data, self.config["LABEL_FIELD"])
        scores = torch.as_tensor(np.asarray(self.model.predict(rows)), dtype=torch.float32)
        batch = eval_data._dataset[:]
        self.eval_collector.eval_batch_collect(scores, batch, None, None)
        found: dict[str, Any] = self.evaluator.evaluate(self.eval_collector.get_data_struct())
        return found


def _columns(loader: Any, label: str) -> tuple[Any, Any]:
    """A matrix of all columns with one value a row, and the labels."""
    columns = loader._dataset[:].interaction
    # RecBole gives numbers that a model may embed a second column, which is 0 or a class.
    numbers = set(loader._dataset.config["numerical_features"] or ())
    single = [
        (column if column.dim() == 1 else column[:, 0]).numpy()
        for name, column in columns.items()
        if name != label and (column.dim() == 1 or name in numbers)
    ]
    return np.column_stack(single), columns[label].numpy()
