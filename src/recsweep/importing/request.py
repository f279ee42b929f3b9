"""An import as it is asked for: a recipe or a mapping file, and the options over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.importing.importing import Request
from recsweep.importing.recipes import files_of, recipe, recipe_names, where
from recsweep.sweeps.documents import load_document, validate
from recsweep.sweeps.import_file import ImportFile, TableSource, with_options

_OVER = ("format", "separator", "seq_separator", "encoding", "time_unit")
"""Options that are keys of a mapping file, too."""


def request_of(files: Sequence[Path], options: Mapping[str, Any]) -> Request:
    """The import that is asked for.

    Args:
        files: those of interactions; of a recipe, all of its files or their folder.
        options: by the names of the command's settings.

    Raises:
        InputError: an option that is none, or no file.
    """
    name, of = options["recipe"], str(options["as"])
    if name and options["mapping"]:
        raise InputError("--mapping", f"stands beside --recipe {name}", "give one of them")
    found: dict[str, list[Path]] = {"interactions": list(files)}
    how, origin = ImportFile(), ""
    if name:
        made = recipe(name)
        if not files:
            raise InputError("FILE", f"no file of {made.title} is named", where(name))
        found = files_of(name, files)
        shared = {key: getattr(made, key) for key in ImportFile.model_fields}
        how, origin = ImportFile(**shared), f"{made.title}: {made.page}, {made.url}"
    elif options["mapping"]:
        how = validate(load_document(Path(options["mapping"])), ImportFile)
    if not found["interactions"]:
        fix = f"name one, or a recipe: {', '.join(recipe_names())}"
        raise InputError("FILE", "no file of interactions is named", fix)
    return Request(
        name=of,
        interactions=found["interactions"],
        how=_over(how, options),
        users=_feature(options["user_file"], found.get("users")),
        items=_feature(options["item_file"], found.get("items")),
        config=Path(options["into"]),
        data=Path(options["data_folder"]),
        dry_run=options["dry_run"],
        replace=options["replace"],
        origin=origin,
    )


def _feature(given: str | None, found: list[Path] | None) -> Path | None:
    return Path(given) if given else found[0] if found else None


def _over(how: ImportFile, options: Mapping[str, Any]) -> ImportFile:
    """An import with the options that are given over it."""
    changed: dict[str, Any] = {key: options[key] for key in _OVER if options[key] is not None}
    if options["header"]:
        changed["header"] = tuple(options["header"].split(","))
    if options["columns"]:
        changed["columns"] = pairs("--columns", options["columns"])
    if options["only"]:
        chosen = pairs("--only", options["only"])
        changed["only"] = {name: tuple(words.split("|")) for name, words in chosen.items()}
    for kind in ("user", "item"):
        if given := options[f"{kind}_columns"]:
            source = getattr(how, f"{kind}s") or TableSource()
            found = pairs(f"--{kind}-columns", given)
            changed[f"{kind}s"] = source.model_copy(update={"columns": found})
    return with_options(how, changed)


def pairs(option: str, text: str) -> dict[str, str]:
    """`user=uid,item=movieId` as a mapping.

    Raises:
        InputError: a part is none of two words, or a word stands twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name and equals and value):
            raise InputError(option, f"`{part}` is no pair", "write it as user=uid,item=movieId")
        if name in found:
            raise InputError(option, f"`{name}` stands twice", "name each once")
        found[name] = value
    return found
