"""The atomic files of a data set: found, and known by their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsweep.common.files import file_hash
from recsweep.recbole_api import catalog
from recsweep.recbole_api.settings import BUILTIN_DATASET
from recsweep.sweeps.config import BUILTIN, DatasetConfig, dataset_folder
from recsweep.sweeps.documents import Document


@dataclass(frozen=True)
class DataFiles:
    """The atomic files of one data set."""

    folder: Path
    hashes: Mapping[str, str]
    """SHA-256 of each file's bytes by file name."""
    builtin: bool

    @property
    def given_folder(self) -> Path | None:
        """The folder as settings want it: None for ml-100k from RecBole's wheel."""
        return None if self.builtin else self.folder


def find_files(dataset: DatasetConfig, document: Document) -> DataFiles:
    """The files of a data set and their hashes.

    Raises:
        InputError: no such folder, or no `.inter` file of the folder's name in it.
    """
    own = dataset_folder(dataset, document.path)
    folder = own or catalog.recbole_folder() / "dataset_example" / BUILTIN_DATASET
    if not folder.is_dir():
        raise document.error(
            ("path",), f"there is no folder {folder}", f"give the folder of the atomic files, or `{BUILTIN}`"
        )
    interactions = folder / f"{folder.name}.inter"
    if not interactions.is_file():
        if parts := sorted(path.name for path in folder.glob(f"{folder.name}.*.inter")):
            raise document.error(
                ("path",),
                f"{folder} holds files that are already split ({', '.join(parts)}), "
                "which recsweep does not take yet",
                f"write all their rows into {interactions.name}, with one header, and choose a `split`",
            )
        others = sorted(path.name for path in folder.glob("*.inter"))
        hint = f"rename {others[0]} (RecBole wants folder and files of one name)" if others else "create it"
        raise document.error(("path",), f"there is no file {interactions}", hint)
    return read_files(folder, builtin=own is None)


def read_files(folder: Path, *, builtin: bool) -> DataFiles:
    """All atomic files of a folder, which bear its name, with their hashes."""
    paths = sorted(path for path in folder.glob(f"{folder.name}.*") if path.is_file())
    return DataFiles(folder, {path.name: file_hash(path) for path in paths}, builtin)
