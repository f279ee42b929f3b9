"""Who is told how a sweep ended: the section `notify` of a sweep file. Nothing of it decides on a trial."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator

from recsweep.common import dotenv
from recsweep.common.errors import InputError
from recsweep.common.notify_url import NotifyUrl, NotifyUrlError
from recsweep.sweeps.sections import Frozen

Event = Literal["finished", "paused", "failed"]
EVENTS: tuple[Event, ...] = ("finished", "paused", "failed")
VARIABLE = "RECSWEEP_NOTIFY"
_MOST = 20
"""Addresses."""


class NotifyConfig(Frozen):
    """Who is told how a sweep ended."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    on: tuple[Event, ...] = EVENTS
    """The ends that are told."""
    to: tuple[Annotated[NotifyUrl, WithJsonSchema({"type": "string"})], ...] = Field((), max_length=_MOST)
    """Addresses in apprise's form. Empty: those of `RECSWEEP_NOTIFY`, in the environment or in `.env`."""

    @field_validator("to", mode="before")
    @classmethod
    def _addresses(cls, given: Any) -> Any:
        return tuple(map(NotifyUrl.of, given)) if isinstance(given, list | tuple) else given

    def addresses(self, event: Event) -> tuple[NotifyUrl, ...]:
        """The addresses that are told of an end; none where nobody asked for it.

        Raises:
            InputError: one of `RECSWEEP_NOTIFY` is none.
        """
        return (self.to or from_outside()) if event in self.on else ()


def from_outside(
    environment: Mapping[str, str] = os.environ, file: Path = dotenv.FILE
) -> tuple[NotifyUrl, ...]:
    """The addresses of the environment, else of `.env`, with spaces between them.

    Raises:
        InputError: one of them is none.
    """
    text = environment.get(VARIABLE) or dotenv.read(file).get(VARIABLE, "")
    try:
        return tuple(map(NotifyUrl.of, text.split()[:_MOST]))
    except NotifyUrlError as error:
        raise InputError(VARIABLE, str(error), error.fix) from None
