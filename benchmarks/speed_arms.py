"""The three arms of speed.py: what is started, and with which settings."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import speed_figures as figures
from recsweep.common.files import to_plain, write_json
from recsweep.planning.plan import StudyPlan
from recsweep.recbole_api.settings import TIME_ORDER
from recsweep.running.templates import worker_environment
from speed_cases import LEAST_BATCHES, LONGEST_SECONDS, SEED, Case, make_plan
from speed_figures import Figures
from speed_made import MADE, made
from speed_process import Launch, run_together

HERE = Path(__file__).resolve().parent
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Bench:
    """Where everything is, and with how many processes and threads recsweep trains."""

    python: Path
    """RecBole's interpreter."""
    data: Path
    """Folders of data sets."""
    cache: Path
    """Of splits; made data sets stand beside it."""
    workers: int
    threads: int

    @property
    def cores(self) -> int:
        """That recsweep and the one-thread processes of RecBole use."""
        return self.workers * self.threads

    def run(self, arm: str, case: Case, repeat: int) -> Figures:
        """One turn of one arm, in fresh processes and an empty folder."""
        with tempfile.TemporaryDirectory(prefix="recsweep-speed-") as temporary:
            folder = Path(temporary)
            plan = self._plan(case, folder / "config")
            if arm == "C":
                return self._recsweep(case, plan, folder)
            whole = case.checked if arm == "A" and repeat == 1 else 0
            return self._recbole(case, plan, folder, 1 if arm == "A" else self.cores, arm, whole)

    def statistics(self, case: Case) -> dict[str, Any]:
        """Lengths of a data set, whose split is in the cache from then on."""
        with tempfile.TemporaryDirectory(prefix="recsweep-speed-") as temporary:
            folder = Path(temporary)
            plan = self._plan(case, folder / "config")
            launch = self._own_launch({"operation": "prepare", **self._split(plan)}, folder / "prepare")
            return run_together([launch])[0]

    def pairs(self, case: Case) -> dict[str, list[tuple[int, int]]]:
        """User and item of each row of a split, by its part."""
        with tempfile.TemporaryDirectory(prefix="recsweep-speed-") as temporary:
            folder = Path(temporary)
            plan = self._plan(case, folder / "config")
            launch = self._own_launch({"operation": "pairs", **self._split(plan)}, folder / "pairs")
            found = run_together([launch])[0]
            parts = ("train", "validation", "test")
            return {name: list(zip(*found[name], strict=True)) for name in parts}

    def _plan(self, case: Case, folder: Path) -> StudyPlan:
        return make_plan(case, made(self.cache.parent).parent if case.dataset == MADE else self.data, folder)

    def matrix_rate(self) -> float:
        """Float32 operations a second of all the threads together, measured on one."""
        with tempfile.TemporaryDirectory(prefix="recsweep-speed-") as temporary:
            command = [sys.executable, str(HERE / "speed_recsweep.py")]
            task = Path(temporary) / "task.json"
            write_json(task, {"operation": "rate"})
            environment = {**os.environ, **worker_environment(1)}
            found = run_together([Launch([*command, str(task)], environment, Path(temporary))])[0]
            return float(found["rate"]) * self.cores

    def _recsweep(self, case: Case, plan: StudyPlan, folder: Path) -> Figures:
        task = {
            "operation": "train",
            "threads": self.threads,
            "stride": case.stride,
            **self._split(plan),
        }
        launches = [self._own_launch(task, folder / f"worker-{n}") for n in range(self.workers)]
        return figures.together([figures.from_epochs(raw) for raw in run_together(launches)])

    def _split(self, plan: StudyPlan) -> dict[str, Any]:
        """What a process needs to find the split, and to train on it."""
        return {
            "settings": to_plain(plan.settings(plan.defaults, SEED, SEED)),
            "folder": str(plan.files.folder),
            "hashes": dict(plan.files.hashes),
            "builtin": plan.files.builtin,
            "cache": str(self.cache),
        }

    def _own_launch(self, task: dict[str, Any], folder: Path) -> Launch:
        write_json(folder / "task.json", task)
        command = [sys.executable, str(HERE / "speed_recsweep.py"), str(folder / "task.json")]
        return Launch(command, {**os.environ, **worker_environment(self.threads)}, folder)

    def _recbole(
        self, case: Case, plan: StudyPlan, folder: Path, count: int, arm: str, whole: int
    ) -> Figures:
        part = case.batches is not None and not whole
        settings = to_plain(plan.settings(plan.defaults, SEED, SEED))
        settings.pop(TIME_ORDER, None)
        settings["use_gpu"] = False
        settings["epochs"] = 1 if part else whole or case.epochs
        task = {
            "config": str(folder / "fixed.yaml"),
            "batches": case.warm_up + (case.batches or 0) if part else None,
            "least": case.warm_up + LEAST_BATCHES,
            "seconds": LONGEST_SECONDS,
            "valid_batches": case.valid_batches if part else None,
        }
        (folder / "fixed.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        command = [str(self.python), str(HERE / "speed_recbole.py"), str(folder / "task.json")]
        environment = _recbole_environment(one_thread=arm == "B")
        launches = [Launch(command, environment, folder / f"process-{n}") for n in range(count)]
        raws = run_together(launches)
        if case.batches is None and case.kind != "sequential":
            return figures.together([figures.from_whole(raw) for raw in raws])
        return figures.together([figures.from_batches(raw, case.warm_up) for raw in raws])


def _recbole_environment(*, one_thread: bool) -> dict[str, str]:
    """The threads that torch takes by itself, or one; RecBole's checkpoints hold more than weights."""
    own = {name: value for name, value in os.environ.items() if name not in THREADS}
    counts = dict.fromkeys(THREADS, "1") if one_thread else {}
    return {**own, **counts, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
