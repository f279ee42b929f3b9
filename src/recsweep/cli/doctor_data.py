"""A data set in lines: what it is, what ways of splitting make of it, and which of them fits."""

from __future__ import annotations

from collections.abc import Iterator

from recsweep.datasets.described import Described
from recsweep.datasets.facts import QUANTILES
from recsweep.datasets.protocols import SplitFacts

_HEADS = ("train", "valid", "test", "users", "cold users", "cold items", "leak", "future", "ties")


def lines(found: Described) -> Iterator[str]:
    """The lines on a data set."""
    facts = found.facts
    sizes = f"{facts.interactions:,} interactions of {facts.users:,} users with {facts.items:,} items"
    yield f"{found.name}: {sizes}"
    named = zip(QUANTILES, facts.lengths, strict=True)
    lengths = ", ".join(f"{_quantile(share)} {length:g}" for share, length in named)
    yield f"  density {facts.density:.3%}; interactions of a user: {lengths}"
    yield f"  repeats {facts.repeats:.1%}; Gini of the items' popularity {facts.gini:.2f}"
    yield f"  {_times(found)}"
    yield from _table(found)
    same = found.fit.split == found.split
    yield f"  what fits it: {found.fit.split.text}{', as its file has it' if same else _to_write(found)}"
    for text, reason in found.fit.against.items():
        yield f"    not {text}: {reason}"
    for remark in found.remarks:
        yield f"  {remark}"


def _quantile(share: float) -> str:
    return {0.0: "least", 0.5: "median", 1.0: "most"}.get(share, f"{share:.0%}")


def _times(found: Described) -> str:
    facts = found.facts
    if facts.span is None:
        return "no column of times is loaded"
    days = "" if facts.days is None else f", {facts.days:,.1f} days"
    ties = f"{facts.ties:.1%} of the interactions tie with another one of their user"
    return f"times span {facts.span:,.0f}{days}; {ties}"


def _to_write(found: Described) -> str:
    """The key of a data set's file."""
    split = found.fit.split
    return f" (split: {split.name})"


def _table(found: Described) -> Iterator[str]:
    """Ways of splitting side by side; a star marks the data set's own."""
    own = found.split.text
    rows: list[tuple[str, ...]] = [("  split", *_HEADS)]
    rows += [(f"{'*' if text == own else ' '} {text}", *_cells(made)) for text, made in found.splits.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        rest = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield f"  {name:{widths[0]}}  {'  '.join(rest)}"


def _cells(made: SplitFacts) -> list[str]:
    counts = [made.train, made.valid, made.test, made.test_users]
    shares = [made.cold_users, made.cold_items, made.leak, made.future, made.tied]
    return [f"{count:,}" for count in counts] + ["-" if share is None else f"{share:.1%}" for share in shares]
