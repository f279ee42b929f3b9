"""Options from the environment, and the address of the store among them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from helpers.workspace import make_workspace
from recsweep.cli import cli, doctor, flags, main, variables
from recsweep.cli.declare import GROUPS, Command, Option
from recsweep.common import others
from recsweep.common.errors import InputError
from recsweep.running import threads
from recsweep.sweeps.config import WorkersConfig
from recsweep.sweeps.loading import load_sweep
from recsweep.sweeps.options import variable
from recsweep.sweeps.overrides import OVERRIDES, from_environment

MARK = "hunter2-MARKED"
URL = f"postgresql+psycopg://me:{MARK}@127.0.0.1:1/sweeps"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command on a small sweep; its exit code and what it said."""
    make_workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECSWEEP_CONFIG", "sweep.yaml")

    def call(*words: str, **environment: str) -> tuple[int, str, str]:
        with monkeypatch.context() as here:
            for name, value in environment.items():
                here.setenv(f"RECSWEEP_{name}", value)
            here.setattr(sys, "argv", ["recsweep", *words])
            with pytest.raises(SystemExit) as ended:
                main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


def test_every_option_of_every_command_has_its_variable():
    for name, command in cli.commands.items():
        for option in (one for one in command.params if isinstance(one, click.Option)):
            assert isinstance(option, Option), f"{name}: {option.name}"
            assert option.envvar == f"RECSWEEP_{option.name.upper()}"
    assert {variable(option) for option in OVERRIDES} < variables()


def test_the_environment_gives_options_and_the_command_line_goes_before_it(run):
    assert run("tune", "--dry-run", MAX_EVALS="7")[1].startswith("toy/NARM: 7 of 7 trials")
    assert run("tune", "--max-evals", "3", MAX_EVALS="7", DRY_RUN="1")[1].startswith(
        "toy/NARM: 3 of 3 trials"
    )
    assert run("tune", "--dry-run", MAX_EVALS="", MODEL="", STORAGE="")[1].startswith("toy/NARM: 20 of 20")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_EVALS", "many", "recsweep: RECSWEEP_MAX_EVALS: "),
        ("MODELS", "NRAM", "recsweep: RECSWEEP_MODELS: unknown model `NRAM`; did you mean `NARM`?"),
        ("MORE", "many", "Error: Invalid value for RECSWEEP_MORE: 'many'"),
        ("TRANSFER", "perhaps", "Error: Invalid value for RECSWEEP_TRANSFER: 'perhaps'"),
        (
            "STORAGE",
            f"postgresql+psycopg://me:{MARK}@h:x/d",
            "recsweep: RECSWEEP_STORAGE: the port is no number",
        ),
        ("STORAGE_FILE", "none", "recsweep: RECSWEEP_STORAGE_FILE: none is not there; make it"),
    ],
)
def test_a_mistake_in_the_environment_is_told_by_the_variables_name(run, name, value, said):
    code, out, err = run("tune", "--dry-run", **{name: value})
    assert (code, out) == (2, "")
    assert said in err
    assert MARK not in err


def test_snakemake_takes_the_same_variables(tmp_path, monkeypatch):
    monkeypatch.delenv("RECSWEEP_POPULARITY")  # of tests/conftest.py
    workspace = make_workspace(tmp_path)
    monkeypatch.setenv("RECSWEEP_MAX_EVALS", "7")
    monkeypatch.setenv("RECSWEEP_TRANSFER", "yes")
    monkeypatch.setenv("RECSWEEP_ALLOW_LARGE_GRID", "0")
    monkeypatch.setenv("RECSWEEP_SEED", "")
    assert from_environment() == {"max_evals": "7", "transfer": True, "allow_large_grid": False}
    assert load_sweep(workspace.sweep, from_environment()).config.search.max_evals == 7
    monkeypatch.setenv("RECSWEEP_TRANSFER", "perhaps")
    with pytest.raises(InputError, match="RECSWEEP_TRANSFER: must be 1 or 0"):
        from_environment()


def test_an_unread_variable_is_said_with_the_one_that_is_meant(run):
    code, out, err = run("tune", "--dry-run", MAX_EVLAS="7", TUNABLE_MODELS="NARM", NATIVE="1")
    assert (code, out.splitlines()[0]) == (0, "toy/NARM: 20 of 20 trials to run")
    assert err.splitlines() == [
        "recsweep: RECSWEEP_MAX_EVLAS is no variable of recsweep and has no effect; "
        "did you mean `RECSWEEP_MAX_EVALS`?",
        "recsweep: RECSWEEP_TUNABLE_MODELS is no variable of recsweep and has no effect; "
        "did you mean `RECSWEEP_MODELS`?",
    ]
    handed_on_by_make = {"TUNABLE_MODELS": "NARM", "GIVEN": "TUNABLE_MODELS", "GOAL": "tune", "CORES": "1"}
    assert run("tune", "--dry-run", **handed_on_by_make)[2] == ""


