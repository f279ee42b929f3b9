"""A data set as its file wants it read: its numbers, what its split makes of it, and what would fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recsweep.common.files import to_plain
from recsweep.datasets.check import read_checked
from recsweep.datasets.facts import QUANTILES, DataFacts, Interactions, facts_of
from recsweep.datasets.files import DataFiles
from recsweep.datasets.protocols import PROTOCOLS, Fit, SplitFacts, fitting, split_facts
from recsweep.sweeps.config import DatasetConfig, SplitConfig
from recsweep.sweeps.documents import Document


@dataclass(frozen=True)
class Described:
    """A data set.

    Attributes:
        split: as its file has it; what that makes of the data is among `splits`.
        splits: what each way of splitting makes of the data, by its text.
        remarks: lines on what is no mistake, but may not be meant.
    """

    name: str
    facts: DataFacts
    split: SplitConfig
    splits: Mapping[str, SplitFacts]
    fit: Fit
    remarks: tuple[str, ...] = ()

    @property
    def own(self) -> SplitFacts:
        """The facts of the data set's own split."""
        return self.splits[self.split.text]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        facts = to_plain(self.facts)
        lengths = zip(QUANTILES, self.facts.lengths, strict=True)
        facts["lengths"] = {f"{share:g}": value for share, value in lengths}
        fits = {"split": to_plain(self.fit.split.model_dump()), "text": self.fit.split.text}
        return {
            "dataset": self.name,
            **facts,
            "split": self.split.text,
            "splits": to_plain(self.splits),
            "fits": {**fits, "against": dict(self.fit.against)},
            "remarks": list(self.remarks),
        }


def describe(dataset: DatasetConfig, document: Document, files: DataFiles, seed: int = 0) -> Described:
    """Read a data set and look at it.

    Args:
        seed: of splits that are random.

    Raises:
        InputError: what `check_dataset` refuses.
    """
    checked, tables = read_checked(dataset, document, files)
    data = Interactions.of(tables)
    facts = facts_of(data)
    wanted = {**PROTOCOLS, dataset.split.text: dataset.split}
    splits = {text: split_facts(data, split, seed) for text, split in wanted.items()}
    return Described(
        document.path.stem, facts, dataset.split, splits, fitting(facts, splits), checked.remarks
    )
