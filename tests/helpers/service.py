"""The service without a network: a job as the README has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent.parent / "config"
JOB: dict[str, Any] = {
    "name": "SASRec LR sweep",
    "dataset": "ml-100k",
    "model": "SASRec",
    "metric_name": "NDCG@10",
    "metric_mode": "max",
    "num_samples": 5,
    "max_concurrent_trials": 1,
    "search_space": {"learning_rate": {"type": "loguniform", "min": 1e-5, "max": 1e-3}},
}
