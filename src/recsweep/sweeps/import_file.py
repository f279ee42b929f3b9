"""An import in words: the file of `recsweep import --mapping`, and the recipes that ship.

The keys at the top are about the interactions; `users` and `items` hold the same for the files of features.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from recsweep.common.errors import InputError
from recsweep.sweeps.documents import explain
from recsweep.sweeps.sections import Frozen
from recsweep.sweeps.values import Text

Format = Literal["auto", "csv", "tsv", "dat", "parquet", "json", "python", "netflix"]
"""`dat` has `::` between fields; `json` and `python` hold one object a line; `netflix`: that prize's own."""


class TableSource(Frozen):
    """How one kind of file is read."""

    format: Format = "auto"
    """The format; `auto`: by the name of the file and its first line."""
    separator: Text | None = Field(None, min_length=1, max_length=2)
    """The text between fields, where it is not that of the format."""
    header: tuple[Text, ...] | None = Field(None, min_length=1)
    """Names of the columns of a file that has no line with them."""
    encoding: Text = "utf-8"
    """How letters are written, such as latin-1."""
    columns: dict[Text, Text] = Field({})
    """The column of each role, `user: uid`; of others, the name that they get. `genre: genres:token_seq`
    says a type too. Empty: found by their names."""

    @field_validator("encoding")
    @classmethod
    def _encodings(cls, encoding: str) -> str:
        try:
            if "a\n".encode(name := codecs.lookup(encoding).name) == b"a\n":
                return name
        except (LookupError, TypeError):
            pass
        raise ValueError(
            f"must be an encoding of one file of lines, such as utf-8 or latin-1, but got {encoding!r}"
        )


class ImportFile(TableSource):
    """An import: interactions, features, and what is made of them."""

    users: TableSource | None = None
    """The file of users, where there is one."""
    items: TableSource | None = None
    """The file of items."""
    seq_separator: Text | None = Field(None, min_length=1, max_length=1)
    """The character between the values in one cell, such as `|`."""
    time_unit: Text = "auto"
    """Unit of times: `s`, `ms`, `us`, `ns`, `iso`, a pattern such as `%d.%m.%Y`; `auto`: by the values."""
    only: dict[Text, tuple[Text, ...]] = Field({})
    """Rows are kept that have one of these values in a column: `{event: [view]}`."""
    dataset: dict[Text, Any] = Field({})
    """Keys for the data set file, such as `min_user_interactions`."""

    @field_validator("time_unit")
    @classmethod
    def _units(cls, unit: str) -> str:
        if unit not in UNITS and "%" not in unit:
            raise ValueError(
                f"must be one of {', '.join(UNITS)}, or a pattern such as %d.%m.%Y, but got {unit!r}"
            )
        return unit


UNITS = ("auto", "s", "ms", "us", "ns", "iso")
"""How times may be given, beside a pattern."""


def with_options(how: ImportFile, changed: Mapping[str, Any]) -> ImportFile:
    """An import with what options say over it.

    Raises:
        InputError: a value that none can have; names the option.
    """
    try:
        return ImportFile.model_validate(
            {**{key: getattr(how, key) for key in ImportFile.model_fields}, **changed}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem, fix = explain(first, ImportFile, dict(changed))
        raise InputError(f"--{str(first['loc'][0]).replace('_', '-')}", problem, fix) from None


class RecipeFile(ImportFile):
    """A recipe: an import of data that many people use, and where they get it."""

    title: Text
    """The data set in words."""
    page: Text
    """Name of the page that has it."""
    url: Text
    """The page's address."""
    fetch: tuple[Text, ...] = Field(min_length=1)
    """Names of the downloads."""
    md5: dict[Text, Text] = Field({})
    """MD5 of downloads, where the page names them."""
    files: dict[Literal["interactions", "users", "items"], tuple[Text, ...]]
    """Patterns of the names of files, by what they hold."""
    required: tuple[Literal["interactions", "users", "items"], ...] = ("interactions",)
    """The files without which there is nothing to import."""
    note: Text = ""
    """Words on how it is read."""
