"""Search quality without training: how soon each engine and algo finds the best of a published search.

RecBole's authors published the logs of their searches: the space, and the validation metrics of each
trial. A folder holds them as `searches.csv` and `trials.csv`. The real loop of each engine runs on such a
search, with the recorded metric instead of training, and what counts is the number of recorded trials
until the best one of the log is found (equal at four decimals is equal).

- A search takes part if at least four distinct trials were logged, at least half of its grid, and not all
  with one score. What was logged with parameters outside the space, or without some of them, is left out.
- A combination that was never logged fails and is not counted, for nobody knows what it would come to.
- The objective is the first of NDCG@10, MRR@10, Recall@10, AUC and minus log loss that was logged, on
  validation data.
- Slot 0 is a logged trial, drawn by the seed, the same for all engines and algos: the published best must
  not have a start.
- Numbers are means over the searches, each the mean of its seeds. They are compared with what random order
  needs after the same slot 0, which is known exactly: of n trials left, k of them best, the first best one
  is expected at (n + 1) / (k + 1). The 95 % interval of the difference is over the searches.

    python benchmarks/search_published.py --published FOLDER --seeds 20

Where there is no such folder, it says so and ends well. The exit code is 1 where a search tried a
combination twice or missed the best, or where a model-based algo is worse than random beyond chance.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import re
import statistics
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from recsweep.common.files import canonical_json
from recsweep.common.provenance import hardware, versions
from recsweep.search.engines import make_engine
from recsweep.search.engines.base import Observation, Search
from recsweep.sweeps.config import parameter_type
from recsweep.sweeps.engine_table import ENGINES
from recsweep.sweeps.space import Params, Space, cast, grid_size
from results import command, write_section

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT.parent / "shared" / "published"
OBJECTIVES = {
    "valid_ndcg@10": 1,
    "valid_mrr@10": 1,
    "valid_recall@10": 1,
    "valid_auc": 1,
    "valid_logloss": -1,
}
FEWEST, LEAST = 4, 0.5
"""A search takes part from so many logged trials and from such a part of its grid."""
LARGE = 12
"""From so many logged trials on a search is large: in a smaller one most trials are random ones."""
JUDGED = 20
"""From so many searches on an interval is trusted."""
MODEL_BASED = {"bayes", "gp", "cmaes"}
GAUSSIAN = "gp"

Arm = tuple[str, str]
"""An engine and an algo of it."""


@dataclass(frozen=True)
class Recorded:
    """One published search: a space, and what came of its points."""

    name: str
    space: Space
    scores: dict[str, float]
    """By the canonical JSON of the parameters, rounded to four decimals."""
    points: tuple[Params, ...]

    @property
    def best(self) -> float:
        return max(self.scores.values())

    def start(self, seed: int) -> Params:
        """A logged point."""
        return random.Random(f"{self.name}/{seed}").choice(self.points)

    def random_order(self, start: Params) -> float:
        """Expected number of trials until the best, in random order after a start."""
        if self.scores[canonical_json(start)] == self.best:
            return 1.0
        return 1.0 + len(self.points) / (list(self.scores.values()).count(self.best) + 1)


@dataclass
class Replay:
    """A session (`engines.base.Session`) in which recorded results take the place of training."""

    recorded: Recorded
    search: Search
    seed: int
    found: list[Observation] = field(default_factory=list)

    def next_slot(self) -> int | None:
        over = self.done or len(self.found) >= grid_size(self.recorded.space)
        return None if over else len(self.found)

    def proposal_seed(self, slot: int) -> int:
        return zlib.crc32(f"{self.recorded.name}/{self.seed}/{slot}".encode()) % (2**31 - 1)

    def history(self) -> list[Observation]:
        return list(self.found)

    def running(self) -> list[Params]:
        return []

    def take(self, slot: int, params: Params) -> bool:
        return all(one.params != params for one in self.found)

    def run(self, slot: int, params: Params) -> Observation:
        score = self.recorded.scores.get(canonical_json(params))
        self.found.append(Observation(slot, params, score))
        return self.found[-1]

    @property
    def done(self) -> bool:
        return any(one.score == self.recorded.best for one in self.found)

    @property
    def trials(self) -> int:
        return sum(one.score is not None for one in self.found)

    def problems(self) -> Iterator[str]:
        if not self.done:
            yield "did not find the best"
        if len({canonical_json(one.params) for one in self.found}) < len(self.found):
            yield "tried a combination twice"


@dataclass(frozen=True)
class Result:
    """How many trials each seed of an arm took in a search, and how many random order would."""

    name: str
    arm: Arm
    trials: tuple[int, ...]
    by_chance: tuple[float, ...]
    seconds: float
    problems: tuple[str, ...]


def main() -> int:
    arguments = _arguments()
    if not (arguments.published / "searches.csv").is_file():
        _tell(f"{arguments.published} holds no published searches; nothing to do")
        return 0
    searches = read_published(arguments.published)
    started = time.monotonic()
    results = run_all(searches, arguments)
    text = report(searches, results, arguments, time.monotonic() - started)
    _tell(text)
    if arguments.write:
        write_section("search quality", text)
    problems = [f"{r.name}, {'/'.join(r.arm)}: {problem}" for r in results for problem in r.problems]
    problems += worse_than_random(results)
    for problem in problems:
        _tell(f"PROBLEM: {problem}")
    return 1 if problems else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How soon each algo finds the best of published searches.")
    parser.add_argument("--published", type=Path, default=PUBLISHED, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=20, help="searches of each arm on each published search")
    parser.add_argument("--gp-seeds", type=int, default=5, help="the same for gp, which takes its time")
    parser.add_argument("--startup", type=int, default=8, help="random trials before a model proposes")
    parser.add_argument("--arms", nargs="*", default=None, metavar="ENGINE/ALGO", help="only these")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    return parser.parse_args()


def read_published(folder: Path) -> list[Recorded]:
    """The searches that take part."""
    trials: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in _rows(folder / "trials.csv"):
        trials.setdefault(_key(row), []).append(row)
    searches = (_recorded(row, trials.get(_key(row), [])) for row in _rows(folder / "searches.csv"))
    return [
        one
        for one in searches
        if len(one.points) >= max(FEWEST, LEAST * grid_size(one.space)) and len(set(one.scores.values())) > 1
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return row["family"], row["model"], row["dataset"]


def _recorded(row: dict[str, str], trials: list[dict[str, str]]) -> Recorded:
    space = read_space(row["space"])
    objective = next((name for name in OBJECTIVES if any(trial.get(name) for trial in trials)), None)
    scores: dict[str, float] = {}
    points: list[Params] = []
    for trial in trials:
        given = read_params(trial["params"])
        if objective is None or not trial[objective]:
            continue
        if not all(name in given and parameter.contains(given[name]) for name, parameter in space.items()):
            continue
        params = cast(space, given)
        if canonical_json(params) not in scores:
            points.append(params)
            scores[canonical_json(params)] = round(OBJECTIVES[objective] * float(trial[objective]), 4)
    return Recorded("/".join(_key(row)), space, scores, tuple(points))


def read_space(text: str) -> Space:
    """`learning_rate choice [1e-4,1e-3]; n_layers in [1,2]` as a space."""
    space: dict[str, Any] = {}
    for part in _without_quotes(text).split(";"):
        if match := re.fullmatch(r"\s*(\w+)\s*(?:choice|in)\s*(\[.*\])\s*", part):
            space[match[1]] = parameter_type({"type": "choice", "values": _value(match[2])})
    return space


def read_params(text: str) -> Params:
    """`learning_rate:0.001, mlp_hidden_size:[64,64]` as values."""
    pairs = (part.split(":", 1) for part in _parts(_without_quotes(text)) if ":" in part)
    return {name.strip(): _value(value) for name, value in pairs}


def _without_quotes(text: str) -> str:
    return text.translate({ord("，"): ",", ord("'"): None, ord('"'): None})


def _parts(text: str) -> list[str]:
    """What commas divide, those within brackets aside."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _value(text: str) -> Any:
    text = text.strip()
    if text.startswith("["):
        return [_value(part) for part in _parts(text[1:-1])]
    if text in (words := {"True": True, "False": False, "None": None}):
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def arms(chosen: Sequence[str] | None) -> list[Arm]:
    """Every engine's algos, or those that were asked for."""
    words = [(row.name, algo) for row in ENGINES.values() if not row.extra for algo in row.names()]
    return [arm for arm in words if not chosen or "/".join(arm) in chosen]


