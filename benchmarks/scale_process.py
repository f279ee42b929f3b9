"""Workers on one prepared split, forked from a process that has imported all they need, as recsweep's are.

Each reads the split from the cache, makes the trial, trains a few batches and validates. The parent adds up
the memory of all of them: pages that several hold are shared out among them (PSS).

    python benchmarks/scale_process.py CONFIG WORKERS BATCHES
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from recsweep.datasets.prepare import prepare
from recsweep.planning.plan import plan_sweep
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.windows import spare_distributed
from recsweep.sweeps.loading import load_sweep
from recsweep.training.live import Live

_EVERY = 0.2


def trial(config: str, batches: int, answer: Any) -> None:
    """One trial, cut short; sends what its parts took, in seconds by the clock and of processors."""
    torch.set_num_threads(1)
    plan = plan_sweep(load_sweep(Path(config)))[0]
    settings = {**plan.settings(plan.defaults, plan.sweep.seed), "epochs": 1}
    marks = [_now()]
    with recbole.clean_globals(), tempfile.TemporaryDirectory() as scratch:
        split = prepare(settings, plan.files, plan.outputs.cache).split
        marks.append(_now())
        live = Live(settings, split, torch.device("cpu"), Path(scratch))

        def few(all_of_them: Iterable[Any], number: int) -> Iterator[Any]:
            for done, batch in enumerate(itertools.islice(all_of_them, batches)):
                if done == 1:
                    marks.append(_now())
                yield batch
            marks.append(_now())

        live.limit(few)
        _, metrics = live.fit(lambda epoch, score: None)
        marks.append(_now())
    seconds = [
        [after - before for before, after in zip(*pair, strict=True)] for pair in itertools.pairwise(marks)
    ]
    parts = dict(zip(("read", "start", "batches", "validation"), seconds, strict=True))
    answer.put({"path": str(live.path), "parts": parts, "score": next(iter((metrics or {}).values()), None)})


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def memory(processes: Iterable[int]) -> tuple[int, int]:
    """Bytes of processes together, each page counted once; and those that belong to one of them alone."""
    total = own = 0
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:  # it is over
            continue
        found = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines[1:] if line.split()}
        total += found.get("Pss:", 0)
        own += found.get("Private_Dirty:", 0) + found.get("Private_Clean:", 0)
    return total, own


def main(config: str, workers: int, batches: int) -> None:
    spare_distributed()
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    running = [context.Process(target=trial, args=(config, batches, answer)) for _ in range(workers)]
    for process in running:
        process.start()
    most, alone = 0, 0
    found: list[dict[str, Any]] = []
    while len(found) < workers:
        total, own = memory([os.getpid(), *(process.pid or 0 for process in running)])
        most, alone = max(most, total), max(alone, own)
        time.sleep(_EVERY)
        while not answer.empty():
            found.append(answer.get())
        if any(process.exitcode for process in running):
            raise SystemExit("a worker failed")
    for process in running:
        process.join()
    print(json.dumps({"most": most, "own": alone, "trials": found}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
