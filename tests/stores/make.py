"""How the stores of this folder were made, by the code of commit 4ed2117: before a study described itself.

`old.db` and `old.journal` hold the same studies, `old/` the sweeps that they belong to, and `expected.json`
the files that `recsweep summarize` wrote of them then, each with the folder that it stood in as `ROOT`.
Nothing was trained: what trials came to was given to the store as a worker gives it. The script is kept to
show what is in them. It is of that commit, and nothing runs it:

    PYTHONPATH=src:tests TZ=UTC python tests/stores/make.py
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from recsweep.cli.budgets import settle_more, with_more
from recsweep.cli.tuning import _write_summary
from recsweep.common.owner import this_process
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.search.starts import as_begun, begin, open_study
from recsweep.study import DATA_ATTRIBUTE, DIVERGED, TEST_ATTRIBUTE, Store, Study, best
from recsweep.sweeps.config import SECONDS
from recsweep.sweeps.loading import load_sweep

HERE = Path(__file__).parent
OWNER = dataclasses.replace(this_process(), pid_space="host-a/boot/pid", pid=100, worker=101)
ENVIRONMENT = {
    "device": "cpu",
    "threads": 1,
    "versions": {"torch": "2.13.0"},
    "commit": "abc123",
    "repository": {"name": "mine", "commit": "def456", "changes": False},
    "hardware": {"cores": 2},
}


def fill(plan: StudyPlan, store: Store, scores: list[float | str | None], restart: bool = False) -> Study:
    """A study whose next trials came to these scores; None: it failed, `pruned`: it was."""
    begun, origin = begin(plan, store)
    study = open_study(begun, store, restart=restart, origin=origin)
    study.ensure_slots(begun.budget)
    study.set_attribute(DATA_ATTRIBUTE, {"users": 4, "items": 15, "interactions": 24})
    for number, score in enumerate(scores):
        claim = study.claim(begun.budget, OWNER)
        assert claim is not None
        names = list(begun.space)
        params = dict(begun.known_good[0])
        if number:
            varied = begun.space[names[number % len(names)]]
            if varied.when is None:
                params[names[number % len(names)]] = varied.from_unit(0.3 + 0.2 * (number % 3))
        study.start(claim, params, begun.space, begun.trial_seed(claim.slot), ENVIRONMENT)
        if score is None:
            study.fail(claim, DIVERGED, "the loss is NaN", 1.25)
            continue
        if score == "pruned":
            study.report(claim, 1, 0.05)
            stopped = {"metrics": {}, "best_epoch": 1, "epochs": 1, "seconds": 0.5}
            study.prune(claim, [0.05], stopped, "pruned at epoch 1: below the median")
            continue
        assert isinstance(score, float)
        study.report(claim, 1, score)
        metrics = {"ndcg@10": score, "recall@10": 2 * score}
        values = [1.5 + number if one.name == SECONDS else score for one in begun.objectives]
        ended = {"metrics": metrics, "best_epoch": 1, "epochs": 2, "seconds": 1.5 + number, "path": "fast"}
        study.finish(claim, values, ended)
    return study


def tested(study: Study) -> None:
    winner = best(study.results(), maximize=True)
    assert winner is not None
    metrics = {"ndcg@10": 0.111, "recall@10": 0.222}
    study.set_attribute(TEST_ATTRIBUTE, {"trial_id": winner.id, "slot": winner.slot, "metrics": metrics})


def plans_of(sweep: str, **options: Any) -> dict[str, StudyPlan]:
    plans = plan_sweep(load_sweep(Path(f"{sweep}.yaml"), options))
    return {f"{plan.model_name}/{plan.phase}": plan for plan in plans}


def make(storage: str) -> None:
    store = Store(storage)
    plain = plans_of("plain", storage=storage)
    narm, fpmc = plain["NARM/full"], plain["FPMC/full"]
    fill(narm, store, [0.1, 0.3, "pruned", None])
    fill(fpmc, store, [0.2, 0.15])  # of four
    fill(dataclasses.replace(fpmc, study_name="of-mine"), store, [0.2, 0.21, 0.22, 0.19])
    (more,) = with_more([narm], 2)
    tested(fill(more, store, [0.25, 0.35]))
    settle_more(more)
    other = dataclasses.replace(narm, model_name="FOSSIL", model=plain["FOSSIL/full"].model)
    earlier = other.sweep.model_copy(update={"seed": 7})
    fill(dataclasses.replace(other, sweep=earlier), store, [0.4, 0.1])
    fill(plain["FOSSIL/full"], store, [0.12, 0.13, 0.14, 0.11], restart=True)
    phased = plans_of("phased", storage=storage)
    fill(phased["NARM/coarse"], store, [0.1, 0.2])
    tested(fill(phased["NARM/architecture"], store, [0.25, 0.15]))
    tested(fill(plans_of("variants", storage=storage)["Any/full_with_model"], store, [0.1, 0.2, 0.15]))
    tested(fill(plans_of("several", storage=storage)["NARM/full"], store, [0.2, 0.3, 0.25]))
    store.close()


def written(storage: str, root: Path) -> dict[str, str]:
    """What summarize writes of them."""
    for sweep in ("plain", "phased", "variants", "several"):
        plans = list(plans_of(sweep, storage=storage).values())
        _write_summary(plans)
        if sweep == "plain":
            named = dataclasses.replace(plans[1], study_name="of-mine")
            write_named(named)
    files = sorted(path for path in Path("outputs/results").rglob("*") if path.is_file())
    return {str(path): path.read_text().replace(str(root), "ROOT") for path in files}


def write_named(plan: StudyPlan) -> None:
    from recsweep.report.results import read_result
    from recsweep.report.study_files import write_study

    store = Store(plan.storage_url)
    study = store.find_study(plan.name)
    assert study is not None
    write_study(read_result(as_begun(plan, store), study, store))
    store.close()


def main() -> None:
    expected: dict[str, dict[str, str]] = {}
    for kind in ("db", "journal"):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name).resolve()
            shutil.copytree(HERE / "old", root, dirs_exist_ok=True)
            os.chdir(root)
            storage = f"sqlite:///{root}/old.db" if kind == "db" else f"journal:///{root}/old.journal"
            make(storage)
            expected[kind] = written(storage, root)
            if kind == "db":
                with closing(sqlite3.connect("old.db", isolation_level=None)) as connection:
                    connection.execute("PRAGMA journal_mode=DELETE")
                    connection.execute("VACUUM")
            shutil.copy(root / f"old.{kind}", HERE / f"old.{kind}")
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
