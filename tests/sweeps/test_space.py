from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsweep.sweeps import space as spaces
from recsweep.sweeps.config import parameter_type

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
def test_grid_values_belong_to_the_parameter_and_cast_to_themselves(parameter):
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


@given(st.integers(1, 50), st.integers(1, 5000), st.floats(0, 1))
def test_lograndint_yields_integers_of_which_each_keeps_its_share(low, more, share):
    parameter = make(type="lograndint", min=low, max=low + more)
    value = parameter.from_unit(share)
    assert type(value) is int
    assert low <= value <= low + more
    assert parameter.from_unit(parameter.to_unit(value)) == value
    assert (parameter.from_unit(0.0), parameter.from_unit(1.0)) == (low, low + more)


def test_lograndint_has_as_many_values_in_each_power_of_ten():
    parameter = make(type="lograndint", min=10, max=1000)
    below = sum(parameter.from_unit(step / 1000) < 100 for step in range(1001))
    assert 480 < below < 520
    assert parameter.size == 991
    assert parameter.grid()[0] == 10


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
        ({"type": "lograndint", "min": 0, "max": 3}, "`min >= 1` must hold for lograndint, but got min=0"),
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
def test_combination_number_and_combination_are_inverse(space):
    size = spaces.grid_size(space)
    for index, params in enumerate(itertools.islice(spaces.combinations(space), 200)):
        assert spaces.combination_at(space, index) == params
        assert list(params) == list(space)
        assert spaces.combination_index(space, params) == index
    last = spaces.combination_at(space, size - 1)
    assert spaces.combination_index(space, last) == size - 1


@st.composite
def conditional_grids(draw):
    """Up to five parameters in any order, each of which may depend on up to two of those made before it."""
    space: dict = {}
    for name in draw(st.permutations("abcde"))[: draw(st.integers(1, 5))]:
        parameter = draw(FINITE)
        when = {}
        for parent in (
            draw(st.lists(st.sampled_from(sorted(space)), unique=True, max_size=2)) if space else ()
        ):
            values = [value for value in space[parent].grid() if not isinstance(value, list)]
            if values:
                some = tuple(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)))
                when[parent] = some if draw(st.booleans()) else some[0]
        space[name] = parameter.model_copy(update={"when": when or None})
    return {name: space[name] for name in draw(st.permutations(sorted(space)))}


def brute_force(space):
    """The existing parameters of every combination of all parameters, each once."""
    whole = itertools.product(*(parameter.grid() for parameter in space.values()))
    points = (spaces.cast(space, dict(zip(space, values, strict=True))) for values in whole)
    return {repr(params) for params in points}


@given(conditional_grids())
def test_a_conditional_grid_visits_every_combination_of_what_exists_once(space):
    assume(math.prod(parameter.size for parameter in space.values()) <= 3000)
    seen = [repr(params) for params in spaces.combinations(space)]
    assert len(seen) == len(set(seen)) == spaces.grid_size(space)
    assert set(seen) == brute_force(space)


@given(conditional_grids())
def test_number_and_combination_of_a_conditional_space_are_inverse(space):
    assume(spaces.grid_size(space) <= 3000)
    for index, params in enumerate(itertools.islice(spaces.combinations(space), 100)):
        assert spaces.combination_at(space, index) == params
        assert spaces.combination_index(space, params) == index
        assert list(params) == [name for name in space if spaces.is_active(space, name, params)]
    last = spaces.combination_at(space, spaces.grid_size(space) - 1)
    assert spaces.combination_index(space, last) == spaces.grid_size(space) - 1


@given(conditional_grids())
def test_what_others_depend_on_comes_before_them(space):
    order = spaces.parents_first(space)
    assert sorted(order) == sorted(space)
    for position, name in enumerate(order):
        assert set(space[name].when or {}) <= set(order[:position])


def test_without_conditions_the_order_is_the_spaces_own():
    space = {name: make(type="randint", min=1, max=2) for name in "bca"}
    assert spaces.parents_first(space) == ["b", "c", "a"]


def test_a_large_conditional_space_is_counted_and_numbered_without_being_listed():
    space = {
        "n": make(type="randint", min=0, max=10**15, when={"loss": "BPR"}),
        "loss": make(type="choice", values=["CE", "BPR"]),
        "parent": make(type="randint", min=1, max=10**6),
        "extra": make(type="randint", min=1, max=7, when={"parent": [5, 900_000]}),
    }
    of_the_parent = 10**6 - 2 + 2 * 7
    size = of_the_parent + of_the_parent * (10**15 + 1)
    assert spaces.grid_size(space) == size
    for index in (0, 3, of_the_parent, size // 2, size - 1):
        assert spaces.combination_index(space, spaces.combination_at(space, index)) == index


def test_a_combination_without_a_value_is_refused():
    space = {"a": make(type="randint", min=1, max=2), "b": make(type="randint", min=1, max=2)}
    with pytest.raises(ValueError, match="every parameter that exists must have a value, but got only a"):
        spaces.combination_index(space, {"a": 1})


def test_a_condition_is_judged_by_the_value_that_the_model_gets():
    space = {
        "warmup": make(type="randint", min=1, max=3, when={"dropout": 0.3}),
        "dropout": make(type="quniform", min=0.0, max=0.5, q=0.1),
    }
    assert spaces.cast(space, {"warmup": 2.0, "dropout": 0.1 + 0.2}) == {"warmup": 2, "dropout": 0.3}


@given(FINITE)
def test_a_grids_values_have_number_rank_and_part(parameter):
    for index, value in enumerate(parameter.grid()):
        assert parameter.index(value) == index
        assert repr(parameter.at(index)) == repr(value)
        assert repr(parameter.at_rank(parameter.rank(value))) == repr(value)
        assert repr(parameter.from_unit(parameter.to_unit(value))) == repr(value)
    size = parameter.size
    parts = [parameter.from_unit((part + 0.5) / size) for part in range(size)]
    assert sorted(map(repr, parts)) == sorted(map(repr, parameter.grid()))
    assert parameter.contains(parameter.from_unit(0.0))
    assert parameter.contains(parameter.from_unit(1.0))


@given(reals(), st.floats(0, 1))
def test_a_share_of_a_range_is_a_value_of_it(parameter, share):
    value = parameter.from_unit(share)
    assert parameter.contains(value)
    assert parameter.to_unit(value) == pytest.approx(share, abs=1e-6)


def test_numbers_ascend_by_rank_in_whatever_order_they_are_listed():
    rates = make(type="choice", values=[0.01, 0.0001, 1, 0.001])
    assert rates.ordered
    assert [rates.at_rank(rank) for rank in range(4)] == [0.0001, 0.001, 0.01, 1]
    assert [rates.from_unit(share) for share in (0.0, 0.3, 0.6, 0.9)] == [0.0001, 0.001, 0.01, 1]
    words = make(type="choice", values=["b", "a", True])
    assert not words.ordered
    assert [words.at_rank(rank) for rank in range(3)] == ["b", "a", True]


def test_a_point_of_the_unit_cube_has_only_what_exists():
    space = {
        "negatives": make(type="randint", min=1, max=4, when={"loss": "BPR"}),
        "loss": make(type="choice", values=["CE", "BPR"]),
    }
    assert spaces.from_unit(space, {"negatives": 0.99, "loss": 0.6}) == {"negatives": 4, "loss": "BPR"}
    assert spaces.from_unit(space, {"negatives": 0.99, "loss": 0.1}) == {"loss": "CE"}


@given(GRIDS)
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
