from __future__ import annotations

import pytest
import yaml

from recsweep.common.yaml_loader import DEPTH, parse


def refused(text):
    """What is said of a text, with its line and column."""
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        parse(text)
    mark = caught.value.problem_mark
    return f"{mark.line + 1}:{mark.column + 1}: {caught.value.problem}"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1:30", "90"),
        ("-1:30", "-90"),
        ("190:20:30", "685230"),
        ("1:30.5", "90.5"),
        ("017", "15"),
        ("-010", "-8"),
    ],
)
def test_a_number_in_base_60_or_8_is_refused_in_its_place(written, read):
    said = refused(f"a:\n  b: {written}\n")
    assert said == f"2:6: YAML reads {written} as {read}; write {read}, or '{written}'"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", 0),
        ("00", 0),
        ("12", 12),
        ("1_000", 1000),
        ("0x1f", 31),
        ("1e-4", 1e-4),
        ("'1:30'", "1:30"),
        ("0.5", 0.5),
    ],
)
def test_other_numbers_are_what_they_were(written, read):
    _, data = parse(f"a: {written}\n")
    assert data == {"a": read}


@pytest.mark.parametrize("depth", [DEPTH, 3000, 100_000])
def test_deep_nests_are_refused_without_a_recursion(depth):
    assert "may be nested" in refused("a: " + "[" * depth + "]" * depth)
    assert "may be nested" in refused(
        "".join(f"{' ' * n}a:\n" for n in range(min(depth, 3000) + 1)) + " " * 4000 + "b: 1"
    )


def test_a_nest_within_the_limit_is_read():
    text = "a: " + "[" * (DEPTH - 1) + "]" * (DEPTH - 1)
    assert parse(text)[1]["a"] == [*parse("b: " + text[4:-1])[1].values()]


def test_a_chain_of_aliases_is_as_deep_as_it_reads():
    lines = ["x0: &x0 [1]", *(f"x{n}: &x{n} [*x{n - 1}]" for n in range(1, 3000))]
    assert "may be nested" in refused("\n".join(lines))


def test_aliases_that_grow_without_end_are_refused():
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "a file may hold 100,000 values" in refused("\n".join(lines))


@pytest.mark.parametrize("text", ["x: &x [*x]", "x: &x {y: *x}", "a: {b: &b [1, {c: *b}]}"])
def test_a_value_that_holds_itself_is_refused(text):
    assert "the value holds itself" in refused(text)


def test_an_alias_may_be_used_often():
    _, data = parse("a: &a [1, 2]\nb: [*a, *a]\nc: {<<: {d: 1}}\n")
    assert data == {"a": [1, 2], "b": [[1, 2], [1, 2]], "c": {"d": 1}}


@pytest.mark.parametrize("written", ['"a\\0b"', '"\\x1b[31m"', '"\\x7f"', '"\\x85"', '"a\\bc"'])
def test_a_control_character_is_refused_in_its_place(written):
    assert refused(f"path: {written}\n").startswith("1:7: the value ")


@pytest.mark.parametrize("written", ["1" * 5000, "2024-13-01", "2024-02-30"])
def test_what_python_cannot_hold_is_refused_in_its_place(written):
    assert refused(f"a: 1\nb: {written}\n").startswith("2:4: ")