def run_all(searches: list[Recorded], arguments: argparse.Namespace) -> list[Result]:
    jobs = [
        (one, arm, arguments.gp_seeds if arm[1] == GAUSSIAN else arguments.seeds, arguments.startup)
        for arm in arms(arguments.arms)
        for one in searches
    ]
    # The long ones first, so that no process ends up with the last of them alone.
    jobs.sort(key=lambda job: (job[1][1] != GAUSSIAN, -grid_size(job[0].space)))
    if arguments.processes == 1:
        return [run(*job) for job in jobs]
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        return list(pool.map(run, *zip(*jobs, strict=True), chunksize=4))


def run(recorded: Recorded, arm: Arm, seeds: int, startup: int) -> Result:
    """All seeds of an arm on one published search."""
    engine, algo = arm
    started = time.perf_counter()
    starts = [recorded.start(seed) for seed in range(seeds)]
    sessions = []
    for seed, start in enumerate(starts):
        session = Replay(recorded, Search(recorded.space, start, True, algo, startup), seed)
        make_engine(engine).search(session)
        sessions.append(session)
    return Result(
        recorded.name,
        arm,
        tuple(session.trials for session in sessions),
        tuple(recorded.random_order(start) for start in starts),
        time.perf_counter() - started,
        tuple(sorted({problem for session in sessions for problem in session.problems()})),
    )


