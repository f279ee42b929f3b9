"""A store with very many studies, written at once."""

from __future__ import annotations

import json
from pathlib import Path

import sqlalchemy
from optuna.storages._rdb import models
from sqlalchemy import insert

from recsweep.study import Store
from recsweep.study.record import StudyRecord
from recsweep.study.record_table import TABLE

TRIALS = 3


def many_studies(url: str, record: StudyRecord, count: int) -> None:
    """Fill a database with copies of a finished study, each with a few trials."""
    Store(url).close()
    engine = sqlalchemy.create_engine(url)
    names = [f"many/toy/NARM-{number}/full" for number in range(count)]
    with engine.begin() as connection:
        connection.execute(
            insert(models.StudyModel.__table__),
            [{"study_id": n + 1, "study_name": name} for n, name in enumerate(names)],
        )
        row = record.to_row()
        connection.execute(
            insert(TABLE),
            [
                {**row, "study_id": n + 1, "study": name, "model_name": f"NARM-{n}"}
                for n, name in enumerate(names)
            ],
        )
        studies = [{"study_id": n + 1, "direction": "MAXIMIZE", "objective": 0} for n in range(count)]
        connection.execute(insert(models.StudyDirectionModel.__table__), studies)
        trials = [(n, slot) for n in range(count) for slot in range(TRIALS)]
        connection.execute(
            insert(models.TrialModel.__table__),
            [
                {"trial_id": i + 1, "number": slot, "study_id": n + 1, "state": "COMPLETE"}
                for i, (n, slot) in enumerate(trials)
            ],
        )
        connection.execute(
            insert(models.TrialValueModel.__table__),
            [
                {"trial_id": i + 1, "objective": 0, "value": 0.1 * (slot + 1), "value_type": "FINITE"}
                for i, (_, slot) in enumerate(trials)
            ],
        )
    engine.dispose()


def many_in_a_journal(path: Path, record: StudyRecord, count: int) -> None:
    """The same as lines of a journal, as Optuna writes them."""
    lines = []
    for number in range(count):
        name = f"many/toy/NARM-{number}/full"
        row = {**record.to_row(), "study": name, "model_name": f"NARM-{number}"}
        who = {"worker_id": "made"}
        lines.append({"op_code": 0, **who, "study_name": name, "directions": [2]})
        lines.append({"op_code": 2, **who, "study_id": number, "user_attr": {"record": row}})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
