"""How fast recsweep trains, against RecBole, interleaved in one run.

The arms take turns (A B C A B C …), each time in fresh processes and empty folders:

    A  RecBole as its tuner runs it: one process, the threads that torch takes by itself
    B  RecBole as one-thread processes at once, as many as recsweep uses cores: the strong baseline
    C  recsweep: two workers of one thread each at once (`--workers`, `--threads`), each started as
       recsweep starts its workers, over a split that is in the cache

A and B run the steps of RecBole's own objective up to and with `trainer.fit`, in an environment of
their own (`.venv-recbole`); importing RecBole's sequential models switches torch's anomaly mode on,
and that is left so, because it is how RecBole's tuner runs. All arms train the same: RecBole's
published parameters, seed 2020, batches of 2,048, leave-one-out, every item ranked.

An epoch is a training epoch with its validation. What is slow is timed in part and scaled to whole
epochs: RecBole by the median of a few of its first batches, after some of warm-up (speed_recbole.py);
recsweep on every so-many-th sample and user (speed_recsweep.py), unless `--whole`
is given. Where two processes train at once they start training together, and an epoch counts as half
of what each takes. Where A and C train whole epochs of a model without dropout, their validation
scores must agree; the exit code is 1 if not.

General models (`--kind general`) train whole epochs in all arms, with RecBole's defaults on a random
split of 8:1:1, every item ranked; scores are compared where nothing is drawn that the arms draw
differently (dropout). Three of them train on a million made interactions too (`--kind large`,
speed_made.py); there RecBole's LightGCN is timed in part, but for one whole epoch, whose score is
compared.

    python benchmarks/speed.py --quick --models FPMC    # to see that it works
    python benchmarks/speed.py --write                  # the sequential models, into RESULTS.md
    python benchmarks/speed.py --kind general --write   # the general ones
    python benchmarks/speed.py --kind large --write     # on a million interactions
    python benchmarks/speed.py --write --resume         # goes on after a run that was ended

A run that was ended goes on with `--resume`: every turn is kept in `outputs/bench-speed/turns.json`.
Times are only worth comparing on a machine that does nothing else; how much of it other processes
took is said for each turn.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from recsweep.common.files import content_hash, file_hash, write_text
from recsweep.common.provenance import versions
from results import RESULTS, write_section
from side_by_side import recbole_python
from speed_arms import Bench
from speed_cases import ARMS, CASES, GENERAL, GEOMETRIC_MEANS, LARGE, OUTSIDE, Case, find_cases
from speed_figures import Figures, disagreements
from speed_report import PICTURES, SECTIONS, Outcome, document, draw, tables
from speed_turns import Turns, Watch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOLERANCE = 1e-4 + 1e-9
"""RecBole rounds scores to four decimals; one in the last may differ."""
QUIET = 0.1
"""Part of the machine that other processes may take before it is said that they disturb."""


def main() -> int:
    arguments = _arguments()
    cases = chosen_cases(arguments)
    bench = Bench(
        recbole_python(),
        arguments.data_folder.resolve(),
        arguments.work / "cache",
        arguments.workers,
        arguments.threads,
    )
    store = Turns(arguments.work / "turns.json", fingerprint(cases, arguments), resume=arguments.resume)
    outcome = measure(bench, cases, store, arguments.repeats)
    lines = tables(outcome)
    print("\n" + "\n".join(lines))
    if outcome.others > QUIET:
        tell(
            f"WARNING: other processes took up to {outcome.others:.0%} of the machine; these times say little"
        )
    differing = differences(outcome)
    for text in differing:
        print(f"FAILED: {text}")
    if arguments.write and not differing:
        picture = PICTURES[outcome.kind]
        write_section(SECTIONS[outcome.kind], document(outcome, lines, bench, arguments.repeats))
        write_text(picture, draw(outcome))
        print(f"\nwritten to {RESULTS.relative_to(ROOT)} and {picture.relative_to(ROOT)}")
    return 1 if differing else 0


def chosen_cases(arguments: argparse.Namespace) -> list[Case]:
    """The cases that were asked for and whose data set is there."""
    cases: list[Case] = []
    missing = not (arguments.data_folder / OUTSIDE / f"{OUTSIDE}.inter").is_file()
    for case in find_cases(arguments.kind, arguments.models, arguments.datasets):
        if case.dataset == OUTSIDE and missing:
            tell(f"{case.label}: skipped, {OUTSIDE}.inter is not in {arguments.data_folder}/{OUTSIDE}")
            continue
        case = case.quick() if arguments.quick else case
        cases.append(case.whole() if arguments.whole else case)
    if not cases:
        raise SystemExit("nothing to compare: no case has such a model and data set")
    return cases


def fingerprint(cases: list[Case], arguments: argparse.Namespace) -> str:
    """Changes with all that changes a time, the machine aside."""
    code = (path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".h", ".c", ".cpp"))
    sources = sorted([*HERE.glob("speed*.py"), *code])
    return content_hash(
        {
            "cases": [asdict(case) for case in cases],
            "workers": [arguments.workers, arguments.threads],
            "sources": {str(path.relative_to(ROOT)): file_hash(path) for path in sources},
            "versions": versions(),
        }
    )


def measure(bench: Bench, cases: list[Case], store: Turns, repeats: int) -> Outcome:
    """All turns that are not done, case by case, the arms in turns."""
    turns = [(case, repeat, arm) for case in cases for repeat in range(1, repeats + 1) for arm in ARMS]
    tell(f"{len(turns)} turns, about {(store.left(turns) + store.spent) / 60:.0f} minutes in all")
    rate = bench.matrix_rate()
    lengths = {case.dataset: case for case in cases}
    statistics = {name: bench.statistics(case) for name, case in lengths.items()}
    found: dict[str, dict[str, list[Figures]]] = {case.label: {arm: [] for arm in ARMS} for case in cases}
    for number, (case, repeat, arm) in enumerate(turns, 1):
        figures = store.find(case, repeat, arm)
        if figures is None:
            watch = Watch()
            figures = bench.run(arm, case, repeat)
            store.add(case, repeat, arm, figures, watch.stop())
            done = f"{store.spent / 60:.1f} of about {(store.spent + store.left(turns)) / 60:.0f} minutes"
            tell(
                f"[{number}/{len(turns)}] {case.label} {repeat}/{repeats} {arm}: "
                f"{figures.epoch:.2f} s an epoch, {figures.cpu:.2f} CPU-s, first batch after "
                f"{figures.start:.1f} s, {figures.peak / 2**20:.0f} MiB, "
                f"others took {watch.others:.0%} of the machine; {done}"
            )
        found[case.label][arm].append(figures)
    return Outcome(cases, found, statistics, rate, store.spent, store.others)


def differences(outcome: Outcome) -> list[str]:
    """Where whole epochs of the arms A and C ended with different validation scores."""
    return [
        f"{case.label}, repeat {repeat}, epoch {epoch}: RecBole {its:.4f}, recsweep {mine:.4f}; "
        "equal seeds must give equal scores"
        for case in outcome.cases
        if not case.draws
        for repeat, epoch, its, mine in disagreements(
            outcome.found[case.label]["A"], outcome.found[case.label]["C"], TOLERANCE
        )
    ]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast recsweep trains, against RecBole.")
    everything = (*CASES, *GENERAL, *LARGE)
    models, datasets = (sorted({getattr(case, name) for case in everything}) for name in ("model", "dataset"))
    parser.add_argument("--kind", choices=list(GEOMETRIC_MEANS), default="sequential", help="of the models")
    parser.add_argument("--models", nargs="+", choices=models, help="default: all")
    parser.add_argument("--datasets", nargs="+", choices=datasets, help="default: all that are there")
    parser.add_argument("--data-folder", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--repeats", type=int, help="of each arm; default: 3, with --quick 1")
    parser.add_argument("--workers", type=int, default=2, help="processes of recsweep at once")
    parser.add_argument("--threads", type=int, default=1, help="threads of each of them")
    parser.add_argument("--quick", action="store_true", help="as little as shows that everything works")
    parser.add_argument("--whole", action="store_true", help="recsweep trains whole epochs of every model")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was ended")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and speed.svg, not only print")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "outputs" / "bench-speed", help="kept turns, cache"
    )
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    arguments.repeats = arguments.repeats or (1 if arguments.quick else 3)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
