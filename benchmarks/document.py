"""The report of a large sweep: 6 models x 3 data sets x 20 trials x 5 seeds, made by code, without training.

The store is filled as workers fill it; then `recsweep report` runs as a command of its own, with no network.

    python benchmarks/document.py --write
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from recsweep.common.owner import this_process  # noqa: E402
from recsweep.planning.plan import StudyPlan, plan_sweep  # noqa: E402
from recsweep.search.evidence import open_evidence, wanted_evidence  # noqa: E402
from recsweep.search.starts import open_study  # noqa: E402
from recsweep.statistics.users import UserScores  # noqa: E402
from recsweep.study import Result, Store, Study, best  # noqa: E402
from recsweep.study.details import Energy  # noqa: E402
from recsweep.study.states import Reason  # noqa: E402
from recsweep.sweeps.loading import load_sweep  # noqa: E402
from recsweep.sweeps.space import Params, from_unit  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402

MODELS = ("GRU4Rec", "NARM", "STAMP", "SASRec", "FPMC", "FOSSIL")
DATASETS = {"films": 0.09, "books": 0.05, "games": 0.07}
"""Names of the data sets, and about what NDCG@10 a good model reaches there."""
STRENGTH = {"GRU4Rec": 1.0, "NARM": 1.02, "STAMP": 0.92, "SASRec": 1.08, "FPMC": 0.95, "FOSSIL": 0.85}
TRIALS, SEEDS = 20, 5
USERS_TESTED = 1000
COUNTS = {"users": 1000, "items": 1700, "interactions": 62_000, "repeats": 0.0, "leak": 0.62, "future": 0.48}
SECONDS, MEGABYTES = 20.0, 6.0
"""Targets."""
ENVIRONMENT = {
    "device": "cpu",
    "threads": 2,
    "versions": {"python": "3.11.7", "recsweep": "0.1.0", "recbole": "1.2.1", "torch": "2.13.0"},
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "hardware": {
        "machine": "x86_64",
        "processor": "A processor, made up",
        "cores": 8,
        "memory_gib": 31.2,
        "system": "Linux 6.1",
    },
}
USERS, ITEMS = 40, 60


def main() -> int:
    parser = argparse.ArgumentParser(description="How long the report of a large sweep takes, and its size.")
    parser.add_argument("--keep", type=Path, help="a folder in which the sweep and its report stay")
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.keep or Path(made)
        sweep = make_sweep(folder)
        began, used = time.perf_counter(), _processor()
        page = Path(_report(sweep, folder))
        seconds, used = time.perf_counter() - began, _processor() - used
        text = page.read_text(encoding="utf-8")
    megabytes = len(text.encode()) / 1e6
    outside = re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*["']|url\([^)]*\)|@import""", text)
    told = report(seconds, used, megabytes, outside)
    print(told)
    if arguments.write:
        write_section("document", told)
    return int(seconds > SECONDS or megabytes > MEGABYTES or bool(outside))


def make_sweep(folder: Path) -> Path:
    """The files of a sweep and its store, filled; its file."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "config" / "models", folder / "models", dirs_exist_ok=True)
    (folder / "datasets").mkdir(exist_ok=True)
    rows = [
        f"{user}\t{(user * 7 + n * (3 + user % 5)) % ITEMS}\t{user + 100 * n}"
        for user in range(USERS)
        for n in range(8 + user % 9)
    ]
    for name in DATASETS:
        (folder / "datasets" / f"{name}.yaml").write_text(f"path: {name}\n", encoding="utf-8")
        (folder / "datasets" / name).mkdir(exist_ok=True)
        lines = ["user_id:token\titem_id:token\ttimestamp:float", *rows]
        (folder / "datasets" / name / f"{name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sweep = folder / "large.yaml"
    sweep.write_text(
        f"sweep: large\nmodels: [{', '.join(MODELS)}]\ndatasets: [{', '.join(DATASETS)}]\n"
        f"search: {{max_evals: {TRIALS}}}\npruning: {{pruner: median}}\noutputs: {folder / 'outputs'}\n",
        encoding="utf-8",
    )
    for plan in plan_sweep(load_sweep(sweep, {})):
        fill(plan)
    return sweep


def fill(plan: StudyPlan) -> None:
    """Write the trials of a study into the store, and the test of its winner."""
    plan.storage_url.file.parent.mkdir(parents=True, exist_ok=True)  # type: ignore[union-attr]
    store = Store(plan.storage_url)
    study = open_study(plan, store)
    chance = random.Random(plan.name)
    study.ensure_slots(plan.budget)
    for slot in range(plan.budget):
        _trial(plan, study, slot, chance)
    study.update_record(lambda record: record.counted(COUNTS))
    winner = best(study.results(), maximize=True)
    assert winner is not None
    assert winner.score is not None
    users = _users(plan, winner.score * 0.95, winner.slot)
    about = {"study": plan.name, "trial": winner.slot, "seed": winner.seed}
    dataclasses.replace(users, about=about).write(plan.outputs.users(*plan.folder_names))
    study.set_attribute("test", {"trial_id": winner.id, "metrics": users.means()})
    _evidence(plan, store, winner.score)
    store.close()


def _evidence(search: StudyPlan, store: Store, score: float) -> None:
    """Train the winner again, so to speak: a little worse than the search's own, as it is."""
    plan = open_evidence(wanted_evidence(search, store), store)
    study, chance = store.find_study(plan.name), random.Random(plan.name)
    assert study is not None
    study.ensure_slots(plan.budget)
    for slot, point in enumerate(plan.points):
        claim = study.claim(plan.budget, this_process())
        assert claim is not None
        study.start(claim, point.configuration.params, plan.space, point.training_seed, ENVIRONMENT)
        valid = round(score * (0.98 + chance.gauss(0, 0.01)), 4)
        users = _users(search, valid * 0.95, point.training_seed)
        seeds = (point.training_seed, point.split_seed)
        about = {"study": plan.name, "slot": slot, **point.to_plain()}
        path = search.outputs.evidence_users(search.dataset_name, search.model_name, *seeds)
        dataclasses.replace(users, about=about).write(path)
        study.report(claim, 1, valid)
        study.finish(claim, valid, Result(_metrics(valid), 1, 2, 60.0, "recsweep", test=users.means()))


