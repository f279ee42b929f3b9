from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
import os
import random
import stat
import threading
from collections import OrderedDict, deque, namedtuple
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recsweep.common.files import (
    atomic_path,
    canonical_json,
    content_hash,
    counted,
    dump_yaml,
    file_hash,
    to_plain,
    write_json,
    write_text,
    write_yaml,
)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: float
    y: np.float32


def same(left, right):
    """Equality of plain values in which NaN equals NaN, and 1 is neither 1.0 nor True."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


TRICKY = st.sampled_from(
    ["1e-4", "1.0", "007", "0x1F", "yes", "No", "on", "true", "null", "~", "", " ", "=", "<<", "-", "?", ":"]
    + [
        "2024-01-01",
        "12:30",
        ".nan",
        ".inf",
        "a: b",
        "# no",
        "*a",
        "&a",
        "!x",
        "%y",
        "@z",
        "{",
        "[1]",
        "'",
        '"',
    ]
    + [
        "two\nlines",
        "tab\there",
        "trailing ",
        "\n",
        "é",
        "日本",
        "\u2028",
        "\x85",
        "\ufeff",
        "😀",
        "1_000",
        "|",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([1e-05, 1e16, -0.0, 5e-324, math.nan, math.inf, -math.inf, 0.1 + 0.2])
    | st.text()
    | TRICKY
)
NUMPY = (
    st.floats().map(np.float64)
    | st.floats(width=32).map(np.float32)
    | st.integers(-(2**31), 2**31 - 1).map(np.int32)
    | st.booleans().map(np.bool_)
    | st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")).map(np.str_)
    | st.lists(st.floats(), max_size=4).map(np.array)
    | st.lists(st.integers(0, 9), min_size=4, max_size=4).map(lambda v: np.array(v).reshape(2, 2))
)
TORCH = st.lists(st.floats(width=32), max_size=4).map(torch.tensor) | st.integers(0, 9).map(torch.tensor)
FOREIGN = (
    NUMPY
    | TORCH
    | st.sampled_from(
        [Colour.RED, Level.HIGH, Path("a/b"), Point(1.0, np.float32(2)), range(3), torch.Size([2])]
    )
    | st.frozensets(st.integers())
    | st.datetimes()
)
NESTED = st.recursive(
    SCALARS | FOREIGN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | TRICKY, inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=12,
)


@given(NESTED)
@settings(max_examples=80)
def test_yaml_of_any_value_reads_back_equal(value):
    plain = to_plain(value)
    assert same(yaml.safe_load(dump_yaml(value)), plain)


@given(NESTED)
def test_making_a_value_plain_twice_changes_nothing_more(value):
    once = to_plain(value)
    assert same(to_plain(once), once)


@given(st.floats())
def test_every_float_keeps_its_last_bit_in_yaml(value):
    assert same(yaml.safe_load(dump_yaml({"v": value})), {"v": value})


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(48), 48),
        (np.bool_(True), True),
        (np.str_("abc"), "abc"),
        (np.longdouble(1.5), 1.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(7), 7),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (torch.tensor([1.5, 2.0], requires_grad=True), [1.5, 2.0]),
        (torch.tensor(3), 3),
        (torch.tensor([0.5], dtype=torch.bfloat16), [0.5]),
        (OrderedDict(b=1, a=(2, 3)), {"b": 1, "a": [2, 3]}),
        (Path("data") / "x", "data/x"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ({1: "a", None: "b", 0.5: "d"}, {"1": "a", "None": "b", "0.5": "d"}),
        ({3, 1, 2}, [1, 2, 3]),
        (deque([1, 2]), [1, 2]),
        (namedtuple("Pair", "a b")(1, 2), [1, 2]),
        (Point(1.0, np.float32(2)), {"x": 1.0, "y": 2.0}),
        (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
        (date(2024, 1, 2), "2024-01-02"),
    ],
)
def test_foreign_values_become_the_plain_values_that_they_hold(value, plain):
    assert same(to_plain(value), plain)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"bytes", "builtins.bytes"),
        (1j, "builtins.complex"),
        (np.complex128(1j), "builtins.complex"),
        (object(), "builtins.object"),
        (torch.device("cpu"), "torch.device"),
        (len, "builtins.builtin_function_or_method"),
    ],
)
def test_a_value_without_a_plain_form_is_refused_by_its_type(value, name):
    with pytest.raises(TypeError, match=rf"but got {name}; turn it into numbers"):
        to_plain({"deep": [value]})


def test_keys_that_would_fall_together_are_refused():
    with pytest.raises(TypeError, match="'1' occurs twice"):
        to_plain({1: "a", "1": "b"})


def test_yaml_keeps_the_order_of_keys_and_puts_a_comment_on_top():
    text = dump_yaml({"b": 1, "a": 1e-05}, header="made by recsweep\nrun it")
    assert text == "# made by recsweep\n# run it\nb: 1\na: 1.0e-05\n"


def test_yaml_writes_a_shared_list_twice_instead_of_a_reference():
    shared = [1, 2]
    assert yaml.safe_load(text := dump_yaml({"a": shared, "b": shared})) == {"a": [1, 2], "b": [1, 2]}
    assert "&" not in text


@pytest.mark.parametrize(("value", "text"), [(math.nan, ".nan"), (math.inf, ".inf"), (-math.inf, "-.inf")])
def test_yaml_has_words_for_what_is_no_number(value, text):
    assert dump_yaml({"loss": value}) == f"loss: {text}\n"


def shuffled(value, seed):
    if isinstance(value, dict):
        keys = list(value)
        random.Random(seed).shuffle(keys)
        return {key: shuffled(value[key], seed) for key in keys}
    return [shuffled(item, seed) for item in value] if isinstance(value, list) else value


@given(NESTED, st.integers())
def test_hash_does_not_depend_on_the_order_of_keys(value, seed):
    plain = to_plain(value)
    assert content_hash(shuffled(plain, seed)) == content_hash(plain)


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_LIKE, JSON_LIKE)
@settings(max_examples=80)
def test_hash_differs_exactly_where_the_content_does(left, right):
    equal = same(json.loads(canonical_json(left)), json.loads(canonical_json(right)))
    assert (content_hash(left) == content_hash(right)) is equal


def test_hash_is_the_same_in_every_process_and_version():
    text = r'{"a":"\u00e9","b":[1,2.5,null]}'
    assert content_hash({"b": [1, 2.5, None], "a": "é"}) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("other", [1.0, True, "1", [1], {"1": 1}, None, 2])
def test_hash_tells_types_apart(other):
    assert content_hash(1) != content_hash(other)


def test_hash_takes_values_that_json_has_no_word_for():
    hashes = {content_hash({"x": v}) for v in (math.nan, math.inf, -math.inf, 0.0, None)}
    assert len(hashes) == 5


def test_hash_of_numpy_and_python_numbers_is_the_same():
    assert content_hash({"a": np.int64(3), "b": np.array([0.5])}) == content_hash({"a": 3, "b": [0.5]})


def test_file_hash_is_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / "best.yaml"
    write_text(target, "old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    target = tmp_path / "result.yaml"
    texts = {"a" * 200_000, "b" * 100_000}
    write_text(target, min(texts))
    done = threading.Event()

    def write():
        for text in list(texts) * 10:
            write_text(target, text)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = {target.read_text() for _ in iter(done.is_set, True)} | {target.read_text()}
    thread.join()
    assert seen <= texts


def test_a_written_file_has_the_rights_that_any_other_new_file_has(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "x")
    (tmp_path / "b.txt").touch()
    mode = stat.S_IMODE(os.stat(tmp_path / "b.txt").st_mode)
    assert stat.S_IMODE(os.stat(tmp_path / "deep" / "a.txt").st_mode) == mode


def test_yaml_and_json_files_hold_what_was_written(tmp_path):
    value = {"score": np.float32(0.5), "params": OrderedDict(lr=1e-05, sizes=(1, 2)), "name": "日本"}
    write_yaml(tmp_path / "a.yaml", value, "how to use it")
    write_json(tmp_path / "a.json", value)
    expected = {"score": 0.5, "params": {"lr": 1e-05, "sizes": [1, 2]}, "name": "日本"}
    assert yaml.safe_load((tmp_path / "a.yaml").read_text(encoding="utf-8")) == expected
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == expected


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(0, "trial", "0 trials"), (1, "study", "1 study"), (3, "study", "3 studies"), (1, "epoch", "1 epoch")],
)
def test_one_of_a_kind_is_not_named_in_the_plural(number, noun, text):
    assert counted(number, noun) == text
