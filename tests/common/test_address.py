"""The address of a store: read, refused, and never printed whole."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import stat

import pytest
import yaml

from helpers.workspace import SWEEP, make_workspace, run_python
from recsweep.common.address import AddressError, StoreAddress, looks_like_token, read_address
from recsweep.common.errors import InputError
from recsweep.study import Store

MARK = "hunter2-MARKED"
SECRET = [
    (f"postgresql+psycopg://me:{MARK}@host:5432/sweeps", "postgresql+psycopg://***@host:5432/sweeps"),
    (f"postgresql+psycopg://me:a:{MARK}/b@host/sweeps", "postgresql+psycopg://***@host/sweeps"),
    (f"postgresql+psycopg://{MARK}x0@host/db", "postgresql+psycopg://***@host/db"),
    (f"postgresql+psycopg://host/db?password={MARK}", "postgresql+psycopg://host/db?password=***"),
    (
        f"postgresql+psycopg://host/db?sslmode=require&sslpassword={MARK}&application_name=me",
        "postgresql+psycopg://host/db?sslmode=require&sslpassword=***&application_name=me",
    ),
    (f"postgresql+psycopg://me@host/db?options={MARK}", "postgresql+psycopg://***@host/db?options=***"),
    (f"postgresql+psycopg://host/db?{MARK}", "postgresql+psycopg://host/db?***"),
    (f"postgresql+psycopg:///db?host=me:{MARK}@host", "postgresql+psycopg:///db?host=***"),
    (f"postgresql+psycopg://host/{MARK}-9f8a7b6c5d4e", "postgresql+psycopg://host/***"),
    (f"sqlite:///a.db?key={MARK}", "sqlite:///a.db?key=***"),
]
OPEN = [
    ("sqlite:///outputs/recsweep.db", "sqlite:///outputs/recsweep.db"),
    ("journal:////shared/me@work/sweep.log", "journal:////shared/me@work/sweep.log"),
    ("postgresql+psycopg://me@host/sweeps_2026_11", "postgresql+psycopg://***@host/sweeps_2026_11"),
    ("postgresql+psycopg://postgres:@/db?host=/tmp/pg", "postgresql+psycopg://***@/db?host=/tmp/pg"),
    ("postgresql+psycopg://[::1]:5432/db", "postgresql+psycopg://[::1]:5432/db"),
]


@pytest.mark.parametrize(("text", "shown"), SECRET + OPEN)
def test_an_address_prints_itself_masked_in_every_way(text, shown, caplog):
    address = StoreAddress(text)
    assert str(address) == f"{address}" == f"{address:s}" == shown
    assert repr(address) == repr([address])[1:-1] == f"StoreAddress({shown!r})"
    logging.getLogger("test").warning("%s %r", address, {"storage": address})
    assert MARK not in caplog.text
    assert address.secret == ((text, shown) in SECRET)
    assert address.reveal() == text


def test_an_address_is_no_text():
    address = StoreAddress("sqlite:///x.db")
    assert address != "sqlite:///x.db"
    assert address == StoreAddress("sqlite:///x.db")
    assert hash(address) == hash(StoreAddress("sqlite:///x.db"))
    assert not hasattr(address, "__dict__")
    for use in (json.dumps, yaml.safe_dump, lambda a: "store " + a, "".join, open):
        with pytest.raises((TypeError, yaml.YAMLError)):
            use(address)


def test_an_address_arrives_whole_at_a_worker():
    address = StoreAddress(SECRET[0][0], makes_folder=True)
    for same in (pickle.loads(pickle.dumps(address)), copy.deepcopy(address)):
        assert same == address
        assert same.reveal() == address.reveal()
        assert same.makes_folder


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "begins with its kind"),
        ("outputs/recsweep.db", "begins with its kind"),
        (f"me:{MARK}@host", "begins with its kind"),
        (f"foo://me:{MARK}@x", "no stores of the kind `foo`"),
        (f"mssql+pyodbc://me:{MARK}@x/y", r"no stores of the kind `mssql\+pyodbc`"),
        (f"postgresql+nodriver://me:{MARK}@x/y", "no stores of the kind"),
        (f"postgresql+psycopg2://me:{MARK}@x/y", "need the package psycopg2"),
        (f"mysql+pymysql://me:{MARK}@x/y", "need the package pymysql"),
        (f"postgresql+psycopg://me:{MARK}@host:port/x", "the port is no number"),
        (f"postgresql+psycopg://me:{MARK}@host:70000/x", "the port is no number"),
        (f"postgresql+psycopg://me:{MARK}", "the port is no number"),
        (f"postgresql+psycopg://me:p@{MARK}@host/x", "is not readable"),
        (f"postgresql+psycopg://me/{MARK}@host/x", "is not readable"),
        (f"postgresql+psycopg://me:{MARK}\n@host/x", "one line"),
        ("sqlite:///a\0.db", "one line"),
        ("sqlite://", "names none"),
        ("sqlite:///", "names none"),
        ("sqlite:///:memory:", "names none"),
        ("sqlite:///file:x.db?uri=true", "names none"),
        ("sqlite://x.db", "three slashes"),
        ("journal://x.log", "three slashes"),
        ("journal:///x.log?a=1", "takes no options"),
        ("sqlite:///" + "x" * 5000, "at most"),
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text, problem):
    with pytest.raises(AddressError, match=problem) as caught:
        StoreAddress(text)
    assert caught.value.fix
    assert MARK not in f"{caught.value} {caught.value.fix}"
    with pytest.raises(InputError) as refused:
        Store(text)
    assert refused.value.exit_code == 2
    assert "reachable" not in str(refused.value)


def test_what_is_no_text_is_no_address():
    with pytest.raises(AddressError, match="must be text, but is a int"):
        StoreAddress.of(5)


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_an_address_without_room_for_a_store_is_refused_and_left_alone(tmp_path, scheme):
    (tmp_path / "folder").mkdir()
    for name, problem in [("folder", "no file"), ("none/x.db", "no folder")]:
        address = StoreAddress(f"{scheme}:///{tmp_path / name}")
        with pytest.raises(AddressError, match=problem):
            address.check_place()
        with pytest.raises(InputError, match=problem):
            Store(address)
    with pytest.raises(AddressError, match="is no file"):
        StoreAddress(f"{scheme}:////dev/null").check_place()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_folders_below_the_outputs_are_made(tmp_path):
    address = StoreAddress(f"sqlite:///{tmp_path}/outputs/own/x.db")
    Store(address.below(tmp_path / "outputs")).close()
    assert (tmp_path / "outputs" / "own" / "x.db").is_file()
    assert not address.below(tmp_path / "other").makes_folder


@pytest.mark.parametrize("name", ["9f8a7b6c5d4e", "x" * 40, "ghp_16C7e42F292c"])
def test_a_key_is_told_from_a_name(name):
    assert looks_like_token(name)


@pytest.mark.parametrize("name", ["", "sweeps", "sweeps_2026_11_24", "recsweep.test-12", "postgres15"])
def test_a_name_is_told_from_a_key(name):
    assert not looks_like_token(name)


# -- a file that holds the address ----------------------------------------------------------------


def written(path, text: str, mode: int = 0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_an_address_is_read_from_a_file_of_the_owner(tmp_path):
    path = written(tmp_path / "store", f"{SECRET[0][0]}\n")
    assert read_address(path) == StoreAddress(SECRET[0][0])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    path = written(tmp_path / "store", SECRET[0][0], mode)
    with pytest.raises(AddressError, match=f"open to others .mode {mode:04o}") as caught:
        read_address(path)
    assert caught.value.fix == f"run `chmod 600 {path}`"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_without_an_address_is_refused(tmp_path):
    for path, problem in [
        (tmp_path / "none", "is not there"),
        (tmp_path, "is no file"),
        (written(tmp_path / "empty", " \n"), "is empty"),
        (written(tmp_path / "two", f"{SECRET[0][0]}\nsqlite:///x.db\n"), "one line"),
        (written(tmp_path / "long", f"sqlite:///{'x' * 100_000}"), "at most"),
    ]:
        with pytest.raises(AddressError, match=problem) as caught:
            read_address(path)
        assert MARK not in str(caught.value)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "binary").chmod(0o600)
    with pytest.raises(AddressError, match="cannot be read"):
        read_address(tmp_path / "binary")


# -- in a sweep -----------------------------------------------------------------------------------


def test_a_sweep_takes_its_store_from_a_file_beside_it(tmp_path, monkeypatch):
    workspace = make_workspace(tmp_path, sweep=f"{SWEEP}storage_file: store\n")
    written(tmp_path / "store", SECRET[0][0])
    assert workspace.plan().storage_url.reveal() == SECRET[0][0]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    written(tmp_path / "elsewhere" / "mine", f"sqlite:///{tmp_path}/own.db")
    assert workspace.plan(storage_file="mine").storage_url.reveal() == f"sqlite:///{tmp_path}/own.db"
    assert workspace.plan(storage="sqlite:///other.db").storage_url.reveal() == "sqlite:///other.db"
    (tmp_path / "store").chmod(0o644)
    with pytest.raises(InputError, match=r"sweep\.yaml:4:15: .*store is open to others"):
        workspace.load()


def test_one_store_is_named_once(tmp_path):
    with pytest.raises(InputError, match="give `storage` or `storage_file`, not both"):
        make_workspace(tmp_path, sweep=f"{SWEEP}storage_file: a\nstorage: sqlite:///b.db\n").load()
    with pytest.raises(InputError, match="--storage: stands beside storage_file; give one of them"):
        make_workspace(tmp_path).load(storage="sqlite:///a.db", storage_file="b")


@pytest.mark.parametrize(
    "line",
    [
        f"storage: postgresql+psycopg://me:{MARK}@host:x/db",
        f"storage: [postgresql+psycopg://me:{MARK}@host/db]",
        f"storage: {{url: 'postgresql+psycopg://me:{MARK}@host/db'}}",
        f"search: postgresql+psycopg://me:{MARK}@host/db",
        f"seed: postgresql+psycopg://host/db?password={MARK}",
        f"stroage: postgresql+psycopg://me:{MARK}@host/db",
    ],
)
def test_an_error_about_a_sweep_quotes_no_secret(tmp_path, line):
    with pytest.raises(InputError, match=r"sweep\.yaml:4:") as caught:
        make_workspace(tmp_path, sweep=f"{SWEEP}{line}\n").load()
    assert MARK not in str(caught.value)


def test_a_sweep_and_its_plans_hold_no_secret_as_text(tmp_path):
    text = f"postgresql+psycopg://me:{MARK}@host/db"
    in_file = make_workspace(tmp_path, sweep=f"{SWEEP}storage: {text}\n").load()
    as_option = make_workspace(tmp_path).load(storage=text)
    for sweep in (in_file, as_option):
        assert sweep.config.storage.reveal() == text
        assert MARK not in repr(sweep)
        assert MARK not in str(sweep.config.model_dump())


def test_the_light_parent_reads_an_address_without_sqlalchemy():
    code = "import sys, recsweep.common.address as a; a.StoreAddress('postgresql+psycopg://me:x@h/d')\n"
    code += "print([name for name in ('sqlalchemy', 'optuna', 'psycopg', 'pydantic') if name in sys.modules])"
    assert run_python(code) == "[]"
