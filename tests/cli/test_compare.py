"""`recsweep compare`: what is said of the models of studies that were tested."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import recsweep
from recsweep.cli import main
from recsweep.statistics.users import UserScores
from recsweep.study import Store, best

STORE = Path(__file__).parents[1] / "stores" / "old.db"
STUDIES = "plain/toy/NARM/full", "plain/toy/FOSSIL/full"


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command on a store of finished studies."""
    shutil.copy(STORE, tmp_path / "store.db")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["recsweep", *words, "--storage", "sqlite:///store.db"])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def write(study: str, shift: float, *, evidence: int = 0, trial: int | None = None) -> None:
    """Scores of each user for a study's winner, and of further seeds of it."""
    store = Store("sqlite:///store.db")
    record = next(one for one in store.records() if one.study == study)
    winner = best(store.study_of(record).results(), maximize=True)
    store.close()
    draw = np.random.default_rng(len(study))
    easy = np.random.default_rng(0).uniform(0, 0.5, 200)
    outputs = record.outputs_below(Path("outputs"))
    users = np.array([f"u{n}" for n in range(200)])
    for seed in range(evidence + 1):
        values = easy + shift + draw.normal(0, 0.05, 200)
        about = {"trial": winner.slot if trial is None else trial}
        path = outputs.users(*record.folder_names)
        if seed:
            about |= {"params": dict(winner.params), "training_seed": seed, "split_seed": 0}
            path = outputs.evidence_users(record.dataset_name, record.model_name, seed, 0)
        UserScores.of_rows(users, {"ndcg@10": values, "hit@10": np.round(values)}, about).write(path)


def test_the_better_model_is_named(call):
    for study, shift in zip(STUDIES, (0.1, 0.0), strict=True):
        write(study, shift)
    _, out, _ = call("compare", *STUDIES)
    assert "- toy: NARM is better than FOSSIL by 0." in out
    assert " NDCG@10 (0." in out
    assert "p < 0.0001, 200 users, 1 seed" in out
    assert "interval of a bootstrap over users. P-values are of a paired t-test" in out
    assert out.startswith("| study |")  # the studies side by side stay


def test_evidence_on_further_seeds_is_used_where_all_have_it(call):
    for study, shift in zip(STUDIES, (0.001, 0.0), strict=True):
        write(study, shift, evidence=3)
    found = json.loads(call("compare", *STUDIES, "--json", "--scores", "NDCG@10 Hit@10")[1])
    assert [(one["metric"], one["seeds"]) for one in found["comparisons"]] == [("NDCG@10", 3), ("Hit@10", 3)]
    assert all(one["better"] is None for one in found["comparisons"])
    assert found["comparisons"][0]["sentence"].startswith("The data cannot tell ")
    assert found["studies"]
    shutil.rmtree("outputs/results/plain/toy/NARM/evidence")
    found = json.loads(call("compare", *STUDIES, "--json")[1])
    assert found["comparisons"][0]["seeds"] == 1
    assert found["remarks"][0].startswith("toy: NARM had no evidence on further seeds")


def test_pairs_are_a_table_and_csv_has_every_digit(call):
    for study, shift in zip(STUDIES, (0.1, 0.0), strict=True):
        write(study, shift)
    _, out, _ = call("compare", *STUDIES, "--pairs", "--baseline", "FOSSIL", "--test", "wilcoxon")
    assert "| toy | NDCG@10 | NARM - FOSSIL |" in out
    assert "Ihemelandu and Ekstrand 2023" in out
    (row,) = csv.DictReader(io.StringIO(call("compare", *STUDIES, "--pairs", "--csv")[1]))
    assert float(row["difference"]) == pytest.approx(float(row["mean_a"]) - float(row["mean_b"]))
    assert (row["a"], row["better"], row["correction"], row["users"]) == ("NARM", "NARM", "holm", "200")


def test_without_scores_the_studies_alone_are_compared(call):
    code, out, _ = call("compare", *STUDIES)
    assert code == 0
    assert f"{STUDIES[0]}, {STUDIES[1]} without scores per user: `recsweep evaluate`" in out
    write(STUDIES[0], 0.0)
    write(STUDIES[1], 0.0, trial=99)  # of a winner that was beaten
    assert f"- {STUDIES[1]} without scores per user" in call("compare", *STUDIES)[1]


def test_what_cannot_be_compared_is_refused(call):
    for study in STUDIES:
        write(study, 0.0)
    assert "measured in ndcg@10, hit@10; name another" in call("compare", *STUDIES, "--scores", "MRR@5")[2]
    assert "Pop is none of FOSSIL, NARM" in call("compare", *STUDIES, "--baseline", "Pop")[2]
    assert "does not end in .png" in call("compare", *STUDIES, "--picture", "a.pdf")[2]


def test_a_picture_is_drawn(call):
    for study, shift in zip(STUDIES, (0.1, 0.0), strict=True):
        write(study, shift)
    code, _, err = call("compare", *STUDIES, "--picture", "differences.png")
    assert (code, err) == (0, "drawn into differences.png\n")
    assert Path("differences.png").read_bytes().startswith(b"\x89PNG")


def test_python_says_the_same(call):
    for study, shift in zip(STUDIES, (0.1, 0.0), strict=True):
        write(study, shift)
    found = recsweep.load("store.db").compare(*STUDIES, scores=["Hit@10"], outputs="outputs")
    (one,) = found.comparisons
    assert one.sentence() in call("compare", *STUDIES, "--scores", "hit@10")[1]
    assert len(recsweep.load("store.db").compare(outputs="outputs", test="randomisation").remarks) == 1