def difference(results: list[Result]) -> tuple[float, float]:
    """Mean difference to random order by search, and half of its 95 % interval."""
    by_search = [statistics.fmean(result.trials) - statistics.fmean(result.by_chance) for result in results]
    if len(by_search) < 2:
        return sum(by_search), math.inf
    return statistics.fmean(by_search), 1.96 * statistics.stdev(by_search) / math.sqrt(len(by_search))


def worse_than_random(results: list[Result]) -> list[str]:
    found = []
    for arm in dict.fromkeys(result.arm for result in results):
        mine = [result for result in results if result.arm == arm]
        mean, half = difference(mine)
        if arm[1] in MODEL_BASED and len(mine) >= JUDGED and mean - half > 0:
            found.append(f"{'/'.join(arm)} takes {mean:.2f} trials more than random order, beyond chance")
    return found


def report(
    searches: list[Recorded], results: list[Result], arguments: argparse.Namespace, seconds: float
) -> str:
    """The section of RESULTS.md."""
    every = {one.name for one in searches}
    large = {one.name for one in searches if len(one.points) >= LARGE}
    machine = hardware()
    libraries = ", ".join(
        f"{name} {version}"
        for name, version in versions().items()
        if name in ("python", "recsweep", "hyperopt", "optuna", "scipy")
    )
    lines = [
        "## Search quality on published searches",
        "",
        f"Written by `{command()}` on {date.today()}, in {seconds:.0f} s.",
        "What is compared, and how, stands at the top of [search_published.py](search_published.py).",
        "",
        f"- {len(every)} published searches with {sum(len(one.points) for one in searches):,} logged trials; "
        f"{len(large)} of them are large, with {LARGE} trials or more.",
        f"- {arguments.seeds} seeds each (gp {arguments.gp_seeds}), "
        f"{arguments.startup} random trials before a model proposes.",
        f"- Machine: {machine['cores']} cores, {machine['processor']}. {libraries}.",
        "",
        "Trials until the best is found, and the difference to random order with its 95 % interval:",
        "",
        "| engine/algo | trials | than random order | large: trials | than random order | ms a trial |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm in arms(arguments.arms):
        mine = [result for result in results if result.arm == arm]
        cells = ["/".join(arm)]
        for names in (every, large):
            there = [result for result in mine if result.name in names]
            mean, half = difference(there)
            trials = [statistics.fmean(result.trials) for result in there]
            cells += [f"{statistics.fmean(trials):.2f}", f"{mean:+.2f} ± {half:.2f}"] if there else ["", ""]
        count = sum(sum(result.trials) for result in mine)
        cells.append(f"{1000 * sum(result.seconds for result in mine) / max(1, count):.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
