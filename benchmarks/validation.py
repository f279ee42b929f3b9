"""The validation of a general model, beside the product of its factors alone.

Users and items have factors drawn at random, as a trained BPR has them. Ours is the validation that a
trial runs: the family's scores, the items that a user had before left out, ranks, RecBole's metrics at
10. The product alone is what torch takes to multiply the same factors, a slice of users after the other
into the same memory, by the fastest of some sizes of slices. Both take turns in one process, two threads;
the ratio is the median of those of the turns. The hits of some users are compared with those of a sort of
all their scores.

    python benchmarks/validation.py --write

Exit code 1 where a must is missed, or hits differ.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from recommend import CPU, SLICES, Factors, factors, product
from recsweep.recbole_api import compat
from recsweep.training.fast import metrics, native
from recsweep.training.fast.table import Labels, Pairs, Table
from recsweep.training.fast.validation import Validation
from results import command, own_lines, write_section

THREADS, WIDTH, CUTOFF = 2, 64, 10
METRICS = ["Recall", "MRR", "NDCG", "Hit"]
CHECKED = 256
"""Users whose hits are compared."""


@dataclass(frozen=True)
class Size:
    """A validation, and what it may take."""

    users: int
    items: int
    hidden: int
    """Items that each user had before."""
    right: int
    turns: int
    must: float
    aim: float
    unit: str
    """ms: milliseconds; x: times the product alone."""

    @property
    def label(self) -> str:
        return f"{self.users:,} users x {self.items:,} items"


SIZES = (
    Size(943, 1_682, 80, 10, 101, 10, 5, "ms"),
    Size(100_000, 50_000, 50, 5, 5, 2, 1.3, "x"),
)


class Timed(Validation):
    """Recsweep's own validation, of made users: there is no loader."""

    def __init__(self, trainer: Any, family: Factors, table: Table) -> None:
        self._made = table
        super().__init__(trainer, family, None)

    def _made_table(self) -> Table:
        return self._made

    def hits(self) -> torch.Tensor:
        """[users, CUTOFF + 1]: 1 at the rank of a right item, then the number of these."""
        found = self._found()
        if found is None:
            raise RuntimeError("this validation is left to RecBole: nothing is measured")
        return found.hits


@dataclass(frozen=True)
class Found:
    """Seconds by the clock, of each turn."""

    size: Size
    ours: list[float]
    product: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(one / other for one, other in zip(self.ours, self.product, strict=True))

    @property
    def value(self) -> float:
        """In the unit of the target."""
        return 1000 * statistics.median(self.ours) if self.size.unit == "ms" else self.ratio


def main() -> int:
    parser = argparse.ArgumentParser(description="The validation of a general model, beside its product.")
    parser.add_argument("--small", action="store_true", help="the first size alone")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    compat.apply()
    found = [measured(size) for size in (SIZES[:1] if asked.small else SIZES)]
    text = report(found)
    print(text)
    if asked.write:
        write_section("validation", text)
    return 0 if all(one.value <= one.size.must for one in found) else 1


@torch.no_grad()
def measured(size: Size) -> Found:
    """Turns of both; the first of each is not counted."""
    torch.manual_seed(1)
    users, items = torch.randn(size.users + 1, WIDTH), torch.randn(size.items + 1, WIDTH)
    table = _table(size)
    validation = Timed(_trainer(), Factors(factors(users, items), native.kernels(), 1), table)
    _check(validation.hits()[:CHECKED], users, items, table)
    asked = users[1:]
    slices = min(SLICES, key=lambda step: product(asked[: max(943, size.users // 20)], items, step))
    ours, products = [], []
    for _ in range(size.turns + 1):
        products.append(product(asked, items, slices))
        began = time.perf_counter()
        validation.evaluate(None, load_best_model=False)
        ours.append(time.perf_counter() - began)
    return Found(size, ours[1:], products[1:])


def _table(size: Size) -> Table:
    """The users, each with items of the whole range, of which the first few are right."""
    users = torch.arange(1, size.users + 1)
    some = size.hidden + size.right
    step = size.items // some
    drawn = torch.randint(1, step + 1, (size.users, some)) + step * torch.arange(some)  # none twice
    right = torch.rand(size.users, some).argsort(1).argsort(1) < size.right
    labels = [Pairs(which.sum(1), drawn[which]) for which in (right, ~right)]
    return Table(users, users.new_empty(0), CPU, labels=Labels(*labels))


def _trainer() -> Any:
    """What a validation asks of RecBole's trainer."""
    config = {
        **{"metrics": METRICS, "topk": [CUTOFF], "metric_decimal_place": 4, "device": CPU},
        "eval_args": {"mode": {"valid": "full", "test": "full"}},
    }
    evaluator = compat.recbole("evaluator")
    made = SimpleNamespace(
        device=CPU,
        evaluate=None,
        model=SimpleNamespace(eval=lambda: None),
        eval_collector=evaluator.Collector(config),
        evaluator=evaluator.Evaluator(config),
    )
    metrics.install(made.evaluator)
    return made


def _check(hits: torch.Tensor, users: torch.Tensor, items: torch.Tensor, table: Table) -> None:
    """Hold hits of the first users against a sort.

    Raises:
        SystemExit: they differ.
    """
    labels, rows = table.labels, torch.arange(len(hits))
    if labels is None:
        raise RuntimeError("the users have no items")
    scores = users[table.users[: len(hits)]] @ items.t()
    scores[:, 0] = -torch.inf
    scores[labels.hidden.at(rows)] = -torch.inf
    right = torch.zeros(scores.shape, dtype=torch.int32)
    right[labels.right.at(rows)] = 1
    best = scores.sort(dim=1, descending=True).indices[:, :CUTOFF]
    if not torch.equal(hits, torch.cat([right.gather(1, best), right.sum(1, dtype=torch.int32)[:, None]], 1)):
        raise SystemExit("the hits are not those of a sort of all scores")


def report(found: list[Found]) -> str:
    kernels = "compiled kernels" if native.kernels() is not None else "torch, for no kernels are built"
    lines = [
        "## Validation of a general model, beside the product of its factors",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}; {kernels}, {THREADS} threads, "
        f"{WIDTH} factors; {', '.join(METRICS)} at {CUTOFF}; medians of turns.",
        "What is compared, and how, stands at the top of [validation.py](validation.py).",
        "",
        *own_lines(),
        f"- Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        "",
        "| | turns | the product alone, ms | validation, ms | times the product | must | aim | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*lines, *map(_row, found)])


def _row(one: Found) -> str:
    size = one.size
    ours, alone = (1000 * statistics.median(seconds) for seconds in (one.ours, one.product))
    told = "aim reached" if one.value <= size.aim else "reached" if one.value <= size.must else "**missed**"
    targets = [f"{value:g} {size.unit}" for value in (size.must, size.aim)]
    return (
        f"| {size.label} | {size.turns} | {alone:.1f} | {ours:.1f} | {one.ratio:.2f} "
        f"| {targets[0]} | {targets[1]} | {told} |"
    )


if __name__ == "__main__":
    sys.exit(main())
