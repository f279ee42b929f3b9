"""recsweep prepares a data set, or trains one configuration as its workers do, timed (see speed.py).

    python speed_recsweep.py TASK.json

A task `rate` multiplies matrices on one thread. A task `prepare` makes the split, or finds it in the
cache, and counts what the FLOPs need. A task `pairs` tells users and items of its parts. A task `train`
imports what a worker imports, reads the split from the cache and calls `training.train`. With a stride
above 1 only every so-many-th sample is trained on and every so-many-th user is validated on: an epoch
that is shorter by that much. The whole training data is kept in memory all the same, so that peak memory
is that of whole epochs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from flops import matrix_rate
from speed_process import Channel, Mark, now


def main() -> None:
    channel = Channel()
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if task["operation"] == "train":
        train(task, channel)
        return
    channel.ready()
    if task["operation"] == "rate":
        channel.result(rate=matrix_rate())
    elif task["operation"] == "pairs":
        channel.result(**pairs_of(load_split(task).split))
    else:
        channel.result(**statistics_of(load_split(task).split))


def load_split(task: dict[str, Any]) -> Any:
    """The prepared split of a task, from the cache where it is there."""
    from recsweep.datasets.files import DataFiles
    from recsweep.datasets.prepare import prepare

    files = DataFiles(Path(task["folder"]), task["hashes"], task["builtin"])
    return prepare(task["settings"], files, Path(task["cache"]))


def statistics_of(split: Any) -> dict[str, Any]:
    """Items, padding included, and the lengths that an epoch's arithmetic depends on."""

    def lengths(part: Any) -> dict[str, int]:
        if "item_length" not in part.inter_feat.interaction:  # no sequences
            return {"samples": len(part), "tokens": 0, "pairs": 0}
        found = part.inter_feat["item_length"]
        return {
            "samples": len(found),
            "tokens": int(found.sum()),
            "pairs": int((found * (found + 1) // 2).sum()),
        }

    train, valid, _ = split.parts
    return {"items": int(split.whole.item_num), "train": lengths(train), "valid": lengths(valid)}


def pairs_of(split: Any) -> dict[str, list[list[int]]]:
    """Users and items of each part of a split, by their numbers; of sequences the first item too."""
    parts = {}
    for name, part in zip(("train", "validation", "test"), split.parts, strict=True):
        columns = part.inter_feat.interaction
        users, items = (columns[key].tolist() for key in (part.uid_field, part.iid_field))
        histories = columns.get(f"{part.iid_field}_list")
        if name == "train" and histories is not None:  # a user's first row has a history of one item
            firsts = dict(zip(reversed(users), (int(row[0]) for row in reversed(histories)), strict=True))
            users, items = [*firsts, *users], [*firsts.values(), *items]
        parts[name] = [users, items]
    return parts


def train(task: dict[str, Any], channel: Channel) -> None:
    """One trial, from the imports of a worker to the end of its last epoch."""
    import torch

    torch.set_num_threads(task["threads"])

    import recsweep.running.worker  # noqa: F401  what a worker imports before its first trial
    from recsweep.training import training

    prepared = load_split(task)
    if not prepared.cached:
        raise RuntimeError("the split was not prepared beforehand: its cache has another key")
    split = prepared.split
    if task["stride"] > 1:
        begun = time.monotonic()
        split, _kept = shortened(split, task["stride"])
        channel.aside += time.monotonic() - begun
    begin = note_begin()
    ends: list[Mark] = []
    scores: list[float] = []

    def after_epoch(epoch: int, score: float) -> None:
        ends.append(now())
        scores.append(score)

    channel.ready()
    trained = training.train(task["settings"], split, torch.device("cpu"), after_epoch)
    channel.result(
        begin=begin[0] if begin else None,
        ends=ends,
        scores=scores,
        stride=task["stride"],
        path=trained.path,
    )


def note_begin() -> list[Mark]:
    """A list that gets the time at which the first epoch begins, if the trial goes through `fit`."""
    from recsweep.recbole_api import model as recbole

    original, begin = recbole.fit, []

    def fit(*args: Any, **others: Any) -> Any:
        begin.append(now())
        return original(*args, **others)

    recbole.fit = fit
    return begin


def shortened(split: Any, stride: int) -> tuple[Any, Any]:
    """A split with every so-many-th sample and validation user, and a copy of all training samples."""
    import torch

    from recsweep.recbole_api.data import Split

    def few(part: Any) -> Any:
        return part.copy(part.inter_feat[torch.arange(0, len(part.inter_feat), stride)])

    train, valid, test = split.parts
    whole = {name: values.clone() for name, values in train.inter_feat.interaction.items()}
    return Split(split.whole, (few(train), few(valid), test)), whole


if __name__ == "__main__":
    main()
