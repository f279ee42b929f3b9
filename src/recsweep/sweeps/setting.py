"""One setting: what is known of it beside what the models of the config say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import Facts, facts

STUDIES, SEARCH, TRAINING, LIMITS = "Which studies", "The search", "The training", "Limits"
EVIDENCE, RUNNING, PLACES, THIS = "Evidence", "How it runs", "Where", "This command"
HEADINGS = (THIS, STUDIES, SEARCH, TRAINING, LIMITS, EVIDENCE, RUNNING, PLACES)
"""Purposes of options, in the order of `--help`."""


@dataclass(frozen=True)
class Setting:
    """One setting: an option of commands, and what else it is."""

    name: str
    """Of the option, with `_`: `max_evals`. The environment has it as `RECSWEEP_MAX_EVALS`."""
    help: str
    heading: str
    key: str = ""
    """The key of the sweep file that it overrides: `search.max_evals`."""
    make: str = ""
    """Its variable in the Makefile."""
    shown: str = ""
    """The word for its value in help: `FILE`. Empty: its choices, or nothing for a switch."""
    more: str = ""
    """Words for the pages alone."""
    aliases: tuple[str, ...] = ()
    default: Any = None
    """Of an option without a key."""
    switch: bool = False
    choices: tuple[str, ...] = ()
    """Of an option without a key."""
    span: tuple[int, int | None] | None = None
    """Least and most of a whole number, of an option without a key."""
    required: bool = False
    completes: str = ""
    """The source of the shell's completions: `models`, `datasets`, `phases`, `studies`, `theirs` (those
    of another store), `file`, `folder`."""
    several: bool = False
    """Several names in one value, with spaces between them."""
    definition: bool = False
    """A study whose trials were made with another value is another study."""
    elsewhere: str = ""
    """Where it has its effect, when no command takes it."""

    @property
    def flag(self) -> str:
        """`--max-evals`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> tuple[str, ...]:
        """All of its names on the command line."""
        return (self.flag, *(f"--{alias}" for alias in self.aliases))

    @property
    def variable(self) -> str:
        """Its variable in the environment: `RECSWEEP_MAX_EVALS`."""
        return f"RECSWEEP_{self.name.upper()}"

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of its key."""
        return tuple(self.key.split(".")) if self.key else ()

    @property
    def snakemake(self) -> str:
        """Its key in `snakemake --config`; empty where there is none."""
        if self.name == "config":
            return "sweep_file"
        return self.name if self.key else ""

    @property
    def facts(self) -> Facts:
        """Type, range, choices and default: of its key where it has one."""
        if self.key:
            return facts(SweepConfig, self.path)
        kind = "whole number" if self.span else ""
        return Facts(self.choices, self.default, self.required, self.span, kind=kind)
