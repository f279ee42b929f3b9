"""Jobs that cannot be as they are, by the field that is to blame."""

from __future__ import annotations

from typing import Any

from helpers.service import JOB

SPACE = JOB["search_space"]


def rate(**parameter: Any) -> dict[str, Any]:
    return {"search_space": {"learning_rate": parameter}}


def heads(**parameter: Any) -> dict[str, Any]:
    return {"search_space": {"n_heads": parameter}}


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "<script>alert(1)</script>"}),
    ("name", {"name": "../../etc/passwd"}),
    ("name", {"name": "two\nlines"}),
    ("name", {"name": "'; DROP TABLE tuning_jobs; --"}),
    ("name", {"name": "$(reboot)"}),
    ("name", {"name": ""}),
    ("name", {"name": "   "}),
    ("name", {"name": 7}),
    ("name", {"name": "x" * 101}),
    ("name", {"name": None}),
    ("dataset", {"dataset": "../ml-100k"}),
    ("dataset", {"dataset": "ml-1000k"}),
    ("dataset", {"dataset": "/etc/passwd"}),
    ("dataset", {"dataset": ["ml-100k"]}),
    ("dataset", {"datasets": ["ml-100k"]}),
    ("model", {"model": "SASREC\0"}),
    ("model", {"model": "sasrec"}),
    ("model", {"model": None}),
    ("models", {"model": None, "models": []}),
    ("models.1", {"model": None, "models": ["FPMC", "FPMC"]}),
    ("models.0", {"model": None, "models": ["config/models/FPMC.yaml"]}),
    ("models", {"model": None, "models": ["FPMC"] * 51}),
    ("metric_name", {"metric_name": "NDCG"}),
    ("metric_name", {"metric_name": "Nothing@10"}),
    ("metric_mode", {"metric_mode": "min"}),
    ("metric_mode", {"metric_mode": "upwards"}),
    ("metrics.0", {"metrics": ["Nothing"]}),
    ("topk.0", {"topk": [0]}),
    ("topk.0", {"topk": [10**7]}),
    ("objectives", {"objectives": ["NDCG@10"]}),
    ("objectives", {"objectives": ["NDCG@10", "training_seconds"], "pruner": "median"}),
    ("num_samples", {"num_samples": 0}),
    ("num_samples", {"num_samples": "5"}),
    ("num_samples", {"num_samples": 5.5}),
    ("num_samples", {"num_samples": True}),
    ("num_samples", {"num_samples": 10**15}),
    ("num_samples", {"num_samples": 10**300}),
    ("max_concurrent_trials", {"max_concurrent_trials": 0}),
    ("max_concurrent_trials", {"max_concurrent_trials": 257}),
    ("seed", {"seed": -1}),
    ("seed", {"seed": 2**32}),
    ("engine", {"engine": "mine"}),
    ("engine", {"engine": "hyperopt", "algo": "gp"}),
    ("algo", {"algo": "gpp"}),
    ("scheduler", {"scheduler": "fifo"}),
    ("pruner", {"pruner": "medium"}),
    ("phases", {"phases": ["coarse"]}),
    ("phases.0", {"phases": ["course"]}),
    ("epochs", {"epochs": 0}),
    ("patience", {"patience": -1}),
    ("batch_size", {"batch_size": 2**31}),
    ("limits", {"limits": [1]}),
    ("limits.timeout_minutes", {"limits": {"timeout_minutes": 0}}),
    ("limits.trial_timeout", {"limits": {"trial_timeout": 3}}),
    ("search_space", {"search_space": {}}),
    ("search_space", {"search_space": [1]}),
    ("search_space", {"algo": "exhaustive"}),
    ("search_space.learning_rate", {"search_space": {"learning_rate": 3}}),
    ("search_space.learning_rate", rate(min=1, max=2)),
    ("search_space.learning_rate", rate(type="normal", min=1, max=2)),
    ("search_space.learning_rate", rate(type="uniform", min=2, max=1)),
    ("search_space.learning_rate", rate(type="uniform", min=0.1, max=1)),
    ("search_space.learning_rate.min", rate(type="uniform", min="0", max=1)),
    ("search_space.learning_rate.max", rate(type="uniform", min=0)),
    ("search_space.learning_rate.q", rate(type="uniform", min=0, max=1, q=1)),
    ("search_space.n_heads.values", heads(type="choice", values=[])),
    ("search_space.n_heads", heads(type="choice", values=[2, 2])),
    ("search_space.n_heads.values", heads(type="choice", values=[2, "4"])),
    ("search_space.n_layerz", {"search_space": {"n_layerz": {"type": "choice", "values": [1, 2]}}}),
    ("search_space.epochs", {"search_space": {"epochs": {"type": "randint", "min": 1, "max": 9}}}),
    ("search_space.learning_rate.when.n_heads", rate(**SPACE["learning_rate"], when={"n_heads": 2})),
    ("search_space", {"search_space": {f"p{n}": SPACE["learning_rate"] for n in range(101)}}),
    ("search_space.n_heads.values", heads(type="choice", values=list(range(1001)))),
    ("search_spaces.FPMC", {"search_spaces": {"FPMC": SPACE}}),
    ("search_space", {"model": "AnyOfSix"}),
    ("defaults.n_heads", {"defaults": {"n_heads": 4}}),
    ("defaults.learning_rate", {"defaults": {"learning_rate": 4}}),
    ("base_config", {"base_config": "/etc/passwd"}),
    ("storage", {"storage": "sqlite:////tmp/mine.db"}),
    ("outputs", {"outputs": "/tmp"}),
    ("warm_start", {"warm_start": ["/etc/passwd"]}),
    ("sweep", {"sweep": "mine.py:sweep"}),
    ("fixed", {"fixed": {"pre_model_path": "/etc/passwd"}}),
    ("max_evals", {"max_evals": 3}),
]  # fmt: skip
