"""Constraints between parameters: what they mean, what they may hold, and which points they leave."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.workspace import make_workspace
from recsweep.common.errors import InputError
from recsweep.planning.checks import check_sweep
from recsweep.sweeps.config import parameter_type
from recsweep.sweeps.rules import LONGEST, Rule, parsed
from recsweep.sweeps.space import (
    Ruled,
    combination_at,
    combination_index,
    combinations,
    from_unit,
    grid_size,
    is_allowed,
    mended,
)

WIDTH = "hidden_size % n_heads == 0"
SPACE = {
    "n_heads": parameter_type({"type": "choice", "values": [1, 2, 3, 4]}),
    "hidden_size": parameter_type({"type": "quniform", "min": 30, "max": 36, "q": 1}),
    "layer": parameter_type({"type": "choice", "values": ["a", "b"]}),
    "rate": parameter_type({"type": "randint", "min": 1, "max": 3, "when": {"layer": "b"}}),
}
START = {"n_heads": 1, "hidden_size": 30, "layer": "a"}
numbers = st.integers(-9, 9)


@pytest.mark.parametrize(
    "text",
    [
        "a % b == c",
        "a // b + c < 2 * a",
        "-a <= b < c",
        "not a > b or c != 1",
        "a in [b, 1, c]",
        "a and b >= c",
    ],
)
@given(a=numbers, b=numbers, c=numbers)
def test_a_constraint_means_what_python_means(text, a, b, c):
    # Where the expression has a value, Python's own arithmetic is written out beside it.
    meant = {
        "a % b == c": lambda: a % b == c,
        "a // b + c < 2 * a": lambda: a // b + c < 2 * a,
        "-a <= b < c": lambda: -a <= b < c,
        "not a > b or c != 1": lambda: not a > b or c != 1,
        "a in [b, 1, c]": lambda: a in [b, 1, c],
        "a and b >= c": lambda: bool(a and b >= c),
    }[text]
    try:
        wanted = meant()
    except ZeroDivisionError:
        wanted = False
    assert Rule(text).holds({"a": a, "b": b, "c": c}) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "open('x')",
        "a.__class__ == 1",
        "a ** 99999999",
        "[a for a in b]",
        "lambda: 1",
        "a := 1",
        "a[0] == 1",
        "f'{a}' == 'x'",
        "a if b else c",
        "b'x' == a",
        "1j == a",
        "a = 1",
        "a ==",
        "",
        "(" * 300,
        "a" * (LONGEST + 1),
        "a == 1; b",
    ],
)
def test_what_could_do_something_is_no_constraint(text):
    with pytest.raises(ValueError, match=r"no part of a constraint|no expression|at most"):
        parsed(text)


def test_a_word_times_a_number_is_no_value():
    assert not Rule("a * 1000000000 == 1").holds({"a": "x"})


def test_a_constraint_on_what_does_not_exist_holds():
    assert Rule("rate > 99").holds({"n_heads": 1})
    assert Rule("rate > size").holds({"rate": 7}) is True
    assert not Rule("rate > size", {"size": 7}).holds({"rate": 7})


def test_a_grid_has_the_combinations_that_are_allowed():
    ruled = Ruled(SPACE, (Rule(WIDTH), Rule("layer == 'a' or rate != 2")))
    left = [point for point in combinations(SPACE) if is_allowed(ruled, point)]
    assert list(combinations(ruled)) == left
    assert len(left) == grid_size(ruled) < grid_size(SPACE)
    assert [combination_at(ruled, number) for number in range(len(left))] == left
    assert [combination_index(ruled, point) for point in left] == list(range(len(left)))
    with pytest.raises(IndexError):
        combination_at(ruled, len(left))
    with pytest.raises(ValueError, match="does not keep"):
        combination_index(ruled, {"n_heads": 4, "hidden_size": 30, "layer": "a"})


@given(seed=st.integers(0, 10_000))
def test_a_mended_point_is_allowed_and_else_as_it_was(seed):
    ruled, chance = Ruled(SPACE, (Rule(WIDTH), Rule("rate < n_heads"))), random.Random(seed)
    point = from_unit(ruled, {name: chance.random() for name in SPACE})
    found = mended(ruled, point, START)
    assert is_allowed(ruled, found)
    assert found == point or not is_allowed(ruled, point)
    assert all(SPACE[name].contains(value) for name, value in found.items())


FILE = """model: SASRec
fixed: {inner_size: 64}
defaults: {n_heads: 2, hidden_size: 64}
space:
  n_heads: {type: choice, values: [1, 2, 3]}
  hidden_size: {type: choice, values: [32, 48, 64]}
"""


def refused(tmp_path, line):
    workspace = make_workspace(tmp_path, model=FILE + line)
    with pytest.raises(InputError) as caught:
        check_sweep(workspace.load())
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "where", "problem"),
    [
        ("require: hidden_size %% n_heads\n", ":7:10:", "is no expression"),
        ("require: [hidden_size > 1, hiddn_size > 1]\n", ":7:28:", "did you mean `hidden_size`?"),
        ("require: exit()\n", ":7:10:", "`exit()` is no part of a constraint"),
        ("require: inner_size > 3\n", ":7:10:", "has no parameter of the space"),
        ("require: hidden_size % n_heads == 1\n", ":7:10:", "does not hold at the defaults"),
        ("require: [5]\n", ":7:11:", ""),
    ],
)
def test_a_constraint_that_cannot_be_kept_is_refused(tmp_path, line, where, problem):
    text = refused(tmp_path, line)
    assert where in text
    assert problem in text


def test_a_study_searches_what_its_constraints_allow(tmp_path):
    workspace = make_workspace(tmp_path, model=FILE + f"require: {WIDTH}\n")
    check_sweep(workspace.load())
    plan = workspace.plan()
    assert grid_size(plan.space) == 7  # 3 heads fit 48 alone
    assert "require" in str(plan.definition)


def test_a_study_without_constraints_is_defined_as_before(tmp_path):
    plan = make_workspace(tmp_path, model=FILE).plan()
    assert "require" not in str(plan.definition)
