"""Lines that commands say at once; all that draws on a terminal is loaded where there is one."""

from __future__ import annotations

import sys
from typing import TextIO

from recsweep.common.escape import for_terminal


def say_aside(text: str) -> None:
    """A line on the standard error stream, beside what is printed."""
    sys.stderr.write(f"{for_terminal(text)}\n")
    sys.stderr.flush()


def show_markdown(text: str, stream: TextIO | None = None) -> None:
    """Markdown with tables: drawn on a terminal, as it is elsewhere."""
    out = stream or sys.stdout
    if not out.isatty():
        out.write(f"{text}\n")
        return
    from recsweep.running.progress import draw_markdown

    draw_markdown(text, out)