# -- what a command takes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("dashboard", "--max-evals"),
        ("dashboard", "--n-trials"),
        ("doctor", "--epochs"),
        ("summarize", "--workers"),
        ("summarize", "--max-evals"),
        ("plots", "--epochs"),
        ("prepare", "--device"),
        ("open", "--workers"),
    ],
)
def test_an_option_without_effect_is_refused_with_a_hint(run, command, option):
    code, out, err = run(command, option, "3")
    assert (code, out) == (2, "")
    assert err == (
        f"recsweep: {option}: has no effect on `recsweep {command}`; leave it out; "
        f"`recsweep {command} --help` lists what it takes\n"
    )


def test_what_is_snakemakes_alone_says_how_it_is_given(run):
    code, _, err = run("tune", "--workers-per-study=2")
    assert code == 2
    assert "--workers-per-study: has no effect on `recsweep tune`; " in err
    assert "snakemake --config workers_per_study=N" in err


def test_a_word_that_is_no_option_at_all_is_refused_as_ever(run):
    code, _, err = run("tune", "--max-evlas", "3")
    assert code == 2
    assert "No such option: --max-evlas" in err or "No such option '--max-evlas'" in err


def test_snakemake_gives_a_command_the_options_that_it_takes():
    given = {"max_evals": 3, "workers": 2, "workers_per_study": 4, "device": "cpu", "models": "NARM"}
    assert flags("tune", given) == ["--max-evals=3", "--workers=2", "--device=cpu", "--models=NARM"]
    assert flags("prepare", given) == ["--max-evals=3", "--models=NARM"]
    for command in cli.commands.values():
        for option in flags(command.name, given):
            assert option.partition("=")[0] in {flag for one in command.params for flag in one.opts}


# -- help -----------------------------------------------------------------------------------------


