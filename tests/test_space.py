from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recsweep import space as spaces
from recsweep.config import parameter_type

NUMBERS = st.integers(-1000, 1000) | st.floats(-1000, 1000).map(lambda v: round(v, 3))


def make(**data):
    return parameter_type(data)


@st.composite
def choices(draw):
    scalar = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3)
    values = draw(st.lists(scalar | st.lists(st.floats(0, 1), max_size=2), min_size=1, max_size=5))
    kept: list = []
    for value in values:
        if not any(isinstance(v, bool) == isinstance(value, bool) and v == value for v in kept):
            kept.append(value)
    return make(type="choice", values=kept)


@st.composite
def quniforms(draw):
    q = draw(st.sampled_from([1, 2, 8, 0.1, 0.05, 0.25, 1e-4]))
    low = draw(st.integers(-20, 20))
    high = low + draw(st.integers(1, 20))
    bounds = (
        (float(f"{low * q:.12g}"), float(f"{high * q:.12g}")) if isinstance(q, float) else (low * q, high * q)
    )
    return make(type="quniform", min=bounds[0], max=bounds[1], q=q)


@st.composite
def randints(draw):
    low = draw(st.integers(-50, 50))
    return make(type="randint", min=low, max=low + draw(st.integers(1, 10)))


@st.composite
def reals(draw):
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    assume(low < high)
    if low > 0 and draw(st.booleans()):
        return make(type="loguniform", min=low, max=high)
    return make(type="uniform", min=low, max=high)


FINITE = choices() | quniforms() | randints()
GRIDS = st.dictionaries(st.sampled_from("abcde"), FINITE, min_size=1, max_size=3)


@given(FINITE)
def test_every_value_of_a_grid_belongs_to_the_parameter_and_casts_to_itself(parameter):
    grid = parameter.grid()
    assert parameter.size == len(grid) >= 1
    for value in grid:
        assert parameter.contains(value)
        again = parameter.cast(value)
        assert again == value
        assert type(again) is type(value)


@given(quniforms() | randints() | reals(), st.floats(-1e6, 1e6))
def test_whatever_a_search_proposes_is_cast_into_the_parameter(parameter, proposed):
    value = parameter.cast(proposed)
    assert parameter.contains(value)
    assert parameter.cast(value) == value


@given(quniforms() | randints(), st.floats(0, 1))
def test_cast_takes_the_nearest_value_of_the_grid(parameter, share):
    proposed = parameter.min + share * (parameter.max - parameter.min)
    nearest = min(abs(value - proposed) for value in parameter.grid())
    assert abs(parameter.cast(proposed) - proposed) <= nearest + 1e-9


@given(st.integers(-50, 50), st.integers(1, 50), st.integers(1, 16), st.floats(-2000, 2000))
def test_quniform_of_integers_yields_integers_only(low, steps, q, proposed):
    parameter = make(type="quniform", min=low * q, max=(low + steps) * q, q=q)
    assert {type(value) for value in parameter.grid()} == {int}
    assert type(parameter.cast(proposed)) is int
    assert parameter.cast(proposed) % q == 0


@given(randints(), st.floats(-2000, 2000))
def test_randint_yields_integers_and_both_ends(parameter, proposed):
    assert type(parameter.cast(proposed)) is int
    assert parameter.grid()[0] == parameter.min
    assert parameter.grid()[-1] == parameter.max


def test_forty_eight_stays_an_integer_where_a_library_gives_a_float():
    size = make(type="quniform", min=16, max=128, q=16)
    assert repr(size.cast(48.0)) == "48"
    assert repr(size.cast(np.float64(48.0))) == "48"


def test_quniform_of_decimals_yields_the_decimals_that_were_meant():
    dropout = make(type="quniform", min=0.0, max=0.5, q=0.1)
    assert dropout.grid() == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert dropout.cast(0.30000000000000004) == 0.3


def test_a_choice_keeps_types_apart_and_gives_lists_back_as_lists():
    choice = make(type="choice", values=[True, 1, "1", None, [0.25, 0.5]])
    assert choice.cast(True) is True
    assert type(choice.cast(1)) is int
    assert choice.cast("1") == "1"
    assert choice.cast((0.25, 0.5)) == choice.cast([0.25, 0.5]) == [0.25, 0.5]
    assert not choice.contains("true")


