"""What speed.py compares: models and data sets, how much of an epoch is timed, what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recsweep.common.files import write_yaml
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api.settings import TIME_ORDER
from recsweep.sweeps.loading import load_sweep
from speed_made import MADE

SEED = 2020
LEARNING_RATE = 0.001
BUILTIN = "ml-100k"
OUTSIDE = "amazon-beauty"
ARMS = ("A", "B", "C")
LEAST_BATCHES = 2
LONGEST_SECONDS = 20.0
"""A process of RecBole begins no further batch after this time, once it has the least number."""


@dataclass(frozen=True)
class Case:
    """One model on one data set."""

    dataset: str
    model: str
    must: float
    aim: float
    """How many times as fast as RecBole's tuner recsweep must be, and aims to be."""
    batches: int | None
    """Batches that RecBole trains on after the warm-up, at most; None: whole epochs."""
    epochs: int
    """That recsweep trains, and RecBole where it trains whole ones."""
    stride: int
    """recsweep trains on every so-many-th sample."""
    seconds: tuple[float, float, float]
    """About what a run of each arm takes on two cores; only for the estimate of the whole."""
    checked: int = 0
    """Whole epochs that RecBole trains in the first repeat all the same, to compare scores."""
    loss: str = "CE"
    valid_batches: int | None = None
    """That RecBole validates on where it trains no whole epochs; None: all, few as they are."""
    warm_up: int = 2
    """Batches before the ones that count: the first few get memory that no process has touched yet."""
    kind: str = "sequential"
    """sequential: leave-one-out, a loss; general, large: a random split."""
    draws: bool = False
    """Dropout or the model itself draws numbers that are others in the arms: scores are not compared."""
    parameter: tuple[str, Any] = ("learning_rate", LEARNING_RATE)
    """What its model file names: a parameter of the model, and its only value."""

    @property
    def label(self) -> str:
        return f"{self.dataset}/{self.model}"

    def quick(self) -> Case:
        """As little as shows that everything works."""
        few = None if self.batches is None else 1
        return replace(
            self,
            batches=few,
            warm_up=1,
            epochs=2,
            stride=1 if few is None else self.stride * 4,
            checked=0,
        )

    def whole(self) -> Case:
        """recsweep trains on all samples."""
        return replace(self, stride=1)


CASES = (
    Case("ml-100k", "FPMC", 8, 15, None, 5, 1, (10, 11, 6), loss="BPR"),
    Case("ml-100k", "FOSSIL", 3, 8, 8, 4, 1, (9, 11, 13), warm_up=4, checked=2),
    Case("ml-100k", "STAMP", 3, 6, 6, 3, 1, (12, 13, 10), warm_up=4, checked=1),
    Case("ml-100k", "GRU4Rec", 5, 9, 4, 2, 2, (14, 20, 19)),
    Case("ml-100k", "NARM", 4, 8, 4, 2, 2, (16, 23, 23)),
    Case("ml-100k", "SASRec", 6, 15, 3, 2, 2, (23, 33, 25)),
    Case("amazon-beauty", "GRU4Rec", 7, 15, 4, 2, 1, (18, 25, 25), valid_batches=2),
    Case("amazon-beauty", "SASRec", 11, 25, 3, 2, 1, (26, 40, 30), valid_batches=2),
)


def _general(
    model: str,
    must: float,
    aim: float,
    seconds: tuple[float, float, float],
    epochs: int = 4,
    *,
    draws: bool = False,
) -> Case:
    return Case(BUILTIN, model, must, aim, None, epochs, 1, seconds, kind="general", draws=draws)


GENERAL = (
    _general("BPR", 8, 20, (8, 9, 4), 8),
    _general("LightGCN", 6, 12, (20, 25, 6)),
    _general("NGCF", 5, 10, (30, 40, 8), draws=True),
    _general("SGL", 6, 15, (50, 90, 15), 3),
    _general("MultiVAE", 5, 10, (10, 12, 5), draws=True),
    _general("NeuMF", 6, 15, (20, 25, 6), draws=True),
    _general("RecVAE", 4, 8, (18, 25, 8), draws=True),
    _general("FM", 4, 8, (20, 25, 6)),
    _general("DeepFM", 4, 8, (25, 30, 8), draws=True),
)
"""RecBole's defaults on a random split, 8:1:1 of each user's ratings."""
LARGE = tuple(
    replace(case, dataset=MADE, kind="large")
    for case in (
        _general("BPR", 6, 12, (70, 80, 15), 2),
        replace(
            _general("LightGCN", 6, 12, (300, 90, 60), 2), batches=8, warm_up=3, checked=1, valid_batches=1000
        ),
        _general("MultiVAE", 6, 12, (50, 60, 15), 2, draws=True),
    )
)
"""The same on a million interactions; LightGCN is timed in part, and its first repeat is a whole epoch."""
GEOMETRIC_MEANS = {"sequential": (5.5, 10.0), "general": (6.0, 12.0), "large": (6.0, 12.0)}
MEMORY_CASE = "ml-100k/SASRec"
MEMORY = (0.5, 0.25)
"""Of RecBole's peak memory, a process of recsweep may hold at most this much, and aims to."""
COLD_START = (6.0, 4.0)
"""Seconds from the start of a worker to its first batch: at most, and the aim."""


def find_cases(kind: str, models: list[str] | None, datasets: list[str] | None) -> list[Case]:
    return [
        case
        for case in (*CASES, *GENERAL, *LARGE)
        if case.kind == kind
        and (not models or case.model in models)
        and (not datasets or case.dataset in datasets)
    ]


_RANDOM = {"split": {"type": "ratio", "ratio": [0.8, 0.1, 0.1], "order": "random", "group_by": "user"}}
_SPLITS: dict[str, dict[str, Any]] = {
    "sequential": {
        "max_sequence_length": 50,
        "split": {"type": "leave_one_out"},
        TIME_ORDER: "recbole",  # both round times alike, so both have the same sequences
    },
    "general": _RANDOM,
    "large": _RANDOM,
}


def make_plan(case: Case, data: Path, folder: Path) -> StudyPlan:
    """The study of a case, from config files in a folder: RecBole's published parameters."""
    source: dict[str, Any] = {"path": "builtin" if case.dataset == BUILTIN else str(data / case.dataset)}
    dataset = {**source, **_SPLITS[case.kind]}
    model = {
        "model": case.model,
        "fixed": {"loss_type": case.loss} if case.kind == "sequential" else {},
        "defaults": dict([case.parameter]),
        "space": {case.parameter[0]: {"type": "choice", "values": [case.parameter[1]]}},
    }
    sweep = {
        "sweep": "speed",
        "models": [case.model],
        "datasets": [case.dataset],
        "training": {
            "epochs": case.epochs,
            "train_batch_size": 2048,
            "eval_batch_size": 4096,
            "device": "cpu",
        },
        "evaluation": {"metric": "NDCG@10", "metrics": ["Recall", "MRR", "NDCG", "Hit"], "topk": [10]},
        "outputs": str(folder / "outputs"),
    }
    write_yaml(folder / "datasets" / f"{case.dataset}.yaml", dataset)
    write_yaml(folder / "models" / f"{case.model}.yaml", model)
    write_yaml(folder / "sweep.yaml", sweep)
    return plan_sweep(load_sweep(folder / "sweep.yaml"))[0]
