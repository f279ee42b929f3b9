"""Made interactions of ml-1m's shape, for speed.py: 6,040 users, 3,706 items, a million ratings.

Users and items are long-tailed as those of `import_data.py`, but nobody has an item twice, and nobody has
fewer than 20: a user's items are those whose exponential clocks, as quick as the items are popular, ring
first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MADE = "made-1m"
USERS, ITEMS, ROWS, LEAST = 6_040, 3_706, 1_000_209, 20
_AT_ONCE = 512
"""Users whose clocks run at once."""


def made(folder: Path) -> Path:
    """The folder of the data set below a folder; its atomic file is made now unless it is there."""
    path = folder / MADE / f"{MADE}.inter"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        _write(part)
        part.rename(path)
    return path.parent


def counts(generator: np.random.Generator) -> NDArray[np.int64]:
    """[users]: how many items each has, `ROWS` together; `LEAST` to half of all items."""
    shares = np.minimum(generator.lognormal(0, 1.2, USERS), 20)
    found: NDArray[np.int64] = (
        np.floor(shares / shares.sum() * (ROWS - LEAST * USERS)).astype(np.int64) + LEAST
    )
    found[: ROWS - found.sum()] += 1  # what rounding has left
    return found


def _write(path: Path) -> None:
    generator = np.random.default_rng(20)
    number = counts(generator)
    popularity = generator.permutation(generator.lognormal(0, 1.5, ITEMS)).astype(np.float32)
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
        for begin in range(0, USERS, _AT_ONCE):
            some = number[begin : begin + _AT_ONCE]
            first = _first_items(generator, popularity, len(some))
            for user, (count, items) in enumerate(zip(some, first, strict=True), begin + 1):
                file.writelines(_rows(generator, user, items[:count]))


def _first_items(generator: np.random.Generator, popularity: NDArray[Any], users: int) -> NDArray[np.int64]:
    """[users, items]: all items in the order in which they ring."""
    clocks = generator.standard_exponential((users, ITEMS), dtype=np.float32) / popularity
    found: NDArray[np.int64] = clocks.argsort(axis=1) + 1
    return found


def _rows(generator: np.random.Generator, user: int, items: NDArray[np.int64]) -> list[str]:
    stars = generator.integers(1, 6, len(items)).tolist()
    times = generator.integers(956_703_932, 1_046_454_590, len(items)).tolist()
    columns = zip(items.tolist(), stars, times, strict=True)
    return [f"{user}\t{item}\t{rating}\t{moment}\n" for item, rating, moment in columns]
