"""The command line: commands, and the only place that catches our errors and prints.

Exit codes: 0 done, 1 a bug of ours (with a traceback), 2 something that the user can fix, 3 paused,
130 stopped with Ctrl-C.

This file loads next to nothing, so that Ctrl-C is answered in the first half second too.
"""

from __future__ import annotations

import gc
import sys

from recsweep.common import interrupts
from recsweep.common.collector import held


def main() -> None:
    """Entry point: run a command, turn our errors into one line and an exit code."""
    try:
        with interrupts.at_once(), held():
            from recsweep.cli import early

            early.begin(sys.argv[1:])
            from recsweep.cli.commands import run

            gc.freeze()  # no collection goes through all of that, which stays
        with interrupts.as_interrupt():
            run()
    except KeyboardInterrupt as stop:
        interrupts.say_stopped(*stop.args)
        sys.exit(interrupts.EXIT_INTERRUPTED)
    finally:
        gc.freeze()  # or Python looks through all that was imported as it ends, which takes half a second


def __getattr__(name: str) -> object:
    """The commands, loaded when somebody asks for them."""
    if name in ("announce", "cli", "flags", "secrets_in_the_open", "slips", "variables"):
        from recsweep.cli import commands

        found: object = getattr(commands, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
