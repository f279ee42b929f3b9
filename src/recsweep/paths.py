"""Every output name in one place. Pure: nothing here makes a folder or reads a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outputs:
    """The names below one output folder (`outputs/` by default)."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "recsweep.db"

    @property
    def storage_url(self) -> str:
        """SQLAlchemy URL of the default store."""
        return f"sqlite:///{self.database}"

    @property
    def cache(self) -> Path:
        """Prepared data sets, one folder per content hash."""
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def prepared(self, dataset: str) -> Path:
        """What `recsweep prepare` found in a data set, and where it is cached."""
        return self.root / "results" / "prepared" / f"{dataset}.yaml"

    def study(self, dataset: str, model: str) -> Path:
        return self.root / "results" / "tuning" / dataset / model

    def best_result(self, dataset: str, model: str) -> Path:
        return self.study(dataset, model) / "best_result.yaml"

    def best_config(self, dataset: str, model: str) -> Path:
        return self.study(dataset, model) / "best_config.yaml"

    def best_params(self, dataset: str, model: str) -> Path:
        return self.study(dataset, model) / "best_params.json"

    def trials(self, dataset: str, model: str) -> Path:
        return self.study(dataset, model) / "trials.csv"

    def summary(self, suffix: str) -> Path:
        """The table of best configurations; `suffix` is csv, md or tex."""
        return self.root / "results" / f"summary.{suffix}"

    def checkpoints(self, dataset: str, model: str) -> Path:
        return self.root / "checkpoints" / dataset / model

    def trial_checkpoints(self, dataset: str, model: str, slot: int) -> Path:
        return self.checkpoints(dataset, model) / f"trial-{slot}"

    def worker_log(self, dataset: str, model: str, worker: int) -> Path:
        return self.logs / dataset / model / f"worker-{worker}.log"
