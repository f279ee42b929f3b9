"""RecBole's own tuner on given points; runs in RecBole's own environment (see side_by_side.py).

`HyperTuning.run()`, its `trial` and RecBole's `objective_function` are RecBole's, untouched. Two
things are added: the `algo` asks HyperOpt for a random proposal as `algo="random"` does and then
puts the next of the given points in its place, and the clock is read around each objective and
each `fit`.

    python recbole_arm.py TASK.json RESULT.json    # in an empty folder: RecBole writes into it
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    task_file, result_file = sys.argv[1:3]
    sys.argv = sys.argv[:1]  # RecBole reads it
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))

    from hyperopt import hp, rand
    from recbole.quick_start import objective_function
    from recbole.trainer import HyperTuning, Trainer

    points: list[dict[str, Any]] = task["points"]
    names = list(points[0])
    clock: dict[str, list[float]] = {"ends": [], "trial": [], "fit": []}

    def next_point(new_ids: list[int], domain: Any, trials: Any, seed: int) -> list[dict[str, Any]]:
        docs: list[dict[str, Any]] = rand.suggest(new_ids, domain, trials, seed)
        for name in names:
            docs[0]["misc"]["vals"][name] = [len(trials.trials)]
        return docs

    def timed_objective(config_dict: Any = None, config_file_list: Any = None, saved: bool = True) -> Any:
        begun = time.perf_counter()
        result = objective_function(config_dict, config_file_list, saved)
        clock["trial"].append(time.perf_counter() - begun)
        clock["ends"].append(time.perf_counter())
        return result

    original_fit = Trainer.fit

    def timed_fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return original_fit(self, *args, **kwargs)
        finally:
            clock["fit"].append(time.perf_counter() - begun)

    Trainer.fit = timed_fit
    tuner = HyperTuning(
        timed_objective,
        # Every parameter has one value per point; equal values stay apart by their positions.
        space={name: hp.choice(name, [point[name] for point in points]) for name in names},
        algo=next_point,
        max_evals=len(points),
        fixed_config_file_list=[task["config"]],
    )
    tuner.run()
    result = {
        "scores": tuner.score_list,
        "seconds_inside": clock["fit"],
        "ends": clock["ends"],
    }
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
