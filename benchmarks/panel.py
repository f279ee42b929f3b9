"""The panel of 25 most used general models on ml-100k, against RecBole's own run on the same split.

Two tables. `defaults`: RecBole's default parameters, five seeds, each of them both of the split and of the
training, as in RecBole. `published`: the best parameters that RecBole's authors print for ml-1m
(published_best.yaml), one seed; ml-1m cannot be downloaded here, so that both arms train them on ml-100k.

Each pair is one configuration file: recsweep trains it by what a trial is trained by (`training.train`,
`training.evaluate`; fast paths on), and RecBole's own `run_recbole` trains it unchanged, in an environment
of its own (requirements-recbole.txt, `.venv-recbole`). Every metric of validation and
test must agree to 1e-4; the exit code is 1 where one does not. Training is cut after `--epochs`, alike on
both sides: that they are equal is what is shown, not how good a model gets. Some models need a word:

- Pop gets batches of one row: RecBole's counts an item once a batch, however often it stands there, and
  recsweep's counts every row.
- Random and MacridVAE draw random numbers for every score. They are compared on validation alone: RecBole's
  test goes on in the random sequence of its validation, and recsweep tests a winner apart from its search.
  RecBole's count of operations, which asks them for a score before the training, is left out; so it is of
  SGL, which draws its graphs then. RecBole's tuner does not count them either.
- ItemKNN and UserKNN cut their neighbours by NumPy's `argpartition`, and which of equal ones stay is up to
  NumPy's vector code, which is another one in the NumPy that RecBole needs. It is switched off in both arms.
- ADMMSLIM adds up float32 numbers over 100 rounds on both sides. Their scores are 3e-6 apart at most, which
  for one user in a thousand is enough to let two items change places; that one step is what its metrics may
  differ by (`ONE_STEP`). NOTES.md has how far either is from float64.
- Models with dropout draw other masks on their fast paths than RecBole does, so that no two trainings can be
  equal. They are trained once more by RecBole's code within recsweep (`fast: false`), which has to agree as
  above; the mean of the fast path over the seeds is set beside it, with its interval (Student, by seeds). It
  is off where an interval that holds for all of these models at once (Bonferroni) leaves out zero.
  DMF is among them, as Adam makes whole steps of gradients that are zero but for rounding: RecBole's own
  training, begun with weights one unit in the last place away, ends as far off as its fast path (NOTES.md).

    python benchmarks/panel.py --models BPR LightGCN --seeds 2
    python benchmarks/panel.py --keep FOLDER --write      # goes on where it broke off

"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from scipy.special import stdtrit

from recsweep.common.files import write_text, write_yaml
from recsweep.datasets.prepare import open_tables
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import Split, build_split
from recsweep.recbole_api.settings import trial_settings
from recsweep.statistics.spread import LEVEL, spread_of
from recsweep.sweeps.config import DatasetConfig, EvaluationConfig, ModelConfig, SplitConfig, TrainingConfig
from recsweep.sweeps.documents import load_document
from recsweep.training import training
from results import command, machine_lines, write_section
from side_by_side import HERE, NO_VECTORS, recbole_python

CPU = torch.device("cpu")
FIRST_SEED = 2020
TOLERANCE = 1e-4
OFF = "**off**"
"""The word for a fast path that is not as another seed."""
ONE_STEP = {"ADMMSLIM": (1 / 2 - 1 / 3) / 943 + 1e-8}
"""Models that round, and what a metric may differ by: one of 943 users has the first hit at 3, not 2."""
FULL = DatasetConfig(name="ml-100k", split=SplitConfig(type="ratio", order="random"), time_order="recbole")
PUBLISHED = load_document(HERE / "published_best.yaml").data
KNN_OF_USERS = "UserKNN"
"""No model of RecBole's by name: its ItemKNN with `knn_method: user`."""
DRAWING = ("Random", "MacridVAE")
"""Models whose scores are drawn."""
UNLIKE = (
    *("DMF", "NeuMF", "MultiDAE", "MultiVAE", "CDAE", "ENMF", "GCMC", "RecVAE", "MacridVAE", "SimpleX"),
    "NGCF",
)
"""Models with dropout that have a fast path, and DMF."""
RECBOLE, FAST, PLAIN = "recbole", "recsweep", "plain"
"""Who trains: RecBole, recsweep as it is, recsweep without its fast paths."""
PANEL = (
    *(
        "Pop",
        "Random",
        "ItemKNN",
        KNN_OF_USERS,
        "EASE",
        "NCEPLRec",
        "ADMMSLIM",
        "BPR",
        "DMF",
        "NeuMF",
        "MultiDAE",
    ),
    *("MultiVAE", "CDAE", "DiffRec", "ENMF", "GCMC", "RecVAE", "LightGCN", "MacridVAE", "SimpleX", "NGCF"),
    *("SLIMElastic", "FISM", "DGCF", "SGL"),
)
"""The quick ones first."""


