"""The shipped sweep, its winners on five seeds, and its report.

On two cores that is hours of training. So what was run is kept in `shipped/`: the store, and each test's
scores per user. It is copied to `--outputs` where that is not there, the sweep goes on from it, and nothing
that has its result is run again. Once all is there, the report is made in seconds.

    python benchmarks/shipped.py                          # what is left, then outputs/shipped/report
    python benchmarks/shipped.py --models FPMC STAMP
    python benchmarks/shipped.py --report-only            # of what is kept, nothing is trained
    python benchmarks/shipped.py --write                  # keeps what was run, too
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE / "shipped"
OF_SWEEP = ("--config", str(HERE.parent / "config" / "config.yaml"))
STORE = "recsweep.db"
SCORES = "users*.parquet"


def main() -> int:
    arguments = _arguments()
    outputs: Path = arguments.outputs
    if not outputs.exists():
        shutil.copytree(KEPT, outputs)
    if not arguments.report_only:
        for which in [["--models", model] for model in arguments.models] or [[]]:
            for command in ("tune", "evidence"):
                run(outputs, command, *OF_SWEEP, *which, "--workers", str(arguments.workers))
    run(outputs, "report", *OF_SWEEP)
    if arguments.write:
        keep(outputs)
    return 0


def run(outputs: Path, *arguments: str) -> None:
    """One command of recsweep on an output folder; an error of it ends this script too."""
    subprocess.run([sys.executable, "-m", "recsweep", *arguments, "--outputs", str(outputs)], check=True)


def keep(outputs: Path, kept: Path = KEPT) -> None:
    """Put the studies and the scores per user of an output folder in the place of those that are kept."""
    with tempfile.TemporaryDirectory(prefix="recsweep-shipped-") as temporary:
        exported = Path(temporary) / STORE
        run(outputs, "export", str(exported), "default/*")
        kept.mkdir(exist_ok=True)
        shutil.copyfile(exported, kept / STORE)
    for scores in sorted((outputs / "results" / "default").rglob(SCORES)):
        target = kept / scores.relative_to(outputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(scores, target)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs the shipped sweep with five seeds, and its report.")
    parser.add_argument(
        "--models", nargs="+", default=[], help="these, one after the other; else all as one sweep"
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs/shipped"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    parser.add_argument("--write", action="store_true", help="keep what was run in benchmarks/shipped/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
