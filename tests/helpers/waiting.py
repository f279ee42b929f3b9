"""A worker process whose trials only wait: the real worker, store, pipe and events, and no training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

import numpy as np

from recsweep.running.child import child_main

SECONDS = 0.2
"""Of a trial."""


def waiting_main(*arguments: Any, **more: Any) -> None:
    """The life of such a process, with the arguments of `child.child_main`."""
    from recsweep.training import training, users

    with patch.object(training, "train", _wait), patch.object(users, "tested", _tested):
        child_main(*arguments, **more)


def _tested(*_: Any) -> Any:
    from recsweep.statistics.users import UserScores
    from recsweep.training.users import Tested

    return Tested({"ndcg@10": 0.1}, UserScores.of_rows(np.array(["1"]), {"ndcg@10": np.array([0.1])}))


def _wait(
    settings: Mapping[str, Any], split: Any, device: Any, after_epoch: Callable[[int, float], None], **_: Any
) -> Any:
    from recsweep.training.training import Trained

    score = 0.1 + settings["seed"] % 10_000 / 100_000
    time.sleep(SECONDS)
    after_epoch(1, score)
    metrics = dict.fromkeys(("recall@10", "mrr@10", "ndcg@10", "hit@10"), score)
    state = {"config": dict(settings), "state_dict": {}}
    return Trained(score, metrics, 1, 1, SECONDS, "a stand-in", state, dict(state))
