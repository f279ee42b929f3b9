"""benchmarks/scale.py: memory that processes share is counted once; the report names its targets."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import scale  # noqa: E402
from import_data import Cost  # noqa: E402
from scale_process import memory  # noqa: E402

GIB = 2**30


def run_of(most: float, workers: int) -> dict:
    parts = {name: [9.0, 0.5] for name in ("read", "start", "batches", "validation")}
    return {"most": most * GIB, "own": GIB, "trials": [{"path": "compiled", "parts": parts}] * workers}


def test_the_report_holds_a_run_against_its_targets():
    found = {
        (number, "BPR"): scale.Measured(
            Cost(40.0, 25.4, 2.0), 0.5, run_of(1.0, 1), run_of(1.25, 4) if number == max(scale.ROWS) else None
        )
        for number in (1_000_000, max(scale.ROWS))
    }
    text = scale.report(found, 4)
    assert (
        "| 1,000,000 | BPR, compiled | 40.0 | 25.4 | 2.00 | 0.50 | 0.50 | 0.50 | 0.50 | 0.50 | 1.00 |" in text
    )
    assert "| 20,000,000 | BPR | 1.00 | 1.00 | 1.25 | 1.25 | 1.00 |" in text, (
        "preparing took more than workers"
    )
    assert "prepared in **25 s** by the clock; 60 must be, 30 is the aim." in text
    assert "**1.25 times** the memory of one; 1.3 must be, 1.1 is the aim." in text


def test_memory_is_that_of_the_processes_together():
    total, own = memory([os.getpid(), 2**31 - 1])
    assert 0 < own <= total
    child = os.fork()
    if not child:
        signal.pause()
    try:
        both, _ = memory([os.getpid(), child])
        assert both < 1.5 * total, "what a fork shares is counted once"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