def _users(plan: StudyPlan, ndcg: float, seed: int) -> UserScores:
    """Scores of many users, who are more or less easy to please, whatever the model."""
    easy = np.random.default_rng(len(plan.dataset_name)).beta(0.8, 2.5, USERS_TESTED)
    chance = np.random.default_rng([seed % 2**31, len(plan.model_name)])
    hit = chance.random(USERS_TESTED) < easy / easy.mean() * ndcg * 1.9
    rank = chance.integers(1, 11, USERS_TESTED)
    scores = {"ndcg@10": hit / np.log2(rank + 1), "mrr@10": hit / rank, "recall@10": hit, "hit@10": hit}
    names = np.array(sorted(f"u{number}" for number in range(USERS_TESTED)))
    return UserScores(names, {name: values.astype(np.float64) for name, values in scores.items()})


def _trial(plan: StudyPlan, study: Study, slot: int, chance: random.Random) -> None:
    """One trial: the better its parameters, the higher its curve, with some luck."""
    claim = study.claim(plan.budget, this_process())
    assert claim is not None
    drawn = from_unit(plan.space, {name: chance.random() for name in plan.space})
    params = dict(plan.defaults) if slot == 0 else drawn
    study.start(claim, params, plan.space, plan.trial_seed(slot), ENVIRONMENT)
    top, epochs = _top(plan, params, chance), 20 + chance.randrange(60)
    pruned, failed = slot > 5 and chance.random() < 0.2, slot > 3 and chance.random() < 0.04
    last = 6 + chance.randrange(8) if pruned else epochs
    curve = {n: _score(top, n, epochs, chance) for n in range(1, last + 1)}
    for epoch, score in curve.items():
        study.report(claim, epoch, score)
    score = max(curve.values())
    reached = next(epoch for epoch, value in curve.items() if value == score)
    seconds = 2.5 * last * (1 + len(plan.model_name) / 6)
    energy = Energy(seconds * 1.2e-5, seconds * 4e-3, "rapl", estimated=False)
    result = Result(_metrics(score), reached, last, seconds, "recsweep", energy=energy)
    if failed:
        study.fail(claim, Reason.DIVERGED, f"the training loss is NaN in epoch {last}")
    elif pruned:
        study.prune(claim, [score], result, f"pruned at epoch {last}: {score:.4f} < median {top:.4f}")
    else:
        study.finish(claim, score, result)


def _top(plan: StudyPlan, params: Params, chance: random.Random) -> float:
    """What the curve of these parameters rises to."""
    shares = [
        space.to_unit(params[name])
        for name, space in plan.space.items()
        if name in params and not isinstance(params[name], str | list)
    ]
    weights = [1.0 / (1 + n) for n in range(len(shares))]
    far = sum(w * (s - 0.55) ** 2 for w, s in zip(weights, shares, strict=True)) / sum(weights)
    strength = STRENGTH[plan.model_name] * DATASETS[plan.dataset_name]
    return strength * (1 - 1.6 * far) * (1 + chance.gauss(0, 0.02))


def _score(top: float, epoch: int, epochs: int, chance: random.Random) -> float:
    rise = 1 - math.exp(-4 * epoch / epochs)
    return round(top * rise * (1 + chance.gauss(0, 0.01)), 4)


def _metrics(ndcg: float) -> dict[str, float]:
    shares = {"recall@10": 1.9, "mrr@10": 0.72, "ndcg@10": 1.0, "hit@10": 1.9}
    return {name: round(ndcg * share, 4) for name, share in shares.items()}


def _report(sweep: Path, folder: Path) -> str:
    """Run the command; a line of its own names the page."""
    done = subprocess.run(
        [sys.executable, "-m", "recsweep", "report", "--config", str(sweep)],
        env={**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=folder,
    )
    return done.stdout.strip().splitlines()[-1]


def _processor() -> float:
    """Seconds of processor time of all processes that this one has waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def report(seconds: float, used: float, megabytes: float, outside: list[str]) -> str:
    told = "none" if not outside else ", ".join(outside[:3])
    rows = [
        ("seconds of `recsweep report`", f"{seconds:.1f}", f"{SECONDS:g}", seconds <= SECONDS),
        ("processor seconds of it", f"{used:.1f}", f"{SECONDS:g}", used <= SECONDS),
        ("megabytes of its page", f"{megabytes:.2f}", f"{MEGABYTES:g}", megabytes <= MEGABYTES),
        ("resources from elsewhere", told, "none", not outside),
    ]
    lines = [
        "## The report of a large sweep",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}: {len(MODELS)} models x {len(DATASETS)} "
        f"data sets x {TRIALS} trials x {SEEDS} seeds, made by code.",
        "",
        *own_lines(),
        "",
        "| | measured | target | |",
        "|---|---:|---:|---|",
        *(
            f"| {name} | **{value}** | {most} | {'reached' if fine else 'missed'} |"
            for name, value, most, fine in rows
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
