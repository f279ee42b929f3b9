"""The trackers that a sweep asks for, with their settings and variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recsweep.common.dotenv import given as given_variables
from recsweep.common.errors import UserError
from recsweep.common.files import content_hash
from recsweep.common.paths import Outputs
from recsweep.sweeps.tracker_table import TRACKERS, TrackerRow
from recsweep.tracking.base import Given
from recsweep.tracking.trackers import missing

OFFLINE, ONLINE = "offline", "online"
_SECRET = ("KEY", "PASSWORD", "TOKEN", "USERNAME")


@dataclass(frozen=True)
class Destination:
    """One tracker, and where it sends."""

    row: TrackerRow
    given: Given

    @property
    def key(self) -> str:
        """The name under which it is counted how much was sent: another project or server begins anew."""
        where = {name: value for name, value in self.given.settings.items() if value is not None}
        plain = {n: v for n, v in self.given.variables.items() if not any(word in n for word in _SECRET)}
        return f"{self.row.name}-{content_hash([where, plain])[:8]}" if where or plain else self.row.name


def destinations_of(
    on: Mapping[str, Mapping[str, Any]], outputs: Outputs, tell: Callable[[str], None]
) -> list[Destination]:
    """The trackers that can be used here.

    Args:
        on: the settings of those that are asked for, by their names.
        tell: takes a line on each that cannot be used.

    Raises:
        UserError: a secret is missing that the settings ask for.
    """
    found = []
    for name, settings in on.items():
        row = TRACKERS[name]
        if why := missing(row):
            tell(f"nothing is sent to {name}: {why}, then `recsweep track backfill` sends what there is")
            continue
        variables = given_variables(row.variables)
        settled = _with_mode(row, dict(settings), variables)
        found.append(Destination(row, Given(outputs.sweep, outputs.tracking / name, settled, variables)))
    return found


def _with_mode(row: TrackerRow, settings: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Settings with the mode that they come to: offline where no key is set."""
    if not row.secret:
        return settings
    has_key = row.secret in variables
    if settings.get("mode") == ONLINE and not has_key:
        raise UserError(
            f"tracking.{row.name}.mode is online, but {row.secret} is not set; nothing can be sent without a "
            "key; set it in the environment or in .env, or write mode: offline"
        )
    return {**settings, "mode": settings.get("mode") or (ONLINE if has_key else OFFLINE)}
