"""A store as Python code looks at it: its studies, and tables of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from recsweep.api.found_study import FoundStudy
from recsweep.common.address import AddressError, StoreAddress
from recsweep.common.errors import InputError, UserError
from recsweep.common.paths import Outputs, is_made
from recsweep.looking.listing import Row, ended_winners, listed, named
from recsweep.study import SEARCH, Store
from recsweep.sweeps.documents import nearest

if TYPE_CHECKING:
    from recsweep.api.frames import DataFrame
    from recsweep.report.model_comparison import Compared

_SQLITE = b"SQLite format 3\0"
_NUMBERS = {"best": "float64", "test": "float64"}


def load(where: str | Path | StoreAddress = "outputs") -> Found:
    """Open what was found, to look at it. No store is made, and neither RecBole nor torch is imported.

    Args:
        where: an output folder, the file of a store, or the address of one:
            `postgresql+psycopg://me@host/sweeps`.

    Raises:
        InputError: it is no address of a store.
        UserError: there is no store.
        StoreUnavailable: the store cannot be reached.
    """
    try:
        address = _address(where)
    except AddressError as error:
        raise InputError("load", error.problem, error.fix) from None
    if not is_made(address):
        raise UserError(
            f"there is no store at {address}; nothing was tuned there; "
            "give an output folder, the file of a store or its address"
        )
    return Found(Store(address))


class Found:
    """The studies of a store. Get it by `load` or `tune`; it closes itself, at the end of a `with` too.

    Args:
        store: where they are.
        sweep: only those of this sweep.
    """

    def __init__(self, store: Store, sweep: str | None = None) -> None:
        self._store, self._sweep = store, sweep
        self._closing = weakref.finalize(self, store.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        only = f", sweep {self._sweep}" if self._sweep else ""
        return f"<Found {self._store.address}{only}: {len(self)} studies>"

    def _repr_html_(self) -> str:
        """HTML for a notebook: the summary."""
        return str(self.summary().to_html(notebook=True))

    def __len__(self) -> int:
        return len(self._rows())

    def __iter__(self) -> Iterator[FoundStudy]:
        return iter(self.studies)

    def __getitem__(self, name: str) -> FoundStudy:
        """The study of that name, or the one whose name ends so: `ml-100k/GRU4Rec/full`.

        Raises:
            InputError: there is none, or there are several.
        """
        rows = {row.record.study: row for row in self._rows(archived=True, kind=None)}
        found = named([row.record for row in rows.values()], name)
        return FoundStudy(self._store, rows[found.study])

    @property
    def studies(self) -> tuple[FoundStudy, ...]:
        """All studies as they are now, in the order in which they were begun; none that were archived."""
        return tuple(FoundStudy(self._store, row) for row in self._rows())

    def sweep(self, name: str) -> Found:
        """Those of one sweep.

        Raises:
            InputError: the store has no such sweep.
        """
        names = {row.record.sweep_name for row in self._rows(archived=True)}
        if name not in names:
            raise InputError("sweep", f"the store has no sweep {name}", nearest(name, names))
        return Found(Store(self._store.address), name)

    def summary(self) -> DataFrame:
        """All studies at a glance.

        Returns:
            A row a study, by its name: the columns of `recsweep ls --csv`, and `params.NAME` of the winner,
            once the study has ended.
        """
        from recsweep.api.frames import TIME, frame_of

        kinds = {"study": "object", **_NUMBERS, "begun": TIME, "ended": TIME}
        return frame_of([_with_winner(row) for row in self._rows()], kinds, ["study"])

    def trials(self) -> DataFrame:
        """The trials of all studies.

        Returns:
            A row a trial, by `study` and `slot`, with the columns of `FoundStudy.trials`.
        """
        from recsweep.api.frames import frame_of

        rows = [{"study": study.name, **row} for study in self.studies for row in study.trial_rows()]
        return frame_of(rows, {"study": "object", "slot": "int64", "score": "float64"}, ["study", "slot"])

    def compare(
        self,
        *studies: str,
        scores: Sequence[str] = (),
        baseline: str | None = None,
        test: str = "t",
        correction: str = "holm",
        outputs: str | Path | None = None,
    ) -> Compared:
        """Compare the models of studies by the test scores of each user, as `recsweep compare` does.

        Args:
            studies: their names, or parts of them that are one's alone; without any, all that have ended.
            scores: metrics such as `NDCG@10`; what each search went by, where none is given.
            baseline: the model that each other one is compared with; None for all pairs.
            test: `t`, `randomisation` or `wilcoxon`.
            correction: `holm`, `bonferroni`, `bh` or `none`.
            outputs: the folder of the results; where the store is, if not given.

        Returns:
            `comparisons`, each with its `sentence()`; `rankings` over data sets; `remarks`: what is left out.

        Raises:
            InputError: the store has no such study.
            UserError: a metric, or the baseline, is none of theirs.
        """
        from recsweep.report.model_comparison import Asked, compare_winners
        from recsweep.statistics.comparison import Procedure

        rows = self._rows()
        names = {named([row.record for row in rows], name).study for name in studies}
        chosen = [row for row in rows if not names or row.record.study in names]
        asked = Asked(tuple(map(str.lower, scores)), baseline, Procedure(test, correction))
        file = self._store.address.file
        roots = [Path(outputs)] if outputs else [file.parent if file else Path("outputs")]
        return compare_winners(ended_winners(self._store, chosen), roots, asked)

    def close(self) -> None:
        """Give back the store's connections; what is asked for afterwards opens them again."""
        self._store.close()

    def _rows(self, *, archived: bool = False, kind: str | None = SEARCH) -> list[Row]:
        return listed(self._store.tallied(sweep=self._sweep, archived=archived, kind=kind))


def _address(where: str | Path | StoreAddress) -> StoreAddress:
    if isinstance(where, StoreAddress) or (isinstance(where, str) and "://" in where):
        return StoreAddress.of(where)
    path = Path(where)
    if not path.is_file():
        return Outputs(path, "any").storage_url
    try:
        with path.open("rb") as file:
            kind = "sqlite" if file.read(len(_SQLITE)) == _SQLITE else "journal"
    except OSError as error:
        raise AddressError(f"{path} cannot be read: {error.strerror}", "give another store") from None
    return StoreAddress(f"{kind}:///{path}")


def _with_winner(row: Row) -> dict[str, Any]:
    winner = row.record.winner
    params = {} if winner is None else row.record.complete(winner.params)
    return {**row.plain(), **{f"params.{name}": value for name, value in params.items()}}
