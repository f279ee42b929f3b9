"""The shipped sweep, its winners on five seeds, and its report: what the report's pictures in the docs show.

On two cores that is a night's work. So what was run is kept in `shipped/`: the store, and each test's scores
per user. It is copied to `--outputs` where that is not there, the sweep goes on from it, and nothing that has
its result is run again. Once all is there, the report is made in seconds.

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
CONFIG = HERE.parent / "config" / "config.yaml"
STORE = "recsweep.db"
SCORES = "users*.parquet"


def main() -> int:
    arguments = _arguments()
    outputs: Path = arguments.outputs
    if not outputs.exists():
        shutil.copytree(KEPT, outputs)
    if not arguments.report_only:
        for model in arguments.models or [None]:
            which = [] if model is None else ["--models", model]
            for command in ("tune", "evidence"):
                run(command, outputs, [*which, "--workers", str(arguments.workers)])
    run("report", outputs)
    if arguments.write:
        keep(outputs)
    return 0


def run(command: str, outputs: Path, options: list[str] | None = None) -> None:
    """One command of recsweep on the shipped sweep; an error of it ends this script too."""
    line = [sys.executable, "-m", "recsweep", command, "--config", str(CONFIG), "--outputs", str(outputs)]
    subprocess.run([*line, *(options or [])], check=True)


def keep(outputs: Path, kept: Path = KEPT) -> None:
    """Put the studies and the scores per user of an output folder in the place of those that are kept."""
    with tempfile.TemporaryDirectory(prefix="recsweep-shipped-") as temporary:
        exported = Path(temporary) / STORE
        line = [sys.executable, "-m", "recsweep", "export", str(exported), "default/*"]
        subprocess.run([*line, "--outputs", str(outputs)], check=True)
        kept.mkdir(exist_ok=True)
        shutil.copyfile(exported, kept / STORE)
    for scores in sorted((outputs / "results" / "default").rglob(SCORES)):
        target = kept / scores.relative_to(outputs)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(scores, target)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs the shipped sweep with five seeds, and its report.")
    parser.add_argument("--models", nargs="+", help="these, one after the other; else all as one sweep")
    parser.add_argument("--outputs", type=Path, default=Path("outputs/shipped"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report-only", action="store_true", help="train nothing")
    parser.add_argument("--write", action="store_true", help="keep what was run in benchmarks/shipped/")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
