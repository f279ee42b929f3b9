"""Citations: each key is in the file, each entry is whole, each report has those of its own sweep."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from helpers.found import workspace
from recsweep import alarms
from recsweep.document import citations
from recsweep.document.citations import bibtex, cited, references, uncited
from recsweep.document.section_alarms import TITLES
from recsweep.sweeps.engine_table import ENGINES
from recsweep.sweeps.pruner_table import PRUNERS
from recsweep.sweeps.scheduler_table import SCHEDULERS

ALARM_FILES = sorted(Path(alarms.__file__).parent.glob("*.py"))
NAMES = ("NAME", "LEAK", "REPEATS", "SAMPLED", "NEVER", "AT_ONCE")
TABLES = ("ALARMS", "MODELS", "ENGINES", "ALGOS", "RULES", "METRICS", "DATASETS")


def test_every_key_that_is_cited_is_in_the_file():
    named = {key for table in TABLES for keys in getattr(citations, table).values() for key in keys}
    named |= {*citations.ALWAYS, *citations.METHODS, *citations.COMPARED, *citations.CORRECTIONS.values()}
    assert named - references().keys() == set()


def test_every_engine_algo_pruner_and_scheduler_has_its_works():
    assert citations.ENGINES.keys() == ENGINES.keys()
    assert {algo for row in ENGINES.values() for algo in row.names()} <= citations.ALGOS.keys()
    assert {*PRUNERS, *SCHEDULERS} <= citations.RULES.keys()


def test_every_entry_has_author_title_year_and_closed_braces():
    whole = bibtex(list(references().values()))
    assert whole.count("@") == len(references())
    for one in references().values():
        assert {"author", "title", "year"} <= one.fields.keys(), one.key
        assert one.bibtex.count("{") == one.bibtex.count("}"), one.key
        assert "{" not in one.text, one.key
        assert "\\" not in one.text, one.key


def test_accents_are_letters_in_text():
    assert "Järvelin and Kekäläinen" in references()["jarvelin2002cumulated"].text
    assert references()["demsar2006statistical"].text.startswith("Demšar. ")


def test_a_report_cites_its_models_search_and_metrics_once(tmp_path):
    record = workspace(tmp_path).plan(pruner="median").record()
    keys = [one.key for one in cited([record, record], ["holm1979simple"])]
    assert len(keys) == len(set(keys))
    assert {"li2017neural", "bergstra2011algorithms", "golovin2017google", "jarvelin2002cumulated"} <= set(
        keys
    )
    assert "holm1979simple" in keys
    assert "kang2018self" not in keys
    assert uncited([record]) == ["toy"]


def test_every_alarm_has_its_works_and_its_title():
    modules = [import_module(f"recsweep.alarms.{path.stem}") for path in ALARM_FILES]
    names = {getattr(module, name) for module in modules for name in NAMES if hasattr(module, name)}
    assert names == citations.ALARMS.keys() == TITLES.keys()
