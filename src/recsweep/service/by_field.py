"""Mistakes in a sweep that was asked for, each told at the field of the request that it came of.

The server's own folders are told to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError, UserError
from recsweep.service.refusals import NOTHING, Refused, refused
from recsweep.service.request import JobRequest

_FOLDERS = re.compile(r"(?<![\w.:/])(?:/[^\s/:,;]+)+/(?=[^\s/])")


class FieldError(InputError):
    """A mistake whose place is a field of a request."""


@contextmanager
def told_by_field(request: JobRequest) -> Iterator[None]:
    """Mistakes within are told at a field of the request.

    Raises:
        Refused: something is.
    """
    try:
        yield
    except Refused:
        raise
    except FieldError as error:
        raise refused(error.source, error.problem, error.fix, value_at(request, error.source)) from None
    except InputError as error:
        path = Path(error.source)
        raise of_file(request, error, path.parent.name, path.stem) from None
    except UserError as error:
        what, _, how = str(error).rpartition("; ")
        raise refused("search_space", what or how, how) from None


def of_file(request: JobRequest, error: InputError, kind: str, name: str) -> Refused:
    """A mistake in a file of the server, told at the field that names what the file is of.

    Args:
        kind: `models` or `datasets`; of anything else the body is to blame.
        name: the name of the model or the data set.
    """
    path = Path(error.source)
    location = f"{path.parent.name}/{path.name}" + (f":{error.line}:{error.column}" if error.line else "")
    names = {"models": request.all_models, "datasets": request.all_datasets}.get(kind, ())
    field = named_field(request, kind, names.index(name)) if name in names else _SINGLE.get(kind, "body")
    value = name if name in names else NOTHING
    problem, fix = (_FOLDERS.sub("", text) for text in (error.problem, error.fix))
    return refused(field, f"{location}: {problem}", f"{fix}, on the server", value)


_SINGLE = {"models": "model", "datasets": "dataset"}


def named_field(request: JobRequest, kind: str, position: int) -> str:
    """The field that names a model or a data set: `model`, or `models.1`."""
    single = _SINGLE[kind]
    return single if getattr(request, single) is not None else f"{kind}.{position}"


def value_at(request: JobRequest, field: str) -> Any:
    """The value of a dotted field; `NOTHING` where it has none."""
    value: Any = request.model_dump(mode="json")
    for part in field.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return NOTHING
    return value
