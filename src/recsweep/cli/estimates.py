"""Hours and memory of a sweep before it runs, and what fits into a time: `--estimate`, `--budget 8h`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from recsweep.api.slots import require_device
from recsweep.cli.options import say_aside
from recsweep.cli.typed import typed
from recsweep.common.errors import UserError
from recsweep.planning.plan import StudyPlan

if TYPE_CHECKING:
    from recsweep.estimating.estimate import StudyEstimate
    from recsweep.estimating.proposal import Proposal

_OF_A_DRY_RUN = ("dry-run", "estimate")


@dataclass(frozen=True)
class Estimating:
    """The wishes of a dry run beside the trials.

    Attributes:
        minutes: of measuring; 0: nothing is measured.
        seconds: the time into which the sweep is to fit; None where none was named.
    """

    minutes: float
    seconds: float | None

    @classmethod
    def asked(cls, options: dict[str, Any], minutes: int, *, dry_run: bool) -> Estimating:
        """The wishes that options name; a time that `budget` names is taken out of them.

        Raises:
            UserError: it is for a dry run alone.
        """
        given = str(options.get("budget") or "")
        if not given:
            return cls(minutes, None)
        from recsweep.api.estimates import MINUTES
        from recsweep.estimating.proposal import seconds_of

        seconds = seconds_of(given)
        if seconds is None:
            return cls(minutes, None)
        if not dry_run:
            raise UserError(
                f"--budget {given}: a time is for a dry run, which says what fits into it; add --dry-run, or "
                f"set --budget seconds and --share, the seconds of each model"
            )
        options["budget"] = None
        return cls(minutes or MINUTES, seconds)

    def say(self, chosen: list[StudyPlan], best_params: str | None) -> None:
        """Measure, and print what it comes to."""
        if not self.minutes or not chosen:
            return
        from recsweep.api.estimates import estimated, lines_of
        from recsweep.estimating.proposal import proposals

        require_device(chosen, best_params)
        found = estimated(chosen, self.minutes, say_aside, best_params)
        for line in lines_of(found):
            click.echo(line)
        if self.seconds is not None:
            for line in _fitting(found, proposals(found, self.seconds), self.seconds):
                click.echo(line)


def _fitting(estimates: Sequence[StudyEstimate], proposed: Sequence[Proposal], seconds: float) -> list[str]:
    """Lines on a time: what fits, and the line to run."""
    from recsweep.running.watch import duration

    time = duration(seconds)
    if not proposed:
        needed = [one.label for one in (found.plan for found in estimates if not found.is_known)]
        why = f"nothing is known of {', '.join(needed)}" if needed else "not even their start-up does"
        return [f"nothing is known to fit into {time}: {why}; name fewer models or data sets"]
    lines = []
    for one in proposed:
        lines.append(f"{time}: {one.why}, about {duration(one.seconds)}:")
        lines.append(f"  {to_run(typed(), one.settings)}")
    return lines


def to_run(command: str, settings: dict[str, str]) -> str:
    """The command of a dry run as one that runs, with some settings."""
    words = shlex.split(command)
    made = "make" in words[:2]
    dropped = {*_OF_A_DRY_RUN, *(name.replace("_", "-") for name in (*settings, "budget"))}
    kept = _of_make(words, dropped) if made else _of_ours(words, dropped)
    for name, value in settings.items():
        kept += [f"{name.upper()}={value}"] if made else [f"--{name.replace('_', '-')}", value]
    return shlex.join(kept)


def _of_make(words: Sequence[str], dropped: set[str]) -> list[str]:
    names = {word.split("=", 1)[0].lower().replace("_", "-") for word in words if "=" in word}
    goal = "tune" if names & {"model", "dataset", "phase"} else "tune-all"
    kept = [goal if word == "dry-run" else word for word in words]
    return [word for word in kept if word.split("=", 1)[0].lower().replace("_", "-") not in dropped]


def _of_ours(words: Sequence[str], dropped: set[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        name, has_value, _ = word.removeprefix("--").partition("=")
        if skip:
            skip = False
        elif word.startswith("--") and name in dropped:
            skip = not has_value and name != "dry-run"
        else:
            kept.append(word)
    return kept
