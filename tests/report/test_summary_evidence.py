"""Evidence as the summary, the files of a study and `recsweep show` tell it."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest

from helpers import found
from recsweep.looking import details
from recsweep.looking.listing import Row
from recsweep.planning.evidence import Configuration, Point
from recsweep.report.evidence import EvidenceResult
from recsweep.report.evidence_files import evidence_csv, trainings_csv
from recsweep.report.study_files import best_result
from recsweep.report.summary_evidence import evidence_notes
from recsweep.report.summary_latex import summary_latex
from recsweep.report.summary_markdown import summary_markdown
from recsweep.report.tables import summary_csv
from recsweep.study import Result
from recsweep.study.tally import Tally

SCORES = (0.18, 0.16, 0.17)


@pytest.fixture
def result(tmp_path):
    plan = found.workspace(tmp_path).plan()
    return found.result_of(plan, found.some_trials())


def of_seeds(result, rank=1, scores=SCORES, planned=3):
    """The evidence of trial 7, whose own scores were 0.20 on validation and 0.19 on test."""
    done = []
    for slot, score in enumerate(scores):
        own = Result({"ndcg@10": score}, 2, 3, 1.5, test={"ndcg@10": score - 0.05})
        point = Point(Configuration(7, found.params_of(7)), 100 + slot, 2026)
        done.append((point, found.trial(slot, score, result=own, seed=100 + slot)))
    own_scores = {"validation": {"ndcg@10": 0.20}, "test": {"ndcg@10": 0.19}}
    evidence = EvidenceResult(
        "s/toy/NARM/evidence", rank, done[0][0].configuration, "ndcg@10", tuple(done), planned, 0, own_scores
    )
    return dataclasses.replace(result, evidence=(*result.evidence, evidence))


def test_without_evidence_nothing_is_said_of_it(result):
    assert "Over seeds" not in summary_markdown([result])
    assert "evidence" not in best_result(result)
    assert evidence_csv([result]).count("\n") == 1


def test_the_mean_stands_beside_the_searchs_own_score_with_its_optimism(result):
    page = summary_markdown([of_seeds(result)])
    row = "| toy | NARM | 3 | 0.1700 ± 0.0100 | 0.1452 to 0.1948 | 0.2000 | +0.0300 |"
    assert f"{row} 0.1200 ± 0.0100 | 0.0952 to 0.1448 | 0.1900 | +0.0700 |" in page
    assert "split seeds are left out, as the split (leave-one-out by time) is the same for every seed" in page


def test_a_paper_has_a_second_table(result):
    tex = summary_latex([of_seeds(result)])
    assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 2
    assert r"0.1700 ± 0.0100 & 0.1452 to 0.1948 & 0.2000 & +0.0300" in tex


def test_what_is_missing_is_said(result):
    other = dataclasses.replace(result, record=dataclasses.replace(result.record, model_name="Other"))
    notes = " ".join(evidence_notes([of_seeds(result, planned=5), other]))
    assert "Trainings that are there: toy/NARM 3 of 5." in notes
    assert "Without evidence of its best configuration: toy/Other." in notes


def test_a_second_best_configuration_is_told_from_the_best(result):
    both = of_seeds(of_seeds(result), rank=2, scores=(0.15,), planned=1)
    page = summary_markdown([both])
    assert "| toy | NARM (no. 2) | 1 | 0.1500 | - | 0.2000 |" in page
    assert best_result(both)["evidence"]["rank"] == 1


def test_every_number_is_in_the_files(result):
    given = of_seeds(result)
    (validation, test) = csv.DictReader(io.StringIO(evidence_csv([given])))
    assert (validation["metric"], float(validation["mean"])) == ("ndcg@10", pytest.approx(0.17))
    assert (test["split"], float(test["optimism"])) == ("test", pytest.approx(0.07))
    rows = list(csv.DictReader(io.StringIO(trainings_csv(given.evidence))))
    assert [row["training_seed"] for row in rows] == ["100", "101", "102"]
    assert float(rows[0]["test_ndcg@10"]) == pytest.approx(0.13)
    plain = best_result(given)["evidence"]
    assert plain["trainings"] == {"done": 3, "failed": 0, "wanted": 3}
    assert plain["validation"]["ndcg@10"]["search"] == 0.20


def test_the_summary_for_programs_has_it_in_columns(result):
    other = dataclasses.replace(result, record=dataclasses.replace(result.record, model_name="Other"))
    told, bare = csv.DictReader(io.StringIO(summary_csv([of_seeds(result), other])))
    numbers = {name: float(text) for name, text in told.items() if name.startswith("seeds_")}
    mean, half = 0.17, 4.302652729911275 * 0.01 / 3**0.5  # Student's t of two degrees of freedom
    assert numbers == pytest.approx(
        {
            "seeds_trainings": 3,
            **{"seeds_validation_mean": mean, "seeds_validation_sd": 0.01},
            **{"seeds_validation_low": mean - half, "seeds_validation_high": mean + half},
            **{"seeds_validation_optimism": 0.03, "seeds_test_mean": 0.12, "seeds_test_sd": 0.01},
            **{"seeds_test_low": 0.12 - half, "seeds_test_high": 0.12 + half, "seeds_test_optimism": 0.07},
        }
    )
    assert {bare[name] for name in numbers} == {""}
    assert "seeds_" not in summary_csv([other])


def test_show_tells_it(result):
    given = of_seeds(result)
    row = Row(given.record, Tally())
    assert "0.1700 (0.1452 to 0.1948) over 3 trainings" in details.text(row, given.trials, given.evidence)
    assert details.everything(row, given.trials, given.evidence)["evidence"][0]["trial"] == 7
