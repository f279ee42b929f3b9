"""The energy of trials in results: there where it is known, absent elsewhere, and never 0 for unknown."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest
import yaml

from helpers.found import result_of, some_trials, trial, workspace
from recsweep.report.energy import Spent, spent, together
from recsweep.report.results import read_result
from recsweep.report.study_files import best_result, study_results, trials_csv
from recsweep.report.summary_latex import summary_latex
from recsweep.report.summary_markdown import summary_markdown
from recsweep.report.tables import summary_csv
from recsweep.study import Energy, Result, State

READ = Energy(0.002, 0.95, "rapl", estimated=False)
GUESS = Energy(0.001, 0.475, "estimate", estimated=True, cost=0.0003)


@pytest.fixture
def plan(tmp_path):
    return workspace(tmp_path, budget=3).plans(models="NARM")[0]


def with_energy(slot: int, energy: Energy | None, **changes):
    one = trial(slot, 0.3 - 0.01 * slot)
    return dataclasses.replace(one, result=dataclasses.replace(one.result, energy=energy), **changes)


def of(plan, *energies: Energy | None):
    found = result_of(plan, [with_energy(slot, energy) for slot, energy in enumerate(energies)])
    return dataclasses.replace(found, energy=spent(found.trials))


def rows(text: str):
    return list(csv.DictReader(io.StringIO(text)))


def test_what_is_known_stands_in_every_file(plan):
    result = of(plan, READ, READ, READ)
    assert [row["kwh"] for row in rows(trials_csv(result.record, result.trials))] == ["0.002"] * 3
    assert rows(trials_csv(result.record, result.trials))[0]["energy_read"] == "rapl"
    (line,) = rows(summary_csv([result]))
    assert (line["kwh"], line["co2_g"], line["energy_read"]) == ("0.006", "2.85", "rapl")
    assert "energy_cost" not in line, "nobody gave a price"
    found = best_result(result)["energy"]
    assert found == {
        "best_trial_kwh": 0.002,
        "all_trials_kwh": 0.006,
        "all_trials_co2_g": 2.85,
        "read": "rapl",
        "estimated": False,
    }
    assert study_results(result)["trials"][0]["energy"]["kwh"] == 0.002
    text = "Energy: 6 Wh and 2.85 g of CO2-equivalent, read by RAPL."
    assert text in summary_markdown([result])
    assert text in summary_latex([result])
    yaml.safe_dump(found)


def test_trials_of_before_show_nothing(plan):
    result = of(plan, None, None, None)
    assert result.energy is None
    assert "energy" not in best_result(result)
    assert "kwh" not in trials_csv(result.record, result.trials)
    assert "kwh" not in summary_csv([result])
    assert "Energy" not in summary_markdown([result])


def test_a_sum_over_some_says_of_how_many_it_knows(plan):
    result = of(plan, None, GUESS, READ)
    assert [row["kwh"] for row in rows(trials_csv(result.record, result.trials))] == ["", "0.001", "0.002"]
    assert [row["energy_cost"] for row in rows(trials_csv(result.record, result.trials))] == [
        "",
        "0.0003",
        "",
    ]
    text = "read by an estimate by processor time and RAPL; known of 2 of 3 trials"
    assert text in summary_markdown([result])
    found = best_result(result)["energy"]
    assert (found["estimated"], found["trials"], found["of_trials"]) == (True, 2, 3)
    assert "all_trials_cost" not in found, "one of them has no price"


def test_all_that_ran_is_counted_and_what_was_inherited_is_not():
    back = with_energy(0, READ, state=State.FAILED)
    waits = with_energy(1, None, state=State.WAITING)
    inherited = dataclasses.replace(some_trials()[0], inherited=object(), result=Result(energy=READ))
    found = spent([back, with_energy(0, GUESS), waits, inherited])
    assert found is not None
    assert (found.trials, found.of, found.kwh) == (2, 2, pytest.approx(0.003))
    assert found.estimated
    assert together([None, None]) is None
    both = together([found, None, found])
    assert both is not None
    assert both.kwh == pytest.approx(0.006)


def test_numbers_are_said_in_the_unit_that_fits():
    large = Spent(12.345678, 5864.2, 3, 3, frozenset({"rapl", "nvml"}), False, 3.9506)
    assert large.text() == (
        "12.35 kWh and 5.864 kg of CO2-equivalent, at a price of 3.951, read by NVML and RAPL"
    )
    small = Spent(0.0000012, 0.00057, 1, 1, frozenset({"estimate"}), True)
    assert small.text() == "0.0012 Wh and 0.00057 g of CO2-equivalent, an estimate by processor time"


def test_a_store_keeps_what_a_trial_took(plan):
    from recsweep.common.owner import this_process
    from recsweep.search.starts import open_study
    from recsweep.study import Reason, Store

    store = Store(plan.storage_url)
    study = open_study(plan, store)
    study.ensure_slots(plan.budget)

    def begin():
        claim = study.claim(plan.budget, this_process())
        study.start(claim, plan.defaults, plan.space, 1, {})
        return claim

    study.finish(begin(), 0.1, Result({"ndcg@10": 0.1}, 1, 1, 0.5, energy=GUESS))
    study.fail(begin(), Reason.DIVERGED, "NaN", 1.5, energy=READ)
    study.put_back(begin(), "stopped", spent=Result(seconds=2.0, energy=READ))
    found = read_result(study.record(), plan.sweep.outputs, store)
    store.close()
    assert [one.result.energy for one in found.trials] == [GUESS, READ]
    assert found.energy is not None
    assert (found.energy.trials, found.energy.kwh) == (3, pytest.approx(0.005)), (
        "the one that was put back too"
    )
