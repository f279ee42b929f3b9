"""A study describes itself: nothing is lost on the way to the store, and studies made before are read."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import phased
from helpers.workspace import make_workspace
from recsweep.common.address import StoreAddress
from recsweep.common.errors import StoreDamaged
from recsweep.common.files import to_plain
from recsweep.planning.definition import defined, study_settings
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.search.starts import open_study
from recsweep.study import DATA_ATTRIBUTE, Store
from recsweep.study.description import Objective
from recsweep.study.parts import Apart, Change, Details, Maker, Winner
from recsweep.study.record import COLUMNS, VERSION, StudyRecord
from recsweep.sweeps.loading import load_sweep

STORES = Path(__file__).parents[1] / "stores"
words = st.text(max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(words, values, max_size=4)
times = st.datetimes(timezones=st.just(UTC))
details = st.builds(
    Details,
    chain=st.lists(words, min_size=1).map(tuple),
    definition=mappings,
    objectives=st.lists(st.builds(Objective, words, st.booleans()), min_size=1).map(tuple),
    inherits=st.booleans(),
    apart=st.builds(Apart, path=words, folder=words, phases=mappings),
    history=st.lists(st.builds(Change, words, words, st.integers()), max_size=3).map(tuple),
    counts=mappings,
    maker=st.builds(Maker, words, words, st.dictionaries(words, words), st.none() | mappings),
    winner=st.none() | st.builds(Winner, st.integers(), st.integers(), st.none() | st.floats(), mappings),
    test=st.dictionaries(words, st.floats(allow_nan=False)),
)
records = st.builds(
    StudyRecord,
    **dict.fromkeys(("study", "sweep_name", "dataset_name", "model_name", "phase", "kind"), words),
    budget=st.integers(),
    begun=st.none() | times,
    ended=st.none() | times,
    score=st.none() | st.floats(allow_nan=False),
    archived=st.none() | times,
    text=st.just("{}"),
)


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return phased.workspace(tmp_path).plans()[0]


@pytest.fixture(params=["sqlite", "postgresql", "journal"])
def url(request, tmp_path: Path, empty_store: Path) -> str:
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_url()
    if request.param == "journal":
        return f"journal:///{tmp_path / 'store.journal'}"
    shutil.copy(empty_store, tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str):
    store = Store(url)
    yield store
    store.close()


@given(records, details)
def test_a_record_comes_back_as_it_was(record: StudyRecord, held: Details) -> None:
    whole = dataclasses.replace(record, text='{"a": 1}')
    for given_ in (record, whole):
        assert StudyRecord.from_row(given_.to_row()) == given_
    bare = Details(("full",), {}, (Objective("m", True),))
    full = dataclasses.replace(record, text=empty(bare)).with_details(**vars(held))
    again = StudyRecord.from_json(full.to_json())
    assert again == full
    assert repr(again.details) == repr(full.details)


def empty(held: Details) -> str:
    return json.dumps(to_plain(held))


def test_a_record_of_a_later_version_is_told(plan: StudyPlan) -> None:
    row = {**plan.record().to_row(), "version": VERSION + 1}
    with pytest.raises(StoreDamaged, match=f"version {VERSION + 1}"):
        StudyRecord.from_row(row)


def plans_of_all_kinds() -> list[StudyPlan]:
    sweeps = ("plain", "phased", "variants", "several")
    plans = [p for name in sweeps for p in plan_sweep(load_sweep(STORES / "old" / f"{name}.yaml"))]
    start = {"n_layers": 2, "hidden_size": 96, "loss_type": "BPR"}
    return [*plans, *(dataclasses.replace(p, start=start, inherits=True) for p in plans if p.previous)]


@pytest.mark.parametrize("plan", plans_of_all_kinds(), ids=lambda plan: plan.name)
def test_a_record_says_all_that_its_plan_says(plan: StudyPlan) -> None:
    record = StudyRecord.from_json(plan.record().to_json())
    for name in (
        *(
            "name",
            "own_name",
            "label",
            "previous",
            "is_last",
            "folder_names",
            "chain",
            "objectives",
            "directions",
        ),
        *("budget", "space", "defaults", "known_good", "content_hash", "definition", "seed"),
        *("evaluation", "pruning", "dataset", "data_folder", "hashes", "sweep_timeout_minutes"),
    ):
        assert getattr(record, name) == getattr(plan, name), name
    assert to_plain(record.constants) == to_plain(plan.constants)
    assert list(record.space) == list(plan.space)
    assert list(record.model.space) == list(plan.model.space)
    assert record.training == plan.training
    assert defined(record) == plan.definition
    settings = study_settings(record, plan.defaults, 7)
    assert list(settings.items()) == list(plan.settings(plan.defaults, 7).items())
    assert record.trial_seed(3) == plan.trial_seed(3)
    assert record.complete(plan.defaults) == plan.complete(plan.defaults)


def test_no_record_holds_the_address_of_the_store(plan: StudyPlan) -> None:
    address = StoreAddress("postgresql+psycopg://me:secret@host/sweeps")
    named = dataclasses.replace(plan, sweep=plan.sweep.model_copy(update={"storage": address}))
    assert "secret" not in str(named.record().to_json())


def test_a_study_is_described_when_it_is_opened(plan: StudyPlan, store: Store) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    open_study(plan, store)
    (record,) = store.records(sweep="s", dataset="toy", model="NARM", phase="full")
    assert record == store.find_record(plan.name)
    assert record.begun is not None
    assert record.begun >= before
    assert record.definition == plan.definition
    assert (record.engine, record.algo, record.metric, record.budget) == ("hyperopt", "bayes", "NDCG@10", 4)
    assert record.details.maker.recsweep
    assert "python" in record.details.maker.versions
    assert [(one.by, one.to) for one in record.details.history] == [("config", 4)]
    assert store.study_of(record).name == plan.name


def test_opening_a_study_again_keeps_what_is_known_of_it(plan: StudyPlan, store: Store) -> None:
    study = open_study(plan, store)
    study.update_record(lambda one: one.counted({"users": 4}).closed("max_evals=4", Winner(1, 2, 0.5, {})))
    first = store.find_record(plan.name)
    open_study(plan, store)
    assert store.find_record(plan.name) == first
    open_study(dataclasses.replace(plan, slots=7), store)
    raised = store.find_record(plan.name)
    assert raised is not None
    assert (raised.budget, raised.ended, raised.begun) == (7, None, first.begun)
    assert [one.to for one in raised.details.history] == [4, 7]
    assert raised.details.counts == {"users": 4}
    assert raised.details.winner == first.details.winner


def test_a_kill_between_attribute_and_record_leaves_neither_for_good(plan, store, monkeypatch):
    study = open_study(plan, store)

    def killed(step):
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "update_record", killed)
    with pytest.raises(KeyboardInterrupt):
        study.set_attribute(DATA_ATTRIBUTE, {"users": 4})
    assert DATA_ATTRIBUTE not in study.attributes  # so the next worker tells it again, and the record with it


def test_names_are_matched_exactly_and_under_a_name_of_the_users_too(plan: StudyPlan, store: Store) -> None:
    longer = plan.sweep.model_copy(update={"sweep": "s2"})
    for one in (plan, dataclasses.replace(plan, study_name="mine"), dataclasses.replace(plan, sweep=longer)):
        open_study(one, store)
    assert [record.study for record in store.records(sweep="s")] == ["s/toy/NARM/full", "mine"]
    assert [study.name for study in store.studies(sweep="s2")] == ["s2/toy/NARM/full"]
    assert [record.label for record in store.records()] == ["toy/NARM"] * 3
    assert store.records(sweep="S") == store.records(sweep="s%") == []


def test_an_archived_study_is_listed_only_where_asked_for(plan: StudyPlan, store: Store) -> None:
    study = open_study(plan, store)
    phased.fill(plan, store, [0.1], study=study)
    other = dataclasses.replace(plan, sweep=plan.sweep.model_copy(update={"seed": 1}))
    open_study(other, store, restart=True)
    (new,) = store.records(sweep="s")
    kept, _ = sorted(store.records(sweep="s", archived=True), key=lambda one: one.archived is None)
    assert (new.definition["seed"], kept.definition["seed"]) == (1, plan.seed)
    assert kept.archived is not None
    assert kept.study.startswith("s/toy/NARM/full@")
    assert new.archived is None


def test_no_record_outlives_its_study(plan: StudyPlan, store: Store) -> None:
    open_study(plan, store)
    optuna.delete_study(study_name=plan.name, storage=store.optuna_storage)
    assert store.records() == []
    assert store.find_record(plan.name) is None
    optuna.create_study(study_name=plan.name, storage=store.optuna_storage)  # which may have the same id
    assert store.records() == []


def test_a_row_of_a_study_that_is_gone_is_deleted_with_it(plan: StudyPlan, tmp_path: Path, empty_store: Path):
    shutil.copy(empty_store, tmp_path / "one.db")
    store = Store(f"sqlite:///{tmp_path / 'one.db'}")
    open_study(plan, store)
    optuna.delete_study(study_name=plan.name, storage=store.optuna_storage)
    store.close()
    with closing(sqlite3.connect(tmp_path / "one.db")) as connection:
        assert connection.execute("SELECT count(*) FROM recsweep_studies").fetchone() == (0,)


def test_what_another_program_made_is_no_study_of_ours(plan: StudyPlan, store: Store) -> None:
    optuna.create_study(study_name="s/toy/NARM/full", storage=store.optuna_storage)
    assert store.records() == []
    assert store.find_record("s/toy/NARM/full") is None


# -- stores that were made before ----------------------------------------------------------------


@pytest.fixture(params=["db", "journal"])
def old(request, tmp_path: Path):
    shutil.copy(STORES / f"old.{request.param}", tmp_path)
    kind = "sqlite" if request.param == "db" else "journal"
    store = Store(f"{kind}:///{tmp_path / f'old.{request.param}'}")
    yield store
    store.close()


def test_studies_that_were_made_before_are_described(old: Store) -> None:
    found = {record.study: record for record in old.records()}
    narm = found["plain/toy/NARM/full"]
    assert (narm.sweep_name, narm.dataset_name, narm.model_name, narm.phase) == (
        "plain",
        "toy",
        "NARM",
        "full",
    )
    assert (narm.engine, narm.pruner, narm.metric, narm.budget) == ("hyperopt", "median", "NDCG@10", 6)
    assert narm.details.counts == {"users": 4, "items": 15, "interactions": 24}
    assert narm.begun is not None
    assert found["phased/toy/NARM/coarse"].chain == ("coarse", "architecture")
    later = found["phased/toy/NARM/architecture"]
    assert (later.inherits, later.budget, later.previous) == (True, 3, "coarse")
    assert list(found["variants/toy/Any/full_with_model"].variants) == ["FPMC", "NARM"]
    several = found["several/toy/NARM/full"]
    assert [(one.name, one.maximize) for one in several.objectives] == [
        ("NDCG@10", True),
        ("training_seconds", False),
    ]
    mine = found["of-mine"]
    assert (mine.sweep_name, mine.dataset_name, mine.model_name) == ("", "toy", "FPMC")
    assert len(found) == 8
    (archived,) = (one for one in old.records(sweep="plain", archived=True) if one.archived)
    assert (archived.model_name, archived.seed) == ("FOSSIL", 7)


@pytest.mark.parametrize("sweep", ["plain", "phased", "variants", "several"])
def test_a_study_that_was_made_before_is_the_one_of_its_plan(old: Store, sweep: str) -> None:
    for plan in plan_sweep(load_sweep(STORES / "old" / f"{sweep}.yaml")):
        record = old.find_record(plan.name)
        assert record is not None
        begun = dataclasses.replace(plan, start=record.start, inherits=record.inherits)
        assert record.content_hash == begun.content_hash
        assert dict(record.space) == dict(begun.space)


def test_an_old_study_is_described_when_it_is_worked_on(old: Store) -> None:
    plan = plan_sweep(load_sweep(STORES / "old" / "plain.yaml"))[0]
    before = old.find_record(plan.name)
    open_study(dataclasses.replace(plan, slots=6), old)
    after = old.find_record(plan.name)
    assert after.begun == before.begun
    assert after.details.counts == before.details.counts
    assert after.data_folder == plan.data_folder
    assert [name for name in COLUMNS if getattr(after, name) != getattr(before, name)] == []


def test_a_record_that_is_none_is_told(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    record = dataclasses.replace(phased.workspace(tmp_path).plans()[0].record(), text="[]")
    with pytest.raises(StoreDamaged, match=r"the record of study s/toy/NARM/full is none of recsweep's"):
        record.chain  # noqa: B018


def test_only_searches_are_listed_unless_others_are_asked_for(store: Store, plan: StudyPlan) -> None:
    search, other = plan.record(), dataclasses.replace(plan.record(), study="apart", kind="evidence")
    for record in (search, other):
        store.open_study(record.study, plan.definition, maximize=True, record=record)

    def names(**wanted: str | None) -> list[str]:
        records = [record.study for record in store.records(**wanted)]
        assert [record.study for record, _ in store.tallied(**wanted)] == records
        assert [study.name for study in store.studies(**wanted)] == records
        return records

    assert names() == [search.study]
    assert names(kind="evidence") == ["apart"]
    assert names(kind=None) == [search.study, "apart"]
