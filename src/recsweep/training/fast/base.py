"""The contract of a fast path: what a family of models gives to the trainer, and what it may rely on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recsweep.training.fast import losses
from recsweep.training.fast.dropout import Masks
from recsweep.training.fast.scores import Scores
from recsweep.training.fast.stream import Batch, Stream, placed
from recsweep.training.fast.table import Table


@dataclass(frozen=True)
class Pass:
    """One walk through the training data. RecBole's epoch is one, or several that train parts in turns."""

    name: str
    optimizer: Any
    counted: bool = True
    """Its loss is part of the epoch's."""


class Family(ABC):
    """RecBole models that share a faster way to the numbers that RecBole computes.

    One object serves one trial. It wraps RecBole's own model, which **owns the parameters**: a family works
    on them in place and keeps no copy, so that weights, optimizer and checkpoints are RecBole's at any
    moment. RecBole keeps the loop too: epochs, early stop, learning rate, metrics.

    **What is asked before a path is taken**, in this order: is the trainer RecBole's own, and the model? Does
    a family in `families.FAST_FAMILIES` name it in `models`? Is the data's transform one that the family does
    itself (`transforms`)? One device, no loader processes, negatives that can be drawn here? And `refuses`:
    is there anything in this configuration that was not proven? The first no is the reason in the trial's
    result, and RecBole trains. Nothing is asked again later: a path does not change within a trial.

    **Training.** `begin` puts the model into training mode for an epoch; `passes` says what walks through
    the data an epoch is made of, and `turn` hears of each; `batches` gives one walk, `step` the loss of one
    batch. The trainer clips, and calls the optimizer, which clears the gradients. A batch is row numbers of a
    `Table` whose columns lie on the trial's device; targets are `table.items`, negatives come with the batch.

    - `step(table, batch)` **adds** the gradients of the loss to the parameters' `grad`, scaled by `backward`
      where there is a scaler, and returns the loss as RecBole's `calculate_loss` has it for that batch: a
      mean over the samples, unscaled. A Python float, or a tensor without dimensions and without a graph;
      a GPU is never waited for.
    - With a family that only scores (`trains = False`) RecBole trains, and validation is fast; `untrained`
      says why.

    **Validation.** `scores(table)` gives the scores of all items for every row, in parts of any size and
    order, each row once: row numbers [rows] int64 on the CPU with `Scores` [rows, n_items] on the trial's
    device, in RecBole's units as far as their order goes. It is called in evaluation mode, without gradients.
    Padding, the items that a user had before, ties and **labels** are not its business: a row's label is its
    target, `table.items`, or where rows are users the items of `table.labels`. The ranking sees to those.

    **Equal results** mean: the same batches, the same negatives and the same state of all random generators
    as RecBole; without dropout the losses of three epochs within 1e-5 (relative), the parameters within 1e-4
    (relative), the metrics within 1e-4, and of the same parameters the same top items, ties as torch's top-k
    decides them. With dropout, masks are other random numbers. `assert_equal_runs` of `tests/helpers/fast.py`
    holds a path to it; every model in `models` needs its case in `tests/helpers/fast_cases/`.

    A family may have two ways to the same numbers: `torch_step`, on any device, and `native_step` with the
    compiled kernels, on a CPU in float32.

    Args:
        model: RecBole's model; its parameters are used in place.
        kernels: the compiled operators, or None for the torch path.
        seed: of the trial; dropout masks of the compiled path come from it.
    """

    models: ClassVar[tuple[str, ...]] = ()
    """RecBole's models that it serves, by name."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Models that it could serve and does not, and why."""
    transforms: ClassVar[Mapping[str, str]] = {}
    """By model, the transform of RecBole's loader that the family does itself."""
    has_kernels: ClassVar[bool] = True
    """There are compiled steps; without them it is torch's everywhere."""
    trains: ClassVar[bool] = True
    """There are steps; without them RecBole trains."""
    untrained: ClassVar[str] = "its family has no steps"
    """Why RecBole trains, where there are no steps."""
    by_recbole: ClassVar[bool] = False
    """Its scores are what RecBole's own functions say, which may score other candidates for less."""
    trainers: ClassVar[tuple[str, ...]] = ("Trainer",)
    """RecBole's trainers whose epochs the family computes, by name."""
    pointwise: ClassVar[bool] = False
    """Negatives are samples of their own, labelled 0: a batch is its rows, then as many of the same users, or
    several times as many. Without negatives the labels stand in the data: `table.answers`."""
    several_negatives: ClassVar[bool] = False
    """A sample may have several negatives."""
    draws_scores: ClassVar[bool] = False
    """A part of the scores is drawn; `scores` draws it as RecBole's validation does, whatever its batches."""

    computes: ClassVar[bool] = False
    """The model is not learnt: `blank` and `compute` stand for RecBole's constructor; see `Computed`."""

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        self.model, self.kernels = model, kernels if self.has_kernels else None
        self._seed, self._steps = seed, 0
        self.scaler: torch.amp.GradScaler | None = None
        """Scales losses where float16 would lose small gradients."""
        self.masks: Masks | None = None
        """Where dropout's random numbers come from, if not from torch or a kernel."""
        self.weights: list[torch.nn.Parameter] = self.parameters()
        self._plain = [weight.detach() for weight in self.weights]
        if self.trains:
            for weight in self.weights:
                if weight.requires_grad:
                    weight.grad = torch.zeros_like(weight)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        """Why this configuration of a model has no fast path, or None."""
        return None

    @classmethod
    def refuses_data(cls, model: Any, loader: Any) -> str | None:
        """Why these data have no fast path for a model, or None.

        Args:
            loader: RecBole's of the training data.
        """
        return None

    @classmethod
    def blank(cls, model: Any, config: Any, data: Any) -> bool:
        """Fill a bare model but for what is computed; False where RecBole's constructor has to make it.

        Args:
            model: of RecBole's class, of which nothing but `GeneralRecommender` was made.
            config: of the trial.
            data: RecBole's data set of the training part.
        """
        return False

    @classmethod
    def refuses_training(cls, trainer: Any) -> str | None:
        """Why RecBole's trainer of a model trains in a way that has no fast path, or None."""
        return None

    def parameters(self) -> list[torch.nn.Parameter]:
        """All parameters of the model, in the order in which the kernels take them."""
        return list(self.model.parameters())

    # -- training ---------------------------------------------------------------------------------

    def begin(self, epoch: int) -> None:
        """Bring the model into training mode, and draw what RecBole's draws for an epoch; 0 is the first."""
        self.model.train()

    def compute(self, *, in_full: bool = True) -> None:  # noqa: B027  # most models are learnt
        """Compute a blank model; one that is computed is left as it is.

        Args:
            in_full: all that RecBole's own code scores by; without it, what the family's scores need.
        """

    def passes(self, trainer: Any) -> list[Pass]:
        """The walks through the data that make up an epoch of RecBole's trainer."""
        return [Pass("", trainer.optimizer)]

    def turn(self, one: Pass) -> None:  # noqa: B027  # most models have one
        """A pass begins."""

    def batches(self, stream: Stream, table: Table) -> Iterator[Batch]:
        """The batches of one epoch, in RecBole's order.

        Args:
            stream: draws RecBole's permutations and negatives.
            table: the training data.
        """
        return placed(stream.epoch(), table)

    def step(self, table: Table, batch: Batch) -> torch.Tensor | float:
        """Loss of a batch; gradients are added to the parameters' `grad`."""
        self._steps += 1
        if self.kernels is None:
            return self.torch_step(table, batch)
        return losses.a_number(self.native_step(table, batch))

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        """`step` by torch operations."""
        raise NotImplementedError

    def native_step(self, table: Table, batch: Batch) -> float:
        """`step` by the compiled kernels; asked for only where there are some."""
        raise NotImplementedError

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of a loss, scaled where there is a scaler."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def state(self) -> dict[str, Any]:
        """All that is kept from batch to batch, beside weights and optimizer."""
        return {
            "steps": self._steps,
            "reached": [weight.grad is not None for weight in self.weights],
            "masks": None if self.masks is None else self.masks.state(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from there; what this path has no use for is left."""
        self._steps = state["steps"]
        for weight, reached in zip(self.weights, state["reached"], strict=True):
            if reached and weight.grad is None:  # it is stepped even where a batch does not reach it
                weight.grad = torch.zeros_like(weight)
        if self.masks is not None and state["masks"] is not None:
            self.masks.go_on(state["masks"])
        if self.scaler is not None and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])

    # -- validation -------------------------------------------------------------------------------

    @abstractmethod
    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        """Row numbers on the CPU and the scores of these rows, until all had their turn."""

    def draw_as_validation(self, loader: Any) -> None:  # noqa: B027  # most loaders draw nothing
        """Use up the random numbers that RecBole's loader would have drawn in the validation just done."""

    # -- what the kernels take --------------------------------------------------------------------

    @property
    def plain(self) -> list[torch.Tensor]:
        """The parameters without autograd, as the kernels take them."""
        return self._plain

    @property
    def gradients(self) -> list[torch.Tensor]:
        """Where the gradients are added up."""
        return [weight.grad for weight in self.weights if weight.grad is not None]

    def step_seed(self) -> int:
        """A seed for the dropout masks of this batch: trial and batch, spread over 63 bits."""
        mixed = (self._seed * 0x9E3779B97F4A7C15 + self._steps * 0xD1B54A32D192ED03) & (2**64 - 1)
        return mixed >> 1

    @property
    def path(self) -> str:
        """The way that is taken: `compiled` or `torch`."""
        return "torch" if self.kernels is None else "compiled"
