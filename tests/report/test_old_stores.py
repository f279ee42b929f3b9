"""The same files from the same store: of the version before, by a sweep's files, and by nothing beside it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from helpers import phased
from helpers.workspace import Workspace
from recsweep.cli.commands import cli
from recsweep.search.starts import begin, open_study
from recsweep.study import Store

STORES = Path(__file__).parents[1] / "stores"
EXPECTED = json.loads((STORES / "expected.json").read_text())
SWEEPS = ("plain", "phased", "variants", "several")


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch):
    """Times are told by the machine's clock."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=["db", "journal"])
def old(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store of the version before, in a folder of its sweeps."""
    shutil.copytree(STORES / "old", tmp_path, dirs_exist_ok=True)
    shutil.copy(STORES / f"old.{request.param}", tmp_path)
    monkeypatch.chdir(tmp_path)
    return f"{'sqlite' if request.param == 'db' else 'journal'}:///{tmp_path}/old.{request.param}"


def call(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == code, (done.output, done.exception)
    return done


def written(root: Path, folder: str = "outputs/results") -> dict[str, str]:
    files = sorted(path for path in (root / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_text().replace(str(root), "ROOT") for path in files}


def expected(old: str) -> dict[str, str]:
    return EXPECTED["db" if old.endswith(".db") else "journal"]


def test_an_old_store_with_its_files_gives_the_files_that_it_gave(old: str, tmp_path: Path):
    for sweep in SWEEPS:
        call("summarize", "--config", f"{sweep}.yaml", "--storage", old)
    found = written(tmp_path)
    own = {name: text for name, text in expected(old).items() if "study-of-mine" not in name}
    assert found.keys() == own.keys()
    for name, text in own.items():
        assert found[name] == text, name


def sorted_search(result: dict) -> dict:
    """An earlier version kept no order of parameters."""
    result["search"]["searched"] = sorted(result["search"].get("searched", []))
    return result


def test_a_store_that_was_made_before_is_enough(old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    done = call("summarize", "--storage", old)
    assert "| toy | **NARM** | 0.3500 | 0.1110 | 6 | 5 |" in done.stdout
    found = written(tmp_path / "empty")
    mine = "outputs/results/toy/FPMC/study-of-mine"  # nobody has said of which sweep it is
    names = {name.replace("outputs/results/plain/toy/FPMC/study-of-mine", mine) for name in expected(old)}
    assert found.keys() == names
    for name, text in expected(old).items():
        if name.endswith("best_result.yaml") and "of-mine" not in name:
            assert sorted_search(yaml.safe_load(found[name])) == sorted_search(yaml.safe_load(text))
        if name.endswith(("summary.csv", "trials.csv")) and "variants" not in name and "of-mine" not in name:
            assert sorted(found[name].splitlines()[0].split(",")) == sorted(text.splitlines()[0].split(","))
    config = found["outputs/results/plain/toy/NARM/best_config.yaml"]
    assert "# The store does not say where the data are" in config
    assert yaml.safe_load(config)["dataset"] == "toy"


# -- of this version -------------------------------------------------------------------------------


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """A sweep with two phases, of which some trials are there, and one with a name of the user's."""
    space = phased.workspace(tmp_path, "phases: [coarse, loss], max_evals: 9")
    coarse, loss = space.plans()
    store = Store(coarse.storage_url)
    phased.fill(coarse, store, [0.1, 0.3, None, 0.2, 0.1], study=open_study(coarse, store))
    begun, origin = begin(loss, store)
    phased.fill(begun, store, [0.2, 0.4], study=open_study(begun, store, origin=origin))
    store.close()
    return space


@pytest.fixture
def url(space: Workspace) -> str:
    return f"sqlite:///{space.root}/outputs/recsweep.db"


def elsewhere(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = space.root / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_summarize_needs_nothing_but_the_store(space: Workspace, url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(space.root)
    with_files = call("summarize", "--config", "sweep.yaml")
    first = {name: text.replace("ROOT/", "") for name, text in written(space.root).items()}
    for name in ("models", "datasets", "sweep.yaml"):
        (space.root / name).rename(space.root / f"{name}.gone")
    alone = call("summarize", "--storage", url, "--outputs", str(elsewhere(space, monkeypatch) / "outputs"))
    second = {
        name: text.replace("ROOT/", "").replace(f"{space.root}/", "")
        for name, text in written(space.root / "empty").items()
    }
    assert second == first
    assert alone.stdout == with_files.stdout
    assert len(first) == 2 * 5 + 3


def test_pictures_need_nothing_but_the_store(space: Workspace, url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("recsweep.report.plots.write_picture", lambda chart, title, path: path.write_text(""))
    monkeypatch.setattr("recsweep.report.plots.write_thumbnail", lambda chart, path: path.write_text(""))
    folder = elsewhere(space, monkeypatch)
    done = call("plots", "--storage", url, "--phase", "loss")
    assert Path(done.stdout.strip()) == Path("outputs/plots/s/index.html")
    assert (folder / "outputs/plots/s/toy/NARM/history.html").is_file()
    assert not (folder / "outputs/plots/s/toy/NARM/coarse").exists()


def test_sweeps_of_a_store_are_named_and_an_unknown_one_is_told(
    space: Workspace, url: str, monkeypatch: pytest.MonkeyPatch
):
    other = space.plans()[0]
    other = type(other)(**{**vars(other), "sweep": other.sweep.model_copy(update={"sweep": "other"})})
    store = Store(other.storage_url)
    open_study(other, store)
    store.close()
    folder = elsewhere(space, monkeypatch)
    call("summarize", "--storage", url, "--sweep", "other")
    assert [path.name for path in (folder / "outputs/results").iterdir()] == ["other"]
    call("summarize", "--storage", url)
    assert sorted(path.name for path in (folder / "outputs/results").iterdir()) == ["other", "s"]
    done = call("summarize", "--storage", url, "--sweep", "others", code=1)
    assert "--sweep: the store has no sweep others" in str(done.exception)
    assert "other" in str(done.exception)


@pytest.mark.parametrize("with_options", [["--phases", "full"], ["--models", "NARM"]])
def test_what_changes_a_sweep_is_refused_where_none_is_named(url, with_options, space, monkeypatch):
    elsewhere(space, monkeypatch)
    done = call("summarize", "--storage", url, *with_options, code=1)
    assert "changes a sweep, and none was named" in str(done.exception)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = call("summarize", "--storage", f"sqlite:///{tmp_path}/none.db", code=1)
    assert "there is no store" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_results_can_be_read_when_a_model_file_is_edited_or_gone(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(space.root)
    call("summarize", "--config", "sweep.yaml")
    before = written(space.root)
    space.model.write_text(phased.MODEL.replace("max: 128", "max: 256"))
    done = call("summarize", "--config", "sweep.yaml")
    assert (
        "toy/NARM/coarse: is searched otherwise now; what is shown was found as it was searched"
        in done.stderr
    )
    assert written(space.root) == before
    space.model.unlink()
    done = call("summarize", "--config", "sweep.yaml")
    assert "what is shown is what the store has" in done.stderr
    assert written(space.root) == before


def test_options_of_tune_need_not_be_given_again_to_look(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(space.root)
    assert "searched otherwise" not in call("summarize", "--config", "sweep.yaml").stderr
    sweep = space.root / "sweep.yaml"
    sweep.write_text(sweep.read_text() + "\nseed: 77\n")
    assert "searched otherwise" not in call("summarize", "--config", "sweep.yaml").stderr


def test_a_record_follows_its_study_to_its_end(space: Workspace, monkeypatch: pytest.MonkeyPatch):
    from recsweep.search.begun import tell_the_end
    from recsweep.search.limits import closed

    coarse = space.plans()[0]
    store = Store(coarse.storage_url)
    study = store.find_study(coarse.name)
    tell_the_end(study, closed(coarse, study), maximize=True)
    study.set_attribute("data", {"users": 4, "items": 15})
    winner = study.results()[1]
    study.set_attribute("test", {"trial_id": winner.id, "metrics": {"ndcg@10": 0.2}})
    record = store.find_record(coarse.name)
    store.close()
    assert record.ended is not None
    assert record.ended_by.startswith("max_evals=5")
    assert (record.score, record.winner.slot, record.winner.params) == (0.3, 1, winner.params)
    assert (record.test, record.details.counts) == ({"ndcg@10": 0.2}, {"users": 4, "items": 15})