@dataclass(frozen=True)
class Pair:
    """One configuration, trained by both."""

    table: str
    model: str
    seed: int
    settings: dict[str, Any]
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / f"{self.table}-{self.model}-{self.seed}.yaml"

    def result(self, arm: str) -> Path:
        return self.config.with_suffix(f".{arm}.json")

    @property
    def arms(self) -> tuple[str, ...]:
        return (RECBOLE, FAST, PLAIN) if self.model in UNLIKE else (RECBOLE, FAST)

    @property
    def is_done(self) -> bool:
        """True where all arms have trained it."""
        return all(self.result(arm).is_file() for arm in self.arms)

    def metrics(self, arm: str) -> dict[str, float]:
        """Those of validation and test, by name."""
        found = json.loads(self.result(arm).read_text(encoding="utf-8"))
        parts = ("valid",) if self.model in DRAWING else ("valid", "test")
        return {f"{part} {name}": value for part in parts for name, value in found[part].items()}


def main() -> int:
    arguments = _arguments()
    if os.environ.get("NPY_DISABLE_CPU_FEATURES") != NO_VECTORS["recsweep"]:  # read when NumPy is imported
        os.environ["NPY_DISABLE_CPU_FEATURES"] = NO_VECTORS["recsweep"]
        os.execv(sys.executable, [sys.executable, "-W", "ignore", *sys.argv])
    python = recbole_python()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="recsweep-panel-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        lines = list(_wanted(arguments, folder))
        wanted = [(pairs[0].table, pairs[0].model, len(pairs)) for pairs in lines]
        if arguments.as_kept:
            lines = [kept for pairs in lines if (kept := [pair for pair in pairs if pair.is_done])]
        train(lines, python)
        done = [line(pairs) for pairs in lines]
        there = {(pairs[0].table, pairs[0].model): len(pairs) for pairs in lines}
        missing = [f"{t} {m} {n - there.get((t, m), 0)}" for t, m, n in wanted if n > there.get((t, m), 0)]
    print("\n".join(text for text, _ in done))
    models = [pairs[0].model for pairs in lines]
    failed = [
        text
        for model, (text, error) in zip(models, done, strict=True)
        if error > tolerance(model) or OFF in text
    ]
    print("FAILED" if failed else f"all metrics agree to {TOLERANCE:g}")
    if arguments.write:
        text = document([text for text, _ in done], python, missing, bool(failed), arguments.epochs)
        write_section("panel", text)
    return 1 if failed else 0


def _wanted(arguments: argparse.Namespace, folder: Path) -> Iterator[list[Pair]]:
    """The pairs of each line of the tables."""
    for table in arguments.tables:
        seeds = arguments.seeds if table == "defaults" else 1
        for model in arguments.models:
            if table == "defaults" or model in PUBLISHED:
                numbers = range(FIRST_SEED, FIRST_SEED + seeds)
                yield [
                    Pair(table, model, seed, settings_of(table, model, seed, arguments.epochs), folder)
                    for seed in numbers
                ]


def settings_of(table: str, model: str, seed: int, epochs: int) -> dict[str, Any]:
    """A complete config: RecBole's defaults, or over them what its authors print as best."""
    params = dict(PUBLISHED[model]) if table == "published" else {}
    if model == KNN_OF_USERS:
        model, params = "ItemKNN", {"knn_method": "user"}
    settings = trial_settings(
        FULL,
        None,
        ModelConfig(model=model, fixed=params, space={}),
        TrainingConfig(epochs=epochs, device="cpu", train_batch_size=1 if model == "Pop" else 2048),
        EvaluationConfig(topk=(10,)),
        {},
        seed,
        seed,
    )
    return {**settings, "metric_decimal_place": 8, "use_gpu": False}


def train(lines: list[list[Pair]], python: Path) -> None:
    """Train what is not trained yet, by RecBole in one process and by recsweep in this one."""
    pairs = [pair for one in lines for pair in one]
    for pair in pairs:
        if not pair.config.is_file() or load_document(pair.config).data != pair.settings:
            write_yaml(pair.config, pair.settings)
            for arm in pair.arms:
                pair.result(arm).unlink(missing_ok=True)
    by_recbole([pair for pair in pairs if not pair.result(RECBOLE).is_file()], python)
    splits: dict[int, Split] = {}
    for pair in pairs:
        missing = [arm for arm in pair.arms if not pair.result(arm).is_file()]
        for arm in missing:
            by_recsweep(pair, splits, arm)
        if missing:
            print(line([pair])[0], flush=True)


