from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path

import pytest

from recsweep.common import errors
from recsweep.common.errors import InputError, RecsweepError, SweepPaused, TrialError, UserError

ALL = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, RecsweepError)]


def test_bad_input_is_one_line_with_file_line_column_problem_and_fix():
    error = InputError(Path("config/config.yaml"), "unknown key `serch`", "did you mean `search`?", 4, 7)
    assert str(error) == "config/config.yaml:4:7: unknown key `serch`; did you mean `search`?"


def test_bad_option_is_named_without_a_line():
    error = InputError("--max-evals", "must be a number", "write 20")
    assert str(error) == "--max-evals: must be a number; write 20"


def test_a_line_without_a_column_points_at_its_start():
    assert str(InputError("a.inter", "bad", "mend it", line=3)) == "a.inter:3:1: bad; mend it"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError, 2),
        (errors.StudyChanged, 2),
        (errors.UnsupportedEnvironment, 2),
        (errors.StoreUnavailable, 3),
        (SweepPaused, 3),
        (errors.EngineStateError, 1),
    ],
)
def test_exit_code_tells_what_to_do(error, code):
    assert error.exit_code == code


def test_a_failed_trial_is_neither_the_users_fault_nor_a_pause():
    assert not issubclass(TrialError, UserError | SweepPaused)
    assert {e for e in ALL if issubclass(e, TrialError)} == {
        TrialError,
        errors.TrialDiverged,
        errors.TrialPruned,
        errors.TrialStopped,
        errors.TrialInterrupted,
        errors.TrialLeft,
    }


def test_the_tree_at_the_top_names_every_error_under_its_parent():
    tree = [line for line in (errors.__doc__ or "").splitlines() if re.search(r"[├└]──|^Recsweep", line)]
    parents: dict[int, str] = {}
    drawn = {}
    for line in tree:
        name = re.search(r"[A-Z]\w+", line)
        assert name is not None
        depth = name.start() // 4
        parents[depth] = name.group()
        drawn[name.group()] = parents.get(depth - 1)
    built = {e.__name__: None if e is RecsweepError else e.__base__.__name__ for e in ALL}
    assert drawn == built


@pytest.mark.parametrize("error", [e for e in ALL if e is not InputError])
def test_an_error_survives_the_way_from_a_worker_to_its_parent(error):
    again = pickle.loads(pickle.dumps(error("what; why; what to do")))
    assert type(again) is error
    assert str(again) == "what; why; what to do"
