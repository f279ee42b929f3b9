"""RecBole's data sets, made of tables that were read and checked, not of files that pandas reads again.

RecBole reads with pandas: a quote swallows the rows up to the next one, and ids such as `NA` or `null` are
dropped as missing. Here it is handed frames; all that it does with them stays its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from recsweep.common.orders import ordered_ranks
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.settings import LABEL_SCALE, OWN_SPLIT, TIME_ORDER

# A float32 between 0 and 1 tells this many equally spaced values apart.
MAX_EXACT_RANKS = 2**23


class Columns(Protocol):
    """Columns of one file."""

    @property
    def types(self) -> Mapping[str, str]:
        """Type of each column that was read, in the file's order."""

    def cells(self, name: str) -> np.ndarray[Any, Any]:
        """A cell for each row: texts, or numbers; NaN where it is empty."""

    def coded(self, name: str) -> tuple[Sequence[str], np.ndarray[Any, Any]]:
        """The different texts of a column, and the place of each row's among them."""


class AtomicFiles(Protocol):
    """Where a split gets its columns from."""

    def columns(self, path: Path, names: Collection[str] | None) -> Columns:
        """Columns of a file; None for all of them."""


def handed(cls: type[Any], files: AtomicFiles, config: TypedConfig) -> type[Any]:
    """A data set class of RecBole's that takes its columns from `files`.

    It is long, as the class stands in it.
    """
    exact = config[TIME_ORDER] == "exact"

    # One base alone: so a made data set can go back to RecBole's own class.
    class Handed(cls):  # type: ignore[misc]
        inter_feat: Any

        def _load_feat(self, filepath: str, source: Any) -> pd.DataFrame | None:
            frame = _load(self, files, Path(filepath), source)
            if not exact and frame is not None and self.time_field in frame:
                frame[self.time_field] = frame[self.time_field].astype(np.float64)
            return frame

        def _set_label_by_threshold(self) -> None:
            super()._set_label_by_threshold()
            for field, (least, most) in (config[LABEL_SCALE] or {}).items():
                kind, source = recbole("utils").FeatureType.FLOAT, recbole("utils").FeatureSource.INTERACTION
                self.set_field_property(self.label_field, kind, source, 1)
                self.inter_feat[self.label_field] = (self.inter_feat[field] - least) / (most - least)

        def _normalize(self) -> None:
            inter = self.inter_feat
            times = inter[self.time_field].copy() if exact and self.time_field in inter else None
            super()._normalize()
            if times is None:
                return
            order = _as_ranks(inter, self.time_field, times)
            if order is not None:
                columns = {name: inter[name].to_numpy()[order] for name in inter}
                self.inter_feat = pd.DataFrame(columns, copy=False)
                self._resorted(order)

        def _load_inter_feat(self, token: str, dataset_path: str) -> None:
            path, source = Path(dataset_path) / f"{token}.inter", recbole("utils").FeatureSource.INTERACTION
            if path.is_file() or config[OWN_SPLIT] is None:
                super()._load_inter_feat(token, dataset_path)
            else:  # files that are already split, which are handed as one
                self.inter_feat = self._load_feat(str(path), source)

        def _resorted(self, order: np.ndarray[Any, Any]) -> None:
            """For whoever has to know which row is which."""

    return Handed


def _load(dataset: Any, files: AtomicFiles, path: Path, source: Any) -> pd.DataFrame | None:
    """As RecBole's `_load_feat`, with what that notes of the columns, but the cells as they were checked."""
    load, unload = dataset._get_load_and_unload_col(source)
    if load == set():
        return None
    table = files.columns(path, None if load is None else sorted(load))
    frame: dict[str, Any] = {}
    for name, word in table.types.items():
        if unload and name in unload:
            continue
        kind, cells = recbole("utils").FeatureType(word), table.cells(name)
        if source != "link":
            dataset.field2source[name] = source
            dataset.field2type[name] = kind
            if "float" in word:
                dataset.field2bucketnum[name] = 2
            dataset.field2seqlen[name] = 1
        frame[name] = _sequences(dataset, name, kind, cells) if word.endswith("seq") else cells
    return pd.DataFrame(frame) if frame else None


def _sequences(dataset: Any, name: str, kind: Any, cells: np.ndarray[Any, Any]) -> list[Any]:
    """The values of each cell; equal cells share them. Longer ones than `seq_len` are cut."""
    longest = (dataset.config["seq_len"] or {}).get(name)
    separator = dataset.config["seq_separator"]
    parsed: dict[Any, Any] = {}
    for cell in cells:
        if cell not in parsed:
            parts = list(filter(None, cell.split(separator))) if isinstance(cell, str) else []
            numeric = kind == recbole("utils").FeatureType.FLOAT_SEQ
            parsed[cell] = np.array(list(map(float, parts))) if numeric else np.array(parts, dtype=str)
    length = max(map(len, parsed.values()), default=0)
    dataset.field2seqlen[name] = length if longest is None else min(longest, length)
    return [parsed[cell][:longest] for cell in cells]


def _as_ranks(inter: pd.DataFrame, field: str, times: pd.Series[Any]) -> np.ndarray[Any, Any] | None:
    """Replace the times of interactions by their ranks; the order to bring the rows into, or None.

    RecBole rounds times to float32. Seconds since 1970 need 31 bits, a float32 has 24: interactions less than
    about a minute apart lose their order. Ranks between 0 and 1 keep it, up to 2**23 distinct times; beyond
    that some are rounded to one value, and the rows are sorted by their exact times first, which RecBole's
    sorts, all of them stable, leave as they are.
    """
    ranks, order = ordered_ranks(times.to_numpy())
    inter[field] = ranks / max(float(ranks.max()), 1.0)
    return None if ranks.max() < MAX_EXACT_RANKS else order
