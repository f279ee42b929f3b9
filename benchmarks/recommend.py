"""Lists for very many users: what ranking and writing cost beside the product of the factors itself.

Users and items have factors drawn at random, as a trained BPR has them. The product alone is what torch takes
to multiply them, a slice of users after the other into the same memory, by the fastest of some sizes of
slices. The lists are what `recsweep recommend` makes, to a Parquet file. Both are timed in turns, a part of
the users after the other, since a machine that other work shares changes its pace by half within a minute.

    python benchmarks/recommend.py --write
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from recsweep.training.fast import native
from recsweep.training.fast.factorized import Bpr
from recsweep.training.fast.table import Pairs, Table
from recsweep.training.list_files import write_lists
from recsweep.training.lists import Lists, top_lists
from results import command, own_lines, write_section

TARGET = 2.0
CPU = torch.device("cpu")
SLICES = (128, 512, 2048)
"""Users whose scores are multiplied at once; the fastest counts."""
SHARE, TURNS = 10, 40
"""A part of all users, by which the product is timed; in so many turns with the lists."""
REST_SECONDS = 0.2


class Factors(Bpr):
    """Only scores."""

    trains = False


@dataclass(frozen=True)
class Found:
    """Seconds, but for the last."""

    product: float
    """Scaled to all users."""
    whole: float
    rows: int
    file_bytes: int
    peak_bytes: int

    @property
    def ratio(self) -> float:
        return self.whole / self.product


def main() -> int:
    parser = argparse.ArgumentParser(description="Ranking and writing, beside the product itself.")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--top", type=int, default=100)
    parser.add_argument("--seen", type=int, default=50, help="items that each user has had")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    asked = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(1)
    found = measured(asked)
    text = report(found, asked)
    print(text)
    if asked.write:
        write_section("recommend", text)
    return 0 if found.ratio <= TARGET else 1


def measured(asked: argparse.Namespace) -> Found:
    users, items = torch.randn(asked.users, asked.width), torch.randn(asked.items, asked.width)
    seen, _ = torch.randint(1, asked.items, (asked.users, asked.seen)).sort(dim=1)
    hidden = Pairs(torch.full((asked.users,), asked.seen), seen.view(-1))
    names = [
        np.array([f"{kind}{n}" for n in range(count)])
        for kind, count in (("u", asked.users), ("i", asked.items))
    ]
    size = min(SLICES, key=lambda size: product(users[: asked.users // (8 * SHARE)], items, size))
    products: list[float] = []
    away = 0.0

    def in_turns() -> Iterator[Lists]:
        nonlocal away
        for some in torch.arange(1, asked.users).chunk(TURNS):
            began = time.perf_counter()
            time.sleep(REST_SECONDS)  # the last lists are written beside
            products.append(SHARE * product(users[some[: len(some) // SHARE]], items, size))
            away += time.perf_counter() - began
            yield from top_lists(family, _table, some, hidden, asked.top)

    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lists.parquet"
        family = Factors(factors(users, items), native.kernels(), 1)
        began = time.perf_counter()
        written, _ = write_lists(file, in_turns(), *names)
        whole = time.perf_counter() - began - away
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Found(sum(products), whole, written * asked.top, file.stat().st_size, peak)


def product(users: torch.Tensor, items: torch.Tensor, size: int) -> float:
    """Seconds to multiply all of these, a slice after the other."""
    into = torch.empty(size, len(items))
    began = time.perf_counter()
    for some in torch.split(users, size):
        torch.mm(some, items.t(), out=into[: len(some)])
    return time.perf_counter() - began


def factors(users: torch.Tensor, items: torch.Tensor) -> Any:
    tables = {"user_embedding": users, "item_embedding": items}
    weights = {name: torch.nn.Parameter(values, requires_grad=False) for name, values in tables.items()}
    return SimpleNamespace(**{name: SimpleNamespace(weight=weight) for name, weight in weights.items()})


def _table(users: torch.Tensor) -> Table:
    return Table(users, users.new_empty(0), CPU)


def report(found: Found, asked: argparse.Namespace) -> str:
    told = "reached" if found.ratio <= TARGET else "missed"
    kernels = "compiled kernels" if native.kernels() is not None else "torch, for no kernels are built"
    return "\n".join(
        [
            f"## Top-{asked.top} lists, {asked.users:,} users x {asked.items:,} items, {asked.width} factors",
            "",
            f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}; {kernels}, two threads; {asked.seen} "
            "items of each user left out; written to Parquet.",
            "",
            *own_lines(),
            f"- Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
            "",
            "| | |",
            "|---|---:|",
            f"| the product alone (a {SHARE}th of the users, scaled), in {TURNS} turns with the lists "
            f"| {found.product:.0f} s |",
            f"| lists, ranked and written | {found.whole:.0f} s |",
            f"| ratio | **{found.ratio:.2f}** (target {TARGET:g}: {told}) |",
            f"| rows in the file | {found.rows:,} ({found.file_bytes / 2**20:.0f} MiB) |",
            f"| peak memory, factors and seen items included | {found.peak_bytes / 2**30:.1f} GiB |",
            f"| all scores at once would take | {4 * asked.users * asked.items / 2**30:.0f} GiB |",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
