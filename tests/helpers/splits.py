"""Prepared splits of a few interactions, and which of them are held out."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import yaml

from recsweep.datasets.prepare import prepare
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.recbole_api import catalog
from recsweep.sweeps.loading import load_sweep

ROWS = [("u1", "i1", 5), ("u1", "i2", 6), ("u1", "i3", 7), ("u1", "i4", 8), ("u1", "i5", 9)] + [
    (f"u{u}", f"i{(u * 3 + step) % 7}", 1000 + step) for u in range(2, 9) for step in range(6)
]


def make_tiny(folder: Path, rows=ROWS, model="FPMC", seed=1, **dataset) -> StudyPlan:
    """A study over a few interactions of our own, with its own cache."""
    atomic = folder / "data" / "tiny"
    atomic.mkdir(parents=True, exist_ok=True)
    text = "user_id:token\titem_id:token\ttimestamp:float\n"
    (atomic / "tiny.inter").write_text(text + "".join(f"{u}\t{i}\t{t}\n" for u, i, t in rows))
    config = folder / "config"
    for name in ("datasets", "models"):
        (config / name).mkdir(parents=True, exist_ok=True)
    own = Path(__file__).parents[2] / "config"
    space = "space: {embedding_size: {type: choice, values: [4]}}\ndefaults: {embedding_size: 4}\n"
    (config / "models" / "BPR.yaml").write_text(space)
    shutil.copy(own / "models" / "FPMC.yaml", config / "models")
    content = {"path": "../../data/tiny", "max_sequence_length": 5, **dataset}
    (config / "datasets" / "tiny.yaml").write_text(yaml.safe_dump(content))
    sweep = {"sweep": "t", "models": [model], "datasets": ["tiny"], "outputs": str(folder / "outputs")}
    sweep["seed"] = seed
    (config / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    return plan_sweep(load_sweep(config / "sweep.yaml"))[0]


def prepared(plan: StudyPlan):
    return prepare(plan.settings(plan.defaults, plan.sweep.seed), plan.files, plan.outputs.cache)


def settings_with(plan: StudyPlan, **changes):
    return {**plan.settings(plan.defaults, 1), **changes}


def last_two_by_user() -> dict[str, list[str]]:
    """Last two items of each user of ml-100k by (timestamp, place in the file)."""
    path = catalog.recbole_folder() / "dataset_example" / "ml-100k" / "ml-100k.inter"
    rows = defaultdict(list)
    for row, line in enumerate(path.read_text().splitlines()[1:]):
        user, item, _, timestamp = line.split("\t")
        rows[user].append((float(timestamp), row, item))
    return {user: [item for _, _, item in sorted(found)[-2:]] for user, found in rows.items()}


def held_out(split) -> dict[str, list[str]]:
    """Validation and test item of each user, as the file names them."""
    found: dict[str, list[str]] = defaultdict(list)
    for part in split.parts[1:]:
        users = split.whole.id2token("user_id", part.inter_feat["user_id"].numpy())
        items = split.whole.id2token("item_id", part.inter_feat["item_id"].numpy())
        for user, item in zip(users, items, strict=True):
            found[str(user)].append(str(item))
    return dict(found)


def users_with_wrong_items(plan: StudyPlan, **changes) -> set[str]:
    found = held_out(prepare(settings_with(plan, **changes), plan.files, plan.outputs.cache).split)
    truth = last_two_by_user()
    assert found.keys() == truth.keys()
    return {user for user in truth if found[user] != truth[user]}
