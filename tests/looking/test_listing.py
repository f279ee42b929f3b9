"""Rows of a list: which study a name means, and that ten thousand of them are listed by a few questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from optuna.study._frozen import FrozenStudy

from helpers.many import TRIALS, many_in_a_journal, many_studies
from helpers.questions import statements
from recsweep.cli.studies import matches
from recsweep.common.errors import InputError
from recsweep.looking.listing import listed, named
from recsweep.study import Store
from recsweep.study.journal import WholeJournal
from recsweep.study.record import now_utc
from recsweep.study.tally import Tally


@pytest.fixture
def record(make_plan):
    return replace(make_plan().record(), begun=now_utc(), ended=now_utc(), ended_by="max_evals")


def test_a_name_means_the_study_that_ends_so(record):
    records = [replace(record, study=f"s/{data}/FPMC/full") for data in ("a", "b")]
    assert named(records, "a/FPMC/full").study == "s/a/FPMC/full"
    with pytest.raises(InputError, match="a part of several"):
        named(records, "FPMC/full")


@pytest.mark.parametrize(("filled", "shown"), [(2, "2/2"), (1, "1 of at most 2")])
def test_what_another_limit_ended_is_not_shown_as_unfinished(record, filled, shown):
    (row,) = listed([(record, Tally(complete=filled))])
    assert (row.state, row.shown()["trials"]) == ("finished", shown)


@pytest.mark.parametrize(
    "name", ["smoke", "ml", "smoke/ml", "ml/FPMC/full", "*/FPMC/*", "smoke/ml/FPMC/full"]
)
def test_a_part_of_a_name_is_whole_words(name):
    assert matches("smoke/ml/FPMC/full", name)
    assert not matches("smoke-2/ml-2/FPMC-2/full-2", name)


@contextmanager
def _questions(url: str) -> Iterator[list[Any]]:
    """The questions to a store meanwhile: SQL statements, or readings of a journal's file."""
    if url.startswith("journal"):
        asked: list[Any] = []
        read = WholeJournal.read_logs
        with patch.object(WholeJournal, "read_logs", lambda *args: asked.append(args) or read(*args)):
            yield asked
    else:
        with statements() as found:
            yield found


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_store_is_asked_as_often_for_many_studies(tmp_path, record, kind):
    counts = {}
    for size in (3, 300):
        if kind == "journal":
            url = f"journal:///{tmp_path / f'{size}.journal'}"
            many_in_a_journal(tmp_path / f"{size}.journal", record, size)
        else:
            url = f"sqlite:///{tmp_path / f'{size}.db'}"
            many_studies(url, record, size)
        store = Store(url)
        with _questions(url) as asked:
            rows = listed(store.tallied(brief=True))
        assert len(rows) == size
        counts[size] = len(asked)
        store.close()
    assert counts[3] == counts[300] <= 8


def test_a_journal_of_many_studies_is_read_once_and_compares_no_names(tmp_path, record):
    many_in_a_journal(tmp_path / "many.journal", record, 4000)
    compared = []

    class Study(FrozenStudy):
        @property
        def study_name(self):
            compared.append(1)
            return self._name

        @study_name.setter
        def study_name(self, name):
            self._name = name

    with patch("optuna.storages.journal._storage.FrozenStudy", Study):
        store = Store(f"journal:///{tmp_path / 'many.journal'}")
    assert len(compared) < 3 * 4000
    store.close()


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
