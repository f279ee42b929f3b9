"""RecBole trains one configuration, timed; runs in RecBole's own environment (see speed.py).

The steps are those of RecBole's `objective_function` up to and with `trainer.fit`, and RecBole's code
is untouched; importing `recbole.quick_start`, as its tuner does, brings ray along. The loaders note
the time around each batch. Where only some batches are wanted, their iteration ends after these, so
one epoch of `trainer.fit` is that much shorter, in training and in validation.

    python speed_recbole.py TASK.json    # in an empty folder: RecBole writes into it
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from speed_process import Channel, Mark, now


def main() -> None:
    channel = Channel()
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.argv = sys.argv[:1]  # RecBole reads it
    train_data, valid_data, trainer = prepare(task["config"])

    epochs: list[dict[str, Any]] = []
    batches = note_batches(train_data, task["batches"], task["least"], task["seconds"])
    evaluated = note_batches(valid_data, task["valid_batches"])
    scores: list[float] = []

    def after_epoch(index: int, score: float) -> None:
        scores.append(float(score))
        epochs.append({"train": batches[0], "valid": _ends(evaluated[0]), "end": now()})
        for notes in (batches, evaluated):  # a model may go through its data several times an epoch
            notes.clear()

    channel.ready()
    trainer.fit(train_data, valid_data, verbose=False, saved=True, callback_fn=after_epoch)
    channel.result(epochs=epochs, scores=scores)


def prepare(config_file: str) -> tuple[Any, Any, Any]:
    """Loaders and trainer, made as RecBole's `objective_function` makes them."""
    from recbole.quick_start.quick_start import (
        Config,
        create_dataset,
        data_preparation,
        get_model,
        get_trainer,
        init_logger,
        init_seed,
    )

    config = Config(config_file_list=[config_file])
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    logging.basicConfig(level=logging.ERROR)
    dataset = create_dataset(config)
    train_data, valid_data, _ = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return train_data, valid_data, trainer


def note_batches(
    loader: Any, limit: int | None, least: int = 0, seconds: float = math.inf
) -> list[dict[str, Any]]:
    """Let a loader note the time around its batches, and end after some of them.

    Args:
        limit: batches after which it ends; None: it does not.
        least: with a limit, batches after which it may end before.
        seconds: with a limit, time after which it does so.

    Returns:
        A list that gets, for each iteration, its marks (one more than batches), the samples of each
        batch, and the samples of the whole loader.
    """
    kind = type(loader)
    notes: list[dict[str, Any]] = []

    def timed(self: Any) -> Iterator[Any]:
        marks: list[Mark] = [now()]
        sizes: list[int] = []
        for batch in islice(kind.__iter__(self), limit):
            sizes.append(len(batch[0]) if isinstance(batch, tuple) else len(batch))
            yield batch
            marks.append(now())
            if limit is not None and len(sizes) >= least and marks[-1][0] - marks[0][0] > seconds:
                break
        notes.append({"marks": marks, "sizes": sizes, "total": int(self.sample_size)})

    loader.__class__ = type(kind.__name__, (kind,), {"__iter__": timed})
    return notes


def _ends(note: dict[str, Any]) -> dict[str, Any]:
    """Only the first and the last mark: a validation can have thousands of batches."""
    marks = note["marks"]
    return {"marks": [marks[0], marks[-1]], "sizes": [sum(note["sizes"])], "total": note["total"]}


if __name__ == "__main__":
    main()