def shown(monkeypatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(cli, [*words, "--help"], prog_name="recsweep", terminal_width=80)
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80
    return done.output


def test_help_groups_commands_by_what_people_do_and_cuts_none(monkeypatch):
    told = shown(monkeypatch)
    heads = [told.index(f"\n{group}:\n") for group in GROUPS]
    assert heads == sorted(heads)
    flat = " ".join(told.split())
    for command in cli.commands.values():
        assert " ".join(command.help.split("\n\n")[0].split()) in flat, command.name
        assert isinstance(command, Command)
        assert command.group in GROUPS


@pytest.mark.parametrize("name", cli.commands)
def test_help_has_whole_options_with_defaults_choices_and_an_example(monkeypatch, name):
    flat = " ".join(shown(monkeypatch, name).split())
    assert f"Example: recsweep {name}" in flat
    for option in (one for one in cli.commands[name].params if isinstance(one, Option)):
        assert " ".join(option.setting.help.replace("`", "").split()) in flat
        facts = option.setting.facts
        if facts.default_text not in ("null", "[]", "false", "required"):
            assert f"default: {facts.default_text.strip('[]')}" in flat
        assert [word for word in facts.choices if word not in flat] == []


# -- the address of the store ---------------------------------------------------------------------

COMMANDS = ["tune", "open", "worker", "summarize", "evaluate", "plots", "dashboard", "doctor"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_tells_the_secret_of_a_store_that_is_away(run, command):
    code, out, err = run(command, STORAGE=URL)
    assert code in (2, 3)
    assert "postgresql+psycopg://***@127.0.0.1:1/sweeps" in out + err
    assert MARK not in out + err


def test_an_address_with_a_secret_on_the_command_line_is_warned_of(run):
    warning = "give it as RECSWEEP_STORAGE, or by --storage-file"
    _code, out, err = run("tune", "--dry-run", "--storage", URL)
    assert warning in err
    assert MARK not in out + err
    assert warning not in run("tune", "--dry-run", STORAGE=URL)[2]
    assert warning not in run("tune", "--dry-run", "--storage", "sqlite:///other.db")[2]


def test_a_password_typed_at_make_is_warned_of(run):
    warning = "give it as RECSWEEP_STORAGE, or by --storage-file"
    _, out, err = run("tune", "--dry-run", STORAGE=URL, OPEN="STORAGE", GIVEN="STORAGE", GOAL="tune")
    assert warning in err
    assert MARK not in out + err
    assert warning not in run("tune", "--dry-run", STORAGE="sqlite:///other.db", OPEN="STORAGE")[2]


@pytest.mark.parametrize(("mode", "said"), [(0o644, True), (0o640, True), (0o600, False)])
def test_a_password_in_a_readable_sweep_file_is_warned_of(run, tmp_path, mode, said):
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(sweep.read_text() + f"storage: {URL}\n")
    sweep.chmod(mode)
    _, out, err = run("tune", "--dry-run")
    warning = f"is open to others (mode {mode:04o}); run `chmod 600 sweep.yaml`, or name a file"
    assert (warning in err) is said
    assert "open to others" not in run("tune", "--dry-run", TYPED="snakemake --cores 1")[2]
    assert MARK not in out + err


def test_an_argument_too_many_is_not_quoted_with_its_secret(run):
    code, out, err = run("tune", "--dry-run", URL)
    assert code == 2
    assert "unexpected extra argument" in err
    assert MARK not in out + err


def test_the_command_line_names_the_store_before_the_environment_does(run, tmp_path):
    (tmp_path / "mine").write_text(f"sqlite:///{tmp_path}/own.db")
    (tmp_path / "mine").chmod(0o600)
    for words in (("--storage-file", "mine"), ("--storage", f"sqlite:///{tmp_path}/own.db")):
        for given in ({"STORAGE": URL}, {"STORAGE_FILE": "none"}):
            code, _out, err = run("tune", "--dry-run", *words, **given)
            assert (code, err) == (0, "")
    code, _, err = run("tune", "--dry-run", STORAGE=URL, STORAGE_FILE="mine")
    assert code == 2
    assert "recsweep: RECSWEEP_STORAGE: stands beside storage_file; give one of them" in err


def test_a_bugs_traceback_holds_no_secret(run, monkeypatch):
    def break_down(*arguments: object) -> None:
        raise ValueError(f"cannot parse {URL}")

    monkeypatch.setattr("recsweep.cli.tuning.announce", break_down)
    code, out, err = run("tune", "--dry-run", STORAGE=URL)
    assert code == 1
    assert err.startswith("Traceback")
    assert "ValueError: cannot parse ***" in err or "ValueError: cannot parse postgresql+psycopg://***" in err
    assert MARK not in out + err


# -- what the environment says of threads and kernels ---------------------------------------------


@pytest.mark.parametrize(
    ("given", "settings", "count"),
    [
        ("3", {}, 3),
        (" 2,4 ", {"count": 4}, 2),
        ("3", {"threads": 5}, 5),
        ("many", {"threads": 5}, 5),
        ("", {"count": 100_000 // 400}, 1),
    ],
)
def test_threads_of_a_worker_are_those_of_config_or_user(monkeypatch, given, settings, count):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads.threads_of(WorkersConfig(**settings)) == count


@pytest.mark.parametrize(
    ("used", "workers", "count", "said"),
    [
        (2.8, 1, 5, "other programs use 2.8 of 8 cores: 5 threads a worker"),
        (0.4, 2, 4, "other programs use 0.4 of 8 cores: 4 threads a worker"),
        (7.9, 3, 1, "other programs use 7.9 of 8 cores: 1 thread a worker"),
        (None, 4, 2, "other programs cannot be counted here, of 8 cores: 2 threads a worker"),
    ],
)
def test_spare_threads_leave_other_programs_their_cores(monkeypatch, used, workers, count, said):
    for module in (threads, others):
        monkeypatch.setattr(module, "cores", lambda: 8)
    monkeypatch.setattr(threads, "_others", lambda: used)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    config = WorkersConfig(count=workers, threads="spare")
    assert (threads.threads_of(config), threads.spared(config)) == (count, said)


def test_all_workers_of_a_process_have_as_many_spare_threads(monkeypatch):
    used = iter([6.0, 0.0])
    for module in (threads, others):
        monkeypatch.setattr(module, "cores", lambda: 8)
    monkeypatch.setattr(threads, "cores_of_others", lambda: next(used))
    threads._others.cache_clear()
    try:
        config = WorkersConfig(threads="spare")
        assert [threads.threads_of(config) for _ in range(3)] == [2, 2, 2]
    finally:
        threads._others.cache_clear()


@pytest.mark.parametrize("given", ["many", "0", "-1", "1.5", "99999999"])
def test_threads_that_are_no_number_are_refused(monkeypatch, given):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    with pytest.raises(InputError, match="OMP_NUM_THREADS: must be a whole number from 1, but got"):
        threads.threads_of(WorkersConfig())


@pytest.mark.parametrize("built", [True, False])
def test_doctor_says_which_kernels_are_used(monkeypatch, tmp_path, built):
    from recsweep.training.fast import build

    library = tmp_path / "kernels.so"
    if built:
        library.touch()
    monkeypatch.setattr(build, "library", lambda: library)
    monkeypatch.setattr(build, "missing_tools", lambda: "no compiler")
    monkeypatch.delenv("RECSWEEP_NATIVE", raising=False)
    monkeypatch.delenv("RECSWEEP_GEMM", raising=False)
    name, text, sound = doctor._kernels()
    used = (
        f"{library}; matrix products by own"
        if built
        else "none (no compiler); training takes the slower Python path"
    )
    assert (name, text, sound) == ("compiled kernels", used, True)
    monkeypatch.setenv("RECSWEEP_NATIVE", "0")
    how = f"built as {library}" if built else "not built"
    expected = f"switched off by RECSWEEP_NATIVE=0 ({how}); training takes the slower Python path"
    assert doctor._kernels()[1] == expected
