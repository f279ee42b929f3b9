"""Rows of a list: which study a name means, and that ten thousand of them are listed by a few questions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.many import TRIALS, many_studies
from recsweep.cli.studies import matches
from recsweep.common.errors import InputError
from recsweep.looking.listing import listed, named
from recsweep.study import Store
from recsweep.study.record import now_utc


@pytest.fixture
def record(make_plan):
    return replace(make_plan().record(), begun=now_utc(), ended=now_utc(), ended_by="max_evals")


def test_a_name_means_the_study_that_ends_so(record):
    records = [replace(record, study=f"s/{data}/FPMC/full") for data in ("a", "b")]
    assert named(records, "a/FPMC/full").study == "s/a/FPMC/full"
    with pytest.raises(InputError, match="a part of several"):
        named(records, "FPMC/full")


@pytest.mark.parametrize(
    "name", ["smoke", "ml", "smoke/ml", "ml/FPMC/full", "*/FPMC/*", "smoke/ml/FPMC/full"]
)
def test_a_part_of_a_name_is_whole_words(name):
    assert matches("smoke/ml/FPMC/full", name)
    assert not matches("smoke-2/ml-2/FPMC-2/full-2", name)


def test_many_studies_are_listed_by_a_few_questions(tmp_path, record, monkeypatch):
    url = f"sqlite:///{tmp_path / 'many.db'}"
    many_studies(url, record, 2000)
    store = Store(url)
    asked = []
    monkeypatch.setattr(Store, "study_of", lambda *args: asked.append(args))
    rows = listed(store.tallied())
    assert len(rows) == 2000
    assert {(row.state, row.trained, row.best) for row in rows} == {("finished", TRIALS, 0.1 * TRIALS)}
    assert len(rows[0].plain()) > 10
    assert asked == [], "no study is asked by itself"
    store.close()
