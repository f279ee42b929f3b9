"""Puts ranking into RecBole's trainer: when a validation can be computed by it, and how."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from recsweep.training.fast import ranking
from recsweep.training.fast.base import Family
from recsweep.training.fast.recbole_scores import RecboleScores
from recsweep.training.fast.table import Table

_RECBOLES = ("evaluate", "_full_sort_batch_eval")
"""Methods that a trainer with another validation than RecBole's would have of its own."""
_NOT_RANKS = ("rec.items", "rec.meanrank", "rec.score", "data.label")


def install(trainer: Any, family: Family | None, loader: Any) -> None:
    """Let a trainer validate by ranks, where its metrics need no more and its validation is RecBole's.

    Args:
        trainer: RecBole's trainer of one trial; changed in place.
        family: scores the rows; None for RecBole's own scores.
        loader: the trial's validation loader.
    """
    if not (is_recboles(trainer) and ranks_suffice(trainer, loader)):
        return
    if family is None:
        if trainer.config["transform"] is not None:  # of the rows that RecBole's loader would give
            return
        family = RecboleScores(trainer, loader)
    trainer.evaluate = Validation(trainer, family, loader).evaluate


def is_recboles(trainer: Any) -> bool:
    """Model and validation are RecBole's own code; somebody's own may do anything."""
    names = {getattr(getattr(type(trainer), name, None), "__qualname__", "") for name in _RECBOLES}
    untouched = names == {f"Trainer.{name}" for name in _RECBOLES}
    return untouched and type(trainer.model).__module__.startswith("recbole.model.")


def ranks_suffice(trainer: Any, loader: Any) -> bool:
    """A loader's metrics need nothing but the ranks of the right items."""
    config, register = trainer.config, trainer.eval_collector.register
    if type(loader).__name__ != "FullSortEvalDataLoader" or not config["single_spec"]:
        return False
    return register.need("rec.topk") and not any(register.need(name) for name in _NOT_RANKS)


class Validation:
    """`Trainer.evaluate` on the validation loader, by ranks; on anything else, RecBole's."""

    def __init__(self, trainer: Any, family: Family, loader: Any) -> None:
        self._trainer, self._family, self._loader = trainer, family, loader
        self._table = (Table.of if loader.is_sequential else Table.of_users)(loader, trainer.device)
        self._recbole = trainer.evaluate
        self._draws = False

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: Any = None,
        show_progress: bool = False,
    ) -> Any:
        """As RecBole's: metrics by name."""
        found = None
        if eval_data is self._loader and not load_best_model and not self._draws:
            found = self._hits()
        if found is None:
            return self._recbole(eval_data, load_best_model, model_file, show_progress)
        self._family.draw_as_validation(self._loader)
        collector = self._trainer.eval_collector
        collector.data_struct.update_tensor("rec.topk", found)
        return self._trainer.evaluator.evaluate(collector.get_data_struct())

    def _hits(self) -> torch.Tensor | None:
        """RecBole's matrix of hits; None where it is RecBole's to decide.

        A model that draws its scores would draw others for other batches: it stays with RecBole.
        """
        self._trainer.model.eval()
        before = _Randomness(self._trainer.device)
        found = ranking.hits(self._family, self._table, max(self._trainer.eval_collector.topk))
        self._draws = before.differs()
        if self._draws:
            before.put_back()
            return None
        return found


class _Randomness:
    """The state of all random generators, at one moment."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._python, self._numpy = random.getstate(), np.random.get_state()
        self._torch = torch.get_rng_state()
        self._gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def differs(self) -> bool:
        """Somebody has drawn since."""
        if self._python != random.getstate() or not torch.equal(self._torch, torch.get_rng_state()):
            return True
        if self._gpu is not None and not torch.equal(self._gpu, torch.cuda.get_rng_state(self._device)):
            return True
        return not _same_numpy(self._numpy, np.random.get_state())

    def put_back(self) -> None:
        """As if nobody had drawn."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._gpu is not None:
            torch.cuda.set_rng_state(self._gpu, self._device)


def _same_numpy(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one[1], other[1])) and one[2:] == other[2:]
