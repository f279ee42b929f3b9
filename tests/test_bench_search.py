"""benchmarks/search_published.py on a made-up folder of published searches."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import search_published as bench  # noqa: E402

SEARCHES = """family,model,dataset,seconds_per_trial,trials_logged,space,best
sequential,Whole,toy,1,6,"learning_rate choice [1e-3,5e-4]; sizes choice ['[64,64]','[32]','[8]']",x
general,Parted,toy,1,5,"k in [1，2,3]; on choice [True, False]",x
general,Sparse,toy,1,4,"k in [1,2,3,4,5,6,7,8,9]",x
general,Few,toy,1,3,"k in [1,2,3]",x
general,Flat,toy,1,4,"k in [1,2,3,4]",x
"""
TRIALS = """family,model,dataset,params,valid_auc,valid_logloss,valid_ndcg@10
sequential,Whole,toy,"learning_rate:0.001, sizes:[64,64]",,,0.10001
sequential,Whole,toy,"learning_rate:0.001, sizes:[32]",,,0.2
sequential,Whole,toy,"learning_rate:0.001, sizes:[8]",,,0.3
sequential,Whole,toy,"learning_rate:0.0005, sizes:[64,64]",,,0.40001
sequential,Whole,toy,"learning_rate:0.0005, sizes:[32]",,,0.40004
sequential,Whole,toy,"learning_rate:0.0005, sizes:[8]",,,0.1
general,Parted,toy,"k:1, on:True",,0.5,
general,Parted,toy,"k:2, on:True",,0.4,
general,Parted,toy,"k:3, on:False",,0.3,
general,Parted,toy,"k:1, on:False",,0.6,
general,Parted,toy,"k:1, on:False",,0.1,
general,Parted,toy,"k:7, on:False",,0.1,
general,Sparse,toy,k:1,0.1,,
general,Sparse,toy,k:2,0.2,,
general,Sparse,toy,k:3,0.3,,
general,Sparse,toy,k:4,0.4,,
general,Few,toy,k:1,0.1,,
general,Few,toy,k:2,0.2,,
general,Few,toy,k:3,0.3,,
general,Flat,toy,k:1,0.1,,
general,Flat,toy,k:2,0.1,,
general,Flat,toy,k:3,0.1,,
general,Flat,toy,k:4,0.1,,
"""


@pytest.fixture
def published(tmp_path):
    (tmp_path / "searches.csv").write_text(SEARCHES, encoding="utf-8")
    (tmp_path / "trials.csv").write_text(TRIALS, encoding="utf-8")
    return tmp_path


def run(monkeypatch, published, *options: str) -> int:
    arguments = ["--published", str(published), "--processes", "1", *options]
    monkeypatch.setattr(sys, "argv", ["search_published.py", *arguments])
    return bench.main()


def test_searches_with_too_little_to_find_are_left_out(published):
    whole, parted = bench.read_published(published)
    assert (whole.name, parted.name) == ("sequential/Whole/toy", "general/Parted/toy")
    assert whole.points[0] == {"learning_rate": 0.001, "sizes": [64, 64]}
    assert whole.best == 0.4
    assert len(parted.points) == 4
    assert parted.best == -0.3


def test_random_order_finds_the_best_as_soon_as_counting_says(published):
    whole, parted = bench.read_published(published)
    # 5 trials left, 2 of them best: the first of these is expected at 6 / 3
    assert whole.random_order(whole.points[0]) == 1 + 2
    assert whole.random_order(whole.points[3]) == 1
    assert parted.random_order(parted.points[0]) == 1 + 2


def test_every_algo_finds_the_best_and_tries_nothing_twice(published, monkeypatch, capsys):
    assert run(monkeypatch, published, "--seeds", "3", "--gp-seeds", "1", "--startup", "3") == 0
    text = capsys.readouterr().out
    assert "2 published searches with 10 logged trials" in text
    for engine, algos in ((row.name, row.names()) for row in bench.ENGINES.values() if not row.extra):
        for algo in algos:
            assert f"| {engine}/{algo} |" in text


def test_the_same_seeds_give_the_same_numbers(published):
    whole, _ = bench.read_published(published)
    first, second = (bench.run(whole, ("optuna", "bayes"), 4, 2) for _ in range(2))
    assert first.trials == second.trials
    assert first.by_chance == second.by_chance


def test_an_engine_that_tries_a_combination_twice_is_found_out(published, monkeypatch, capsys):
    class Stubborn:
        def search(self, session):
            while (slot := session.next_slot()) is not None:
                session.run(slot, session.search.defaults)

    monkeypatch.setattr(bench, "make_engine", lambda name: Stubborn())
    assert run(monkeypatch, published, "--arms", "optuna/random", "--seeds", "3") == 1
    text = capsys.readouterr().out
    assert "PROBLEM: sequential/Whole/toy, optuna/random: did not find the best" in text
    assert "tried a combination twice" in text


def test_a_model_that_is_worse_than_chance_is_found_out():
    worse = [
        bench.Result(f"s{i}", ("optuna", "bayes"), (9, 8 + i % 3), (5.0, 5.0), 1.0, ()) for i in range(21)
    ]
    assert bench.worse_than_random(worse) == [
        "optuna/bayes takes 4.00 trials more than random order, beyond chance"
    ]
    better = [
        bench.Result(f"s{i}", ("optuna", "bayes"), (3, 2 + i % 3), (5.0, 5.0), 1.0, ()) for i in range(21)
    ]
    assert bench.worse_than_random(better) == []
    assert bench.worse_than_random(worse[:3]) == []  # too few to judge


def test_without_published_searches_it_ends_well(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, tmp_path) == 0
    assert "holds no published searches" in capsys.readouterr().out


def test_the_section_is_written_where_it_was_asked_for(published, monkeypatch):
    written = []
    monkeypatch.setattr(bench, "write_section", lambda name, text: written.append((name, text)))
    run(monkeypatch, published, "--write", "--seeds", "2", "--arms", "optuna/random", "hyperopt/random")
    ((name, text),) = written
    assert name == "search quality"
    assert text.startswith("## Search quality on published searches")
