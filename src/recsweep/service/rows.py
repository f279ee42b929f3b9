"""The rows of data sets, read before a job is made: what a dry run of `recsweep tune` would say of them.

They are read here without torch, one data set at a time, and once: what was found is kept for as long as the
files hold the same bytes, so that who asks again and again costs nothing. Large files are left to the job.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from recsweep.common.errors import InputError
from recsweep.datasets.files import DataFiles
from recsweep.planning.plan import check_data
from recsweep.service.by_field import of_file, told_by_field
from recsweep.service.request import JobRequest
from recsweep.sweeps.config import DatasetConfig
from recsweep.sweeps.documents import Document
from recsweep.sweeps.loading import Sweep

if TYPE_CHECKING:
    from recsweep.datasets.check import Checked

MOST_BYTES = 64 << 20
"""Of the files of a data set that are read: a few seconds."""

_Error = tuple[str, str, str, int | None, int | None]


class Rows:
    """The rows of data sets, as they were found.

    Args:
        most_bytes: of files that are read here.
        most_kept: data sets that are remembered; the one that was not asked for longest is forgotten.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most_kept: int = 32) -> None:
        self._most_bytes, self._most_kept = most_bytes, most_kept
        self._kept: OrderedDict[str, Checked | _Error] = OrderedDict()
        self._one_at_a_time = threading.Lock()
        self.read = 0
        """Data sets that were read, and not remembered."""

    def check(self, sweep: Sweep, request: JobRequest) -> list[str]:
        """Remarks on the data of a sweep.

        Raises:
            Refused: they are none that the job could be run on.
        """
        told: list[str] = []

        def look(dataset: DatasetConfig, document: Document, files: DataFiles) -> Checked | None:
            size = _size(files)
            if size > self._most_bytes:
                told.append(f"{dataset.name}: its {size >> 20:,} MB are read when the job runs, not now")
                return None
            found = self._found(dataset, document, files)
            if isinstance(found, tuple):
                raise of_file(request, InputError(*found), "datasets", document.path.stem)
            return found

        with told_by_field(request):
            check_data(sweep, told.append, look)
        return told

    def _found(self, dataset: DatasetConfig, document: Document, files: DataFiles) -> Checked | _Error:
        """The rows as they are found, now or before, or the mistake in them."""
        key = repr((document.path, files.folder, sorted(files.hashes.items()), dataset.model_dump_json()))
        with self._one_at_a_time:
            if key not in self._kept:
                self._kept[key] = _read(dataset, document, files)
                self.read += 1
                if len(self._kept) > self._most_kept:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def _read(dataset: DatasetConfig, document: Document, files: DataFiles) -> Checked | _Error:
    from recsweep.datasets.check import check_dataset  # with NumPy, which a server needs for nothing else

    try:
        return check_dataset(dataset, document, files)
    except InputError as error:
        return error.source, error.problem, error.fix, error.line, error.column


def _size(files: DataFiles) -> int:
    return sum(Path(files.folder, name).stat().st_size for name in files.hashes)
