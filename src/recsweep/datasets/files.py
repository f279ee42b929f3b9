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

    def of(self, suffix: str) -> Path:
        """Where a file of the data set is, or would be."""
        return self.folder / f"{self.folder.name}.{suffix}"

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
    for position, path in enumerate(interaction_files(dataset, folder)):
        if path.is_file():
            continue
        if dataset.split.type == "files":
            problem, fix = f"there is no file {path}", _named_otherwise(folder)
            raise document.error(("split", "files", position), problem, fix)
        if parts := _parts(folder):
            raise document.error(
                ("path",),
                f"{folder} holds files that are already split "
                f"({', '.join(f'{folder.name}.{part}.inter' for part in parts)}), and no {path.name}",
                f"set `split: {{type: files, files: [{', '.join(parts)}]}}`: training, validation, test",
            )
        others = sorted(other.name for other in folder.glob("*.inter"))
        hint = f"rename {others[0]} (RecBole wants folder and files of one name)" if others else "create it"
        raise document.error(("path",), f"there is no file {path}", hint)
    return read_files(folder, builtin=own is None)


def read_files(folder: Path, *, builtin: bool) -> DataFiles:
    """All atomic files of a folder, which bear its name, with their hashes."""
    paths = sorted(path for path in folder.glob(f"{folder.name}.*") if path.is_file())
    return DataFiles(folder, {path.name: file_hash(path) for path in paths}, builtin)


def interaction_files(dataset: DatasetConfig, folder: Path) -> list[Path]:
    """The files of interactions: one, or each part where they are already split."""
    split = dataset.split
    names = [f"{part}.inter" for part in split.files] if split.type == "files" else ["inter"]
    return [folder / f"{folder.name}.{name}" for name in names]


def _parts(folder: Path) -> list[str]:
    """Parts of a data set that is already split, training first and test last, as far as names tell."""
    prefix, suffix = f"{folder.name}.", ".inter"
    found = [path.name for path in folder.glob(f"{prefix}*{suffix}")]
    parts = [name.removeprefix(prefix).removesuffix(suffix) for name in found]
    return sorted(parts, key=lambda part: (_PLACES.get(part[:5], 1), part))


_PLACES = {"train": 0, "test": 2}


def _named_otherwise(folder: Path) -> str:
    found = _parts(folder)
    return f"name those that are there: [{', '.join(found)}]" if found else "create it"
