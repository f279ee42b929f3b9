"""Each of RecBole's 94 models, one trial of one epoch on a part of ml-100k: run, or refused.

The way is that of any sweep: model files, a check before the first trial, `recsweep tune`, the store. Those
that are refused are refused by that check. A model of labels gets drawn negatives, trees get labels by a
threshold, one of a graph that which lies beside ml-100k in RecBole's wheel; pre-training is one epoch.
The part is the five-star ratings of users who gave sixty of them; for trees, all ratings of users with 200.

    python benchmarks/every_model.py --write

Exit code 1 where a model neither runs nor is refused.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError
from recsweep.common.files import write_yaml
from recsweep.planning.plan import check_data, plan_sweep
from recsweep.recbole_api import catalog
from recsweep.recbole_api.model_facts import ModelFacts, facts
from recsweep.study import State, Store, Trial
from recsweep.sweeps.loading import load_sweep
from results import command, own_lines, write_section

RANKING = {"metric": "NDCG@10", "metrics": ["Recall", "NDCG"], "topk": [10]}
IDS = ["user_id", "item_id", "timestamp", "rating"]
DATA: dict[str, dict[str, Any]] = {
    "plain": {},
    "items": {"columns": {"inter": IDS, "item": ["item_id", "class"]}},
    "features": {
        "columns": {"inter": IDS, "user": ["user_id", "age", "gender"], "item": ["item_id", "class"]},
    },
    "kg": {
        "without_features": "drop",
        "columns": {
            "inter": IDS,
            "kg": ["head_id", "relation_id", "tail_id"],
            "link": ["item_id", "entity_id"],
        },
    },
}
DATA["labels"] = {
    "columns": DATA["features"]["columns"],
    "label_threshold": {"rating": 4},
    "min_user_interactions": 200,
    "keep": {},
}
DRAWN = {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 1}}


@dataclass(frozen=True)
class Outcome:
    """What became of one model."""

    model: str
    data: str
    ran: bool
    text: str
    """Score, seconds and code of its trial; or the reason."""
    sound: bool = True
    """False where it was let in, and its trial failed."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", nargs="*", help="only these")
    options.add_argument("--keep", type=Path, help="a folder to go on in where it broke off")
    options.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    given = options.parse_args()
    names = given.models or list(catalog.models())
    with tempfile.TemporaryDirectory(prefix="every-model-") as folder:
        found = list(outcomes(given.keep or Path(folder), names))
    page = report(found)
    print(page)
    if given.write:
        write_section("every model", page)
    sys.exit(any(not one.sound for one in found))


def outcomes(root: Path, names: list[str]) -> Iterator[Outcome]:
    """What becomes of each model: all that share data are one sweep."""
    by_data: dict[str, list[str]] = {}
    for name in names:
        by_data.setdefault(data_of(facts(name)), []).append(name)
    for data, models in by_data.items():
        admitted = []
        for name in models:
            if (reason := refused(root, data, name)) is None:
                admitted.append(name)
            else:
                yield Outcome(name, data, ran=False, text=reason)
        if admitted:
            yield from trained(write_sweep(root, data, admitted), data)


def data_of(about: ModelFacts) -> str:
    """The data that a model is given."""
    if about.needs.graph or about.needs.vectors:
        return "kg"
    if about.needs.item_columns:
        return "items"
    if not about.ranks:
        return "labels"
    return "features" if about.kind == "context" else "plain"


def write_sweep(root: Path, data: str, models: list[str]) -> Path:
    """A sweep of some models on one kind of data, with everything it names."""
    folder = root / data
    rows = {"path": "builtin", "keep": {"rating": "[5,inf)"}, "min_user_interactions": 60}
    split = {"max_sequence_length": 20, "split": {"type": "leave_one_out"}}
    write_yaml(folder / "datasets" / f"{data}.yaml", {**rows, **split, **DATA[data]})
    for name in models:
        write_yaml(folder / "models" / f"{name}.yaml", {"model": name, "fixed": fixed(name), "space": {}})
    path = folder / "sweep.yaml"
    sweep = {
        "sweep": data,
        "models": models,
        "datasets": [data],
        "search": {"engine": "optuna", "algo": "random", "max_evals": 1},
        "training": {"epochs": 1, "train_batch_size": 2048, "eval_batch_size": 65536, "device": "cpu"},
        "evaluation": {"metric": "AUC"} if data == "labels" else RANKING,
        "popularity": "none",
        "workers": {"count": 1, "trial_timeout_minutes": 10},
        "outputs": str(root / "outputs" / data),
    }
    write_yaml(path, sweep)
    return path


def fixed(name: str) -> dict[str, object]:
    """What a model's file holds still."""
    about = facts(name)
    found: dict[str, object] = {}
    if about.task == "labels" and about.learns:
        found |= DRAWN
    if about.needs.clusters:
        found[about.needs.clusters] = 50
    if about.stages:
        found["pretrain_epochs"] = 1
    return found


def refused(root: Path, data: str, name: str) -> str | None:
    """The reason why a model is refused before its first trial; None where it is let in."""
    sweep = load_sweep(write_sweep(root, data, [name]), {})
    try:
        plan_sweep(sweep)
        check_data(sweep)
    except InputError as error:
        return str(error).replace(f"{root}/", "").replace(str(catalog.recbole_folder()), "recbole")
    return None


def trained(path: Path, data: str) -> Iterator[Outcome]:
    """Run a sweep, and read what came of it in its store."""
    subprocess.run([sys.executable, "-m", "recsweep", "tune", "--config", str(path)], check=False)
    plans = plan_sweep(load_sweep(path, {}))
    store = Store(plans[0].storage_url)
    records = {record.model_name: record for record, _ in store.tallied()}
    for plan in plans:
        record = records.get(plan.model_name)
        trials = store.study_of(record).results() if record is not None else []
        yield _outcome(plan.model_name, data, trials[0] if trials else None)
    store.close()


def _outcome(model: str, data: str, trial: Trial | None) -> Outcome:
    if trial is None:
        return Outcome(model, data, ran=False, text="no trial", sound=False)
    if trial.state is not State.COMPLETE:
        said = trial.failure.message if trial.failure is not None else ""
        return Outcome(model, data, ran=False, text=f"{trial.reason} {said}", sound=False)
    result = trial.result
    return Outcome(model, data, ran=True, text=f"{trial.score:.4f}, {result.seconds:.1f} s, {result.path}")


def report(found: list[Outcome]) -> str:
    """The section of RESULTS.md."""
    ran, sound = sum(one.ran for one in found), sum(one.sound for one in found)
    lines = ["## Every model of RecBole, one trial", "", f"`{command()}`", "", *own_lines(), ""]
    kept = f"{ran} run, {sound - ran} are refused before a trial with the reason and what would make them run"
    lines += [f"{sound} of {len(found)}: {kept}.", ""]
    lines += [
        "| model | kind | data | NDCG@10 (of trees AUC), seconds, trained by; or the reason |",
        "|---|---|---|---|",
    ]
    order = sorted(found, key=lambda one: list(catalog.models()).index(one.model))
    lines += [f"| {one.model} | {facts(one.model).kind} | {one.data} | {one.text} |" for one in order]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
