"""Kill a sweep of FPMC twenty times and compare its end with that of an undisturbed one.

Two folders, one sweep (FPMC on the five-star ratings of ml-100k, one worker, one seed): in the
first it runs undisturbed, in the second its whole process group is killed with SIGKILL at random
moments, in start-up as well as in training, and the same command is run again each time. At the end
every slot must be filled once, no trial may be running or waiting, and all result files must be the
same, durations aside. Any difference is printed, and the exit code is 1.

    python benchmarks/kills.py --kills 20 --trials 30 --seed 2026
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "end_to_end"), str(ROOT / "tests")]

import killing  # noqa: E402


def main() -> int:
    arguments = _arguments()
    sweep = killing.Sweep(
        ROOT / "config" / "smoke.yaml", arguments.trials, arguments.epochs, arguments.seed, arguments.model
    )
    started = time.monotonic()
    if arguments.keep is not None:
        problems = compare(sweep, arguments, arguments.keep)
    else:
        with tempfile.TemporaryDirectory(prefix="recsweep-kills-") as folder:
            problems = compare(sweep, arguments, Path(folder))
    for problem in problems:
        _tell(f"PROBLEM: {problem}")
    verdict = "FAILED" if problems else "passed"
    _tell(
        f"{verdict}: {arguments.kills} kills, {arguments.trials} trials, {time.monotonic() - started:.0f} s"
    )
    return 1 if problems else 0


def compare(sweep: killing.Sweep, arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Run the sweep undisturbed and with kills; what is wrong at the end."""
    quiet, killed = folder / "undisturbed", folder / "killed"
    _tell(f"undisturbed: {sweep.trials} trials of {sweep.model}, at most {sweep.epochs} epochs each")
    pace = killing.measured_run(sweep, quiet)
    latest = arguments.latest or killing.latest_moment(pace, arguments.kills)
    _tell(
        f"undisturbed: the first trial started after {pace.startup:.1f} s, "
        f"the end came {pace.trials:.1f} s later; kills come 0.3 to {latest:.1f} s after a start"
    )
    kills = killing.kill_and_run_on(sweep, killed, arguments.kills, latest, arguments.seed, _tell)
    during = sum(kill.counted < sweep.trials for kill in kills)
    interrupted = sum(kill.running > 0 for kill in kills)
    _tell(
        f"{during} of {len(kills)} kills came while trials were left to run; "
        f"{interrupted} interrupted a trial, {len(kills) - interrupted} came between trials or in start-up"
    )
    problems = killing.store_problems(quiet, sweep.trials) + killing.store_problems(killed, sweep.trials)
    problems += killing.differences(sweep, quiet, killed)
    if not problems:
        names = ", ".join(path.name for path in sweep.comparable(killed))
        _tell(f"{sweep.trials} counted trials, no slot twice, none open; the same {names}")
    return problems


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill a sweep at random moments; compare its end.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=4, help="most epochs of a trial")
    parser.add_argument("--seed", type=int, default=2026, help="of the sweep and of the moments")
    parser.add_argument("--model", default="FPMC")
    parser.add_argument(
        "--latest",
        type=float,
        metavar="SECONDS",
        help="latest moment of a kill after a start; by default such that most kills meet a sweep that runs",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work there and leave everything behind")
    return parser.parse_args()


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