def by_recbole(pairs: list[Pair], python: Path) -> None:
    """`run_recbole` on each configuration, in one process as a script would."""
    if not pairs:
        return
    files = [str(path.resolve()) for pair in pairs for path in (pair.config, pair.result("recbole"))]
    environment = {
        **os.environ,
        **{"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        "NPY_DISABLE_CPU_FEATURES": NO_VECTORS["recbole"],
    }
    with tempfile.TemporaryDirectory(prefix="recbole-") as folder:
        done = subprocess.run(
            [str(python), str(HERE / "recbole_config_arm.py"), *files],
            cwd=folder,
            env=environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise SystemExit(f"RecBole ended with exit code {done.returncode}:\n{done.stdout[-2000:]}")


def by_recsweep(pair: Pair, splits: dict[int, Split], arm: str) -> None:
    """One training and its test, as a sweep has them; the models of a seed share its split."""
    if pair.seed not in splits:
        with tempfile.TemporaryDirectory(prefix="recsweep-") as scratch:
            config = TypedConfig(pair.settings, CPU, Path(scratch))
            splits[pair.seed] = build_split(config, open_tables(config))
    split = splits[pair.seed]
    settings = {**pair.settings, "fast": arm == FAST}
    trained = training.train(settings, split, CPU)
    test = training.evaluate(settings, split, CPU, trained.best)
    found = {"valid": trained.metrics, "test": test, "path": trained.path}
    write_text(pair.result(arm), json.dumps(found))


def line(pairs: list[Pair]) -> tuple[str, float]:
    """A row of the table, and the largest difference of any metric over its seeds."""
    errors, theirs, ours = [], [], []
    for pair in pairs:
        recbole, recsweep = pair.metrics(RECBOLE), pair.metrics(pair.arms[-1])
        if recbole.keys() != recsweep.keys():
            raise SystemExit(f"{pair.config.name}: {recbole.keys()} and {recsweep.keys()} should be the same")
        errors.append(max(abs(value - recsweep[name]) for name, value in recbole.items()))
        theirs.append(recbole["valid ndcg@10"])
        ours.append(recsweep["valid ndcg@10"])
    mean = [sum(values) / len(values) for values in (theirs, ours)]
    cells = [pairs[0].table, pairs[0].model, str(len(pairs)), f"{mean[0]:.4f}", f"{mean[1]:.4f}"]
    cells += [f"{max(errors):.0e}", _verdict(pairs[0].model, max(errors)), _apart(pairs)]
    return f"| {' | '.join(cells)} |", max(errors)


def _verdict(model: str, error: float) -> str:
    if error > tolerance(model):
        return "**differs**"
    return "equal" if error <= TOLERANCE else "equal but for two items of a user"


def _apart(pairs: list[Pair]) -> str:
    """The fast path of a model that cannot be equal: its mean less RecBole's, with its interval."""
    if pairs[0].model not in UNLIKE:
        return ""
    name = "valid ndcg@10"
    spread = spread_of([[pair.metrics(FAST)[name] - pair.metrics(RECBOLE)[name] for pair in pairs]])
    if spread is None or spread.low is None or spread.high is None:
        return f"{pairs[0].metrics(FAST)[name]:.4f}"
    half, free = (spread.high - spread.low) / 2, spread.n - 1
    of_all = half * stdtrit(free, 1 - (1 - LEVEL) / 2 / len(UNLIKE)) / stdtrit(free, (1 + LEVEL) / 2)
    beside = "as two seeds" if abs(spread.mean) <= of_all else OFF
    return f"{spread.mean:+.4f} ({spread.low:+.4f} to {spread.high:+.4f}), {beside}"


def tolerance(model: str) -> float:
    """By which a metric of a model may differ."""
    return ONE_STEP.get(model, TOLERANCE)


def document(lines: list[str], python: Path, missing: list[str], failed: bool, epochs: int) -> str:
    """The section of RESULTS.md."""
    return "\n".join(
        [
            "## The panel against RecBole's own run",
            "",
            f"Written by `{command()}` on {date.today()}.",
            "What is compared, and how, stands at the top of [panel.py](panel.py).",
            "",
            "- All of ml-100k, random 8:1:1 by user, full ranking; the seed draws the split too.",
            f"- {epochs} epochs at most, alike on both sides. Seeds: as many as the table says. "
            "`published`: the parameters that are published as best on ml-1m, trained on ml-100k by both.",
            "- Largest difference: over Recall, MRR, NDCG and Hit@10, validation and test, and all seeds; "
            f"at most {TOLERANCE:g}, of {', '.join(ONE_STEP)} one step of a user's. NDCG@10: on validation, "
            "mean of the seeds.",
            f"- Result: {'NOT all equal' if failed else 'all equal'}, of what is in the table.",
            *([f"- Not trained yet, with the number of seeds: {', '.join(missing)}."] if missing else []),
            *machine_lines(python),
            "",
            "| parameters | model | seeds | NDCG@10: RecBole | recsweep | largest difference | "
            "| where masks are drawn: the fast path |",
            "|---|---|---:|---:|---:|---:|---|---|",
            *lines,
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The panel against RecBole's own run, same split.")
    parser.add_argument("--models", nargs="+", choices=PANEL, default=list(PANEL))
    parser.add_argument(
        "--tables", nargs="+", choices=("defaults", "published"), default=["defaults", "published"]
    )
    parser.add_argument("--seeds", type=int, default=5, help="of the defaults")
    parser.add_argument("--epochs", type=int, default=2, help="most of a training, on both sides")
    parser.add_argument("--keep", type=Path, help="a folder of results, which are not trained again")
    parser.add_argument("--as-kept", action="store_true", help="train nothing: show what that folder holds")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
