"""Puts ranking into RecBole's trainer: when a validation can be computed by it, and how."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from recsweep.training.fast import metrics, native, ranking
from recsweep.training.fast.base import Family
from recsweep.training.fast.recbole_scores import RecboleScores
from recsweep.training.fast.sampled import Candidates
from recsweep.training.fast.table import Table
from recsweep.training.fast.user_ranking import Found, of_users

_RECBOLES = ("evaluate", "_full_sort_batch_eval", "_neg_sample_batch_eval", "_spilt_predict")
"""Methods that a trainer with another validation than RecBole's would have of its own."""
_RANKED = ("rec.topk", "rec.items")
_NOT_RANKS = ("rec.meanrank", "rec.score", "data.label")


def install(trainer: Any, family: Family | None, loader: Any) -> bool:
    """Let a trainer validate by ranks, where its metrics need no more and its validation is RecBole's.

    Args:
        trainer: RecBole's trainer of one trial; changed in place.
        family: scores the rows; None for RecBole's own scores.
        loader: the trial's validation loader.

    Returns:
        True where all items are scored by the family, and by nothing else.
    """
    if not (is_recboles(trainer) and ranks_suffice(trainer, loader)):
        return False
    made = SampledValidation if is_sampled(loader) else Validation
    if family is None or made is SampledValidation:
        if trainer.config["transform"] is not None:  # of the rows that RecBole's loader would give
            return False
        if family is None:
            family = RecboleScores(trainer, loader)
    trainer.evaluate = made(trainer, family, loader).evaluate
    metrics.install(trainer.evaluator)
    return made is Validation


def is_recboles(trainer: Any) -> bool:
    """Model and validation are RecBole's own code; somebody's own may do anything."""
    names = {getattr(getattr(type(trainer), name, None), "__qualname__", "") for name in _RECBOLES}
    untouched = names == {f"Trainer.{name}" for name in _RECBOLES}
    return untouched and type(trainer.model).__module__.startswith("recbole.model.")


def ranks_suffice(trainer: Any, loader: Any) -> bool:
    """A loader's metrics need nothing but the ranks of the right items, and the lists."""
    config, register = trainer.config, trainer.eval_collector.register
    whole = type(loader).__name__ == "FullSortEvalDataLoader"
    if not (whole or is_sampled(loader)) or not config["single_spec"]:
        return False
    needed = [any(map(register.need, names)) for names in (_RANKED, _NOT_RANKS)]
    return needed == [True, False]


def is_sampled(loader: Any) -> bool:
    """Users are validated among sampled candidates that can be drawn here."""
    if type(loader).__name__ != "NegSampleEvalDataLoader" or loader.is_sequential:
        return False
    wanted, sampler = loader.neg_sample_args, loader._sampler
    drawn = wanted["distribution"] in ("uniform", "popularity") and wanted["sample_num"] != "none"
    return drawn and not wanted.get("dynamic") and type(sampler).__name__ == "Sampler"


class Validation:
    """`Trainer.evaluate` on the validation loader, by ranks; on anything else, RecBole's."""

    def __init__(self, trainer: Any, family: Family, loader: Any) -> None:
        self._trainer, self._family, self._loader = trainer, family, loader
        self._table = self._made_table()
        self._kernels = native.kernels() if trainer.device.type == "cpu" else None
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
            found = self._found()
        if found is None:
            return self._recbole(eval_data, load_best_model, model_file, show_progress)
        self._family.draw_as_validation(self._loader)
        collector = self._trainer.eval_collector
        collector.data_struct.update_tensor("rec.topk", found.hits)
        if found.items is not None:
            collector.data_struct.update_tensor("rec.items", found.items)
        return self._trainer.evaluator.evaluate(collector.get_data_struct())

    def _found(self) -> Found | None:
        """All that RecBole's metrics are computed from; None where it is RecBole's to decide.

        A model that draws its scores would draw others for other batches: it stays with RecBole, unless its
        family draws as RecBole does.
        """
        self._trainer.model.eval()
        at_first = _Randomness(self._trainer.device)
        self._draw()
        before = _Randomness(self._trainer.device)
        found = self._ranked()
        self._draws = before.differs() and not self._draws_alike
        if found is None or self._draws:
            at_first.put_back()
        return None if self._draws else found

    @property
    def _draws_alike(self) -> bool:
        """The random numbers of the scores are those that RecBole would draw."""
        return self._family.draws_scores

    @property
    def _asked(self) -> tuple[int, bool]:
        """The largest cut-off, and that lists are needed."""
        collector = self._trainer.eval_collector
        return max(collector.topk), collector.register.need("rec.items")

    def _made_table(self) -> Table:
        return (Table.of if self._loader.is_sequential else Table.of_users)(
            self._loader, self._trainer.device
        )

    def _draw(self) -> None:
        """Draw what RecBole draws before it scores."""

    def _ranked(self) -> Found | None:
        cutoff, lists = self._asked
        return ranking.found(self._family, self._table, cutoff, self._kernels, lists=lists)


class SampledValidation(Validation):
    """The same among sampled candidates."""

    _draws_alike = False  # of pairs RecBole draws other numbers

    def _made_table(self) -> Table:
        self._candidates = Candidates(self._loader, self._trainer.device)
        return self._candidates.table

    def _draw(self) -> None:
        self._candidates.draw()

    def _ranked(self) -> Found | None:
        if self._family.by_recbole:
            parts = self._candidates.recboles(self._trainer)
        else:
            parts = self._candidates.scores(self._family)
        cutoff, lists = self._asked
        return of_users(parts, self._table, self._candidates.labels, cutoff, self._kernels, lists=lists)


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
