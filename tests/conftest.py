"""Fixtures that several test files share."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from helpers.postgres import Postgres, running_postgres
from helpers.spreading import LongestFirst, longest_first
from helpers.tables import copied_tables
from recsweep.common import masking
from recsweep.planning.plan import StudyPlan, plan_sweep
from recsweep.study import Store
from recsweep.sweeps.loading import load_sweep

if TYPE_CHECKING:
    from helpers.service import Client

pytest.register_assert_rewrite("helpers.engine_contract", "helpers.workers_contract")
_KEPT = ("RECSWEEP_NATIVE", "RECSWEEP_GEMM", "RECSWEEP_VECTORS")

# Small models on busy machines: threads that wait for each other cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as workers have it: no spinning for a core that is taken
# Some 150 processes are started: where nothing keeps bytecode, each of them would compile recsweep again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# What the shell that started the tests gives to recsweep is not for them.
for name in [name for name in os.environ if name.startswith("RECSWEEP_") and name not in _KEPT]:
    del os.environ[name]
# Tests train `Pop` beside a sweep's models where they ask for it.
os.environ["RECSWEEP_POPULARITY"] = "none"
# A shell that started the tests under `nohup`, or in its background, has made them deaf to these.
for asks in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(asks) is signal.SIG_IGN:
        signal.signal(asks, signal.default_int_handler if asks is signal.SIGINT else signal.SIG_DFL)
# What collection makes is no garbage, and to look through it again and again takes a tenth of a run.
gc.disable()
# The examples are the same in every run, so that more of them cost more each time and find nothing new.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("repeatable")

CONFIG = Path(__file__).parent.parent / "config"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`: by file, but for what is long and can be divided."""
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In one of several processes the long tests come first, so that none is left to the end alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        longest_first(items)


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, but not among modules and tests."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test called a secret is not masked in the next one."""
    monkeypatch.setattr(masking, "_seen", set())


@pytest.fixture(autouse=True)
def _no_baselines_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's `tune` reads no environment."""
    monkeypatch.setattr("recsweep.api.sweep_run.beside", lambda studies: [])


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of prepared splits for the whole run, of all of its processes: a split is made once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a SQLite store, made once; a test copies them."""
    path = tmp_path_factory.mktemp("empty") / "recsweep.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session", autouse=True)
def _copied_tables(empty_store: Path) -> Iterator[None]:
    """The tables of every SQLite store that a test makes in this process."""
    with copied_tables(empty_store):
        yield


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """An empty store of the test's own, in its folder."""
    shutil.copy(empty_store, tmp_path / "recsweep.db")
    store = Store(f"sqlite:///{tmp_path / 'recsweep.db'}")
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server; a test takes a database of its own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Client]:
    """The service on a store that the tests of a file share."""
    from helpers.service import running_app

    with running_app(tmp_path_factory.mktemp("served"), empty_store) as made:
        yield made


@pytest.fixture(scope="module")
def url(app: Client) -> Iterator[str]:
    """The same on an address."""
    from helpers.service import served

    with served(app) as address:
        yield address


@pytest.fixture
def make_plan(tmp_path: Path, cache: Path) -> Callable[..., StudyPlan]:
    """A study of the smoke sweep on its most active users; splits come from the shared cache."""

    def make(model: str = "FPMC", **overrides: Any) -> StudyPlan:
        outputs = Path(overrides.setdefault("outputs", tmp_path / "outputs"))
        outputs.mkdir(parents=True, exist_ok=True)
        if not (outputs / "cache").exists():
            (outputs / "cache").symlink_to(cache, target_is_directory=True)
        overrides = {"max_evals": 2, "epochs": 1, "cooldown": 0, **overrides}
        plan = plan_sweep(load_sweep(CONFIG / "smoke.yaml", {"models": model, **overrides}))[0]
        if "datasets" in overrides:
            return plan
        fewer = {"min_user_interactions": 50, "max_sequence_length": 10}
        return dataclasses.replace(plan, dataset=plan.dataset.model_copy(update=fewer))

    return make
