"""What is refused before Ray is asked, and a study's files on another node; none of it needs Ray."""

from __future__ import annotations

import dataclasses

import pytest

from recsweep.common.address import StoreAddress
from recsweep.common.errors import UserError
from recsweep.running import ray_link
from recsweep.running.ray_data import data_here, key_of, outputs_here, read

SQLITE = StoreAddress("sqlite:///recsweep.db")
POSTGRES = StoreAddress("postgresql+psycopg://me:secret@host/db")


@pytest.fixture(autouse=True)
def _without_a_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def there(monkeypatch):
    """Ray, as if it were installed."""
    monkeypatch.setattr(ray_link.importlib.metadata, "version", lambda name: ray_link.RAY_VERSION)


def test_without_ray_the_one_command_that_installs_it_is_named(monkeypatch):
    def missing(name):
        raise ray_link.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(ray_link.importlib.metadata, "version", missing)
    with pytest.raises(UserError, match=r"^workers\.on: ray needs Ray; .*run `make setup-ray`") as refused:
        ray_link.require("workers.on: ray", SQLITE)
    assert "\n" not in str(refused.value)


def test_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(ray_link.importlib.metadata, "version", lambda name: "2.6.3")
    with pytest.raises(UserError, match=r"Ray 2\.6\.3 is installed.*`make setup-ray`"):
        ray_link.require("workers.on: ray", SQLITE)


@pytest.mark.parametrize("address", ["ray://head:10001", "10.0.0.7:6379", "ray://10.0.0.7:10001"])
def test_sqlite_is_no_store_for_a_cluster(there, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match="SQLite, a file for one machine; give storage: postgresql"):
        ray_link.require("workers.on: ray", SQLITE)
    ray_link.require("workers.on: ray", POSTGRES)
    ray_link.require("workers.on: ray", StoreAddress("journal:///shared/log"))


@pytest.mark.parametrize(("address", "fits"), [("ray://head:10001", False), ("head:6379", True), ("", True)])
def test_ray_tune_runs_on_a_node_and_no_client(monkeypatch, address, fits):
    monkeypatch.setenv("RAY_ADDRESS", address)
    if fits:
        ray_link.require_no_client("engine: ray")
    else:
        with pytest.raises(UserError, match=r"^engine: ray runs Ray Tune in this process, .*=auto"):
            ray_link.require_no_client("engine: ray")


@pytest.mark.parametrize("address", ["", "local", "auto", "127.0.0.1:6379", "ray://localhost:10001"])
def test_sqlite_is_one_where_all_is_on_this_machine(there, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    ray_link.require("workers.on: ray", SQLITE)


def test_files_that_a_node_does_not_see_are_fetched_once(make_plan, tmp_path):
    plan = make_plan()
    folder = tmp_path / "far" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.inter").write_text("rows")
    files = dataclasses.replace(plan.files, folder=folder, hashes={"toy.inter": "ab" * 32}, builtin=False)
    plan, content, asked = dataclasses.replace(plan, files=files), read(files), []

    def fetch():
        asked.append(key_of(files))
        return content

    assert data_here(plan, fetch, tmp_path / "node") is plan, "it sees them"
    (folder / "toy.inter").unlink()
    found = [data_here(plan, fetch, tmp_path / "node").files for _ in range(2)]
    assert asked == [key_of(files)]
    assert found[0].folder.name == "toy", "RecBole wants folder and files of one name"
    assert [(one.folder / "toy.inter").read_text() for one in found] == ["rows", "rows"]
    assert data_here(plan, None).files == files


def test_a_node_without_the_outputs_has_some_of_its_own(make_plan, tmp_path):
    plan = make_plan()
    assert outputs_here(plan, tmp_path) is plan
    away = plan.sweep.model_copy(update={"outputs": tmp_path / "nowhere"})
    moved = outputs_here(dataclasses.replace(plan, sweep=away), tmp_path / "node")
    assert moved.sweep.outputs.is_dir()
    assert moved.definition == plan.definition, "the study is the same"