@pytest.mark.parametrize("value", [True, "0.5", None, [0.5], math.nan, math.inf, 2.0, -1])
def test_a_range_holds_numbers_within_it_only(value):
    assert not make(type="uniform", min=0.0, max=1.0).contains(value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"type": "uniform", "min": 2, "max": 1}, "`min < max` must hold, but got min=2, max=1"),
        ({"type": "randint", "min": 3, "max": 3}, "`min < max` must hold, but got min=3, max=3"),
        ({"type": "loguniform", "min": 0, "max": 1}, "`min > 0` must hold for loguniform, but got min=0"),
        ({"type": "uniform", "min": 0, "max": math.inf}, "`min` and `max` must be finite, but got 0 and inf"),
        ({"type": "quniform", "min": 1, "max": 4, "q": 2}, "`min` must be a multiple of q=2, but got 1"),
        ({"type": "quniform", "min": 0, "max": 5, "q": 2}, "`max` must be a multiple of q=2, but got 5"),
        ({"type": "quniform", "min": 0, "max": 4, "q": 0}, "greater than 0"),
        ({"type": "choice", "values": [1, 2, 1]}, "`values` must be distinct, but 1 stands twice"),
        ({"type": "choice", "values": [1, 1.0]}, "`values` must be distinct, but 1 stands twice"),
        ({"type": "choice", "values": []}, "at least 1 item"),
        ({"type": "randint", "min": 0.5, "max": 3}, "valid integer"),
        ({"type": "uniform", "min": 0, "max": 1, "q": 1}, "Extra inputs"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(data, message):
    with pytest.raises(ValidationError, match=message):
        parameter_type(data)


def test_a_parameter_cannot_be_changed_after_it_was_read():
    with pytest.raises(ValidationError, match="frozen"):
        make(type="uniform", min=0, max=1).min = 5


@given(GRIDS)
@settings(max_examples=60, deadline=None)
def test_combination_number_and_combination_are_inverse(space):
    size = spaces.grid_size(space)
    for index, params in enumerate(itertools.islice(spaces.combinations(space), 200)):
        assert spaces.combination_at(space, index) == params
        assert list(params) == list(space)
        assert spaces.combination_index(space, params) == index
    last = spaces.combination_at(space, size - 1)
    assert spaces.combination_index(space, last) == size - 1


@given(GRIDS)
@settings(max_examples=40, deadline=None)
def test_a_grid_visits_every_combination_once(space):
    assume(spaces.grid_size(space) <= 2000)
    seen = [repr(params) for params in spaces.combinations(space)]
    assert len(seen) == len(set(seen)) == spaces.grid_size(space)


@given(GRIDS, st.integers())
def test_there_is_no_combination_outside_the_grid(space, offset):
    size = spaces.grid_size(space)
    index = size + offset if offset >= 0 else offset
    with pytest.raises(IndexError, match=rf"0 <= index < {size} must hold, but got {index}"):
        spaces.combination_at(space, index)


def test_the_last_parameter_varies_fastest():
    space = {"a": make(type="choice", values=["x", "y"]), "b": make(type="randint", min=1, max=2)}
    assert [tuple(p.values()) for p in spaces.combinations(space)] == [("x", 1), ("x", 2), ("y", 1), ("y", 2)]


def test_a_continuous_parameter_has_no_grid_and_is_named():
    space = {"lr": make(type="loguniform", min=1e-4, max=1), "n": make(type="randint", min=1, max=2)}
    assert spaces.continuous(space) == ["lr"]
    assert spaces.grid_size(space) == math.inf
    with pytest.raises(ValueError, match="a continuous parameter has no end: lr"):
        next(spaces.combinations(space))


def test_a_huge_range_is_counted_without_being_listed():
    space = {
        "n": make(type="randint", min=0, max=10**15),
        "q": make(type="quniform", min=0, max=10**12, q=1),
    }
    assert spaces.grid_size(space) == (10**15 + 1) * (10**12 + 1)
    assert spaces.continuous(space) == []


def test_cast_of_a_whole_space_follows_its_order_and_types():
    space = {"n": make(type="randint", min=1, max=9), "lr": make(type="uniform", min=0, max=1)}
    assert list(spaces.cast(space, {"lr": 1, "n": 2.0}).items()) == [("n", 2), ("lr", 1.0)]
    assert [type(v) for v in spaces.cast(space, {"lr": 1, "n": 2.0}).values()] == [int, float]
