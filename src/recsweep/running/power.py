"""Counters of energy and of processor time, as this machine has them. Each is a few small files, read in 0.1
ms.

RAPL counts the joules of each processor package, and of its memory where it can. Linux lets only root read it
unless somebody has said otherwise (`chmod o+r`), for what a processor takes tells something of what it
computes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
STAT = Path("/proc/stat")
_SAME_JOULES = 1.0
"""Two counters that are so near are one: of some processors each die shows the counter of its package."""
_BUSY = (0, 1, 2, 5, 6)
"""Columns of `cpu` in /proc/stat in which a core computes: user, nice, system, irq, softirq."""


def joules_by_zone(root: Path = POWERCAP) -> dict[str, tuple[float, float]]:
    """The joules that each zone has counted, and those at which it begins again; empty where none can be
    read.

    A package holds its cores and its graphics; beside it stands its memory.
    """
    found: dict[str, tuple[float, float]] = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            if not name.startswith("package") and name != "dram":
                continue
            counters = ("energy_uj", "max_energy_range_uj")
            joules, most = (int((zone / file).read_text(encoding="ascii")) / 1e6 for file in counters)
        except (OSError, ValueError):
            continue
        if not any(abs(joules - other) < _SAME_JOULES for other, _ in found.values() if joules > 0):
            found[zone.name] = joules, most
    return found


def joules_between(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]
) -> float:
    """The joules of the zones that were read twice; one of them may have begun again meanwhile."""
    joules = 0.0
    for zone in before.keys() & after.keys():
        (then, most), (now, _) = before[zone], after[zone]
        joules += now - then if now >= then else now - then + most
    return joules


def machine_seconds(stat: Path = STAT) -> float | None:
    """Seconds in which the cores of this machine have computed, all together; None where nobody says so."""
    try:
        columns = stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        return sum(int(columns[column]) for column in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def own_seconds() -> float:
    """Seconds of the processor that this process has taken, all of its threads."""
    return time.process_time()
