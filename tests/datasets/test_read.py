"""The one reader: cells as they stand, places to the column, and nothing between it and RecBole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsweep.common.errors import InputError
from recsweep.datasets import read
from recsweep.datasets.header import read_header
from recsweep.datasets.read import read_table

WORDS = [
    "NA",
    "None",
    "null",
    "NaN",
    "n/a",
    "#N/A",
    "<NA>",
    "-nan",
    '"',
    '""',
    'a"b',
    "'",
    "\\",
    "\\t",
    "True",
]
CELLS = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]), max_size=6),
)


def write(path: Path, *lines: str, end: str = "\n", start: bytes = b"") -> Path:
    path.write_bytes(start + "".join(line + end for line in lines).encode())
    return path


def refused(path: Path, message: str, **how) -> None:
    with pytest.raises(InputError) as caught:
        read_table(path, **how)
    assert str(caught.value) == f"{path}:{message}"


@settings(max_examples=80)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=30), st.integers(1, 40))
def test_any_table_of_texts_is_read_back_cell_by_cell(tmp_path_factory, rows, block):
    path = tmp_path_factory.mktemp("read") / "a.inter"
    path.write_bytes(
        "".join("\t".join(row) + "\n" for row in [("a:token", "b:token_seq", "c:token"), *rows]).encode()
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "_BLOCK", block)
        table = read_table(path)
    assert table.rows == len(rows)
    found = [[texts.values[code] for code in texts.codes] for texts in table.texts.values()]
    assert list(zip(*found, strict=True)) == rows
    assert table.digest == hashlib.sha256(path.read_bytes()).hexdigest()


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=7).map(str),
    st.sampled_from(
        ["", "+5", " 5", "5 ", ".5", "5.", "-0", "1E5", "1e-400", "1e400", "nan", "inf", "1_0", "0x1"]
    ),
    st.sampled_from(
        ["١٢", "\u00a05", "1d5", "1e", "--1", "5\x0b", "1700000000000000001", "9223372036854775808"]
    ),
)
DAMAGE = [b"\r\n", b"\n\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\t", b"\n", b'"', b"x"]


def found_by(path, quickly: bool, block: int):
    """The table, or the error, and whether blocks were taken at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "_LARGE", 0 if quickly else 1 << 62)
        patch.setattr(read, "_BLOCK", block)
        patch.setattr(read, "_BLOCKS_AT_ONCE", 5)
        try:
            return read_table(path, required=["u", "t"], ordered="t")
        except InputError as error:
            return str(error)


def same(first, second) -> bool:
    if isinstance(first, str) or isinstance(second, str):
        return first == second
    assert (first.rows, first.digest, list(first.blanks)) == (second.rows, second.digest, list(second.blanks))
    assert first.texts.keys() == second.texts.keys()
    assert first.exact.keys() == second.exact.keys()
    for name, texts in first.texts.items():
        assert texts.values == second.texts[name].values
        assert texts.codes.dtype == second.texts[name].codes.dtype == np.int32
        assert np.array_equal(texts.codes, second.texts[name].codes)
    for name, numbers in first.numbers.items():
        assert numbers.tobytes() == second.numbers[name].tobytes()
    return all(times.tolist() == second.exact[name].tolist() for name, times in first.exact.items())


@settings(max_examples=150)
@given(
    rows=st.lists(st.tuples(CELLS, NUMBERS, NUMBERS, CELLS), min_size=1, max_size=30),
    block=st.integers(8, 80),
    damage=st.lists(st.tuples(st.sampled_from(DAMAGE), st.integers(0, 10**6)), max_size=2),
    plain=st.booleans(),
)
def test_blocks_taken_at_once_are_as_read_cell_by_cell(tmp_path_factory, rows, block, damage, plain):
    if plain:
        rows = [(f"u{n % 4}", str(n * 7.25), str(n), "c") for n in range(len(rows))]
    content = "".join("\t".join(row) + "\n" for row in rows).encode()
    for piece, offset in damage:
        at = offset % (len(content) + 1)
        content = content[:at] + piece + content[at:]
    path = tmp_path_factory.mktemp("read") / "a.inter"
    path.write_bytes(b"u:token\tx:float\tt:float\tc:token_seq\n" + content)
    assert same(found_by(path, True, block), found_by(path, False, block))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sound_rows_are_taken_at_once(tmp_path, monkeypatch, end):
    rows = [f"u{n % 7}\t{n / 4}\t{88125094900 + n}\ta b" for n in range(5_000)]
    path = write(tmp_path / "a.inter", "u:token\tx:float\tt:float\tc:token_seq", *rows, end=end)
    slowly = read_table(path, required=["u"], ordered="t")
    monkeypatch.setattr(read, "_LARGE", 0)
    monkeypatch.setattr(read.Columns, "add", lambda *lines: pytest.fail("cell by cell"))
    assert same(read_table(path, required=["u"], ordered="t"), slowly)


def test_a_mistake_far_down_in_a_large_file_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "_LARGE", 0)
    rows = [f"u\t{n}" for n in range(100_000)]
    path = write(tmp_path / "a.inter", "u:token\tx:float", *rows[:90_000], "u\tnoon", *rows, "u")
    refused(path, "90002:3: `x` must be a number, but got 'noon'; correct it, or drop the row")


def test_only_an_empty_cell_is_missing(tmp_path):
    path = write(tmp_path / "a.item", "item_id:token\tbrand:token", "i1\tNA", "i2\t", 'i3\t"')
    cells = read_table(path).cells("brand")
    assert [cells[0], cells[2]] == ["NA", '"']
    assert np.isnan(cells[1])


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = write(tmp_path / "a.inter", "user_id:token\titem_id:token", "u\ti", start=b"\xef\xbb\xbf")
    assert list(read_header(path)) == ["user_id", "item_id"]
    assert read_table(path).texts["user_id"].values == ["u"]


def test_columns_that_are_not_asked_for_are_not_looked_at(tmp_path):
    path = write(tmp_path / "a.inter", "u:token\tx:float\treview:token", 'a\tno number\t"open', "b\t\tx")
    table = read_table(path, ["u"])
    assert list(table.types) == ["u"]
    assert table.rows == 2


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user_id:token,item_id:token", "1:14: commas stand between"),
        ("user_id:token item_id:token", "1:14: spaces stand between"),
        ("user_id:token;item_id:token_seq", "1:14: semicolons stand between"),
        ("user_id:token|item_id:token", "1:14: bars stand between"),
        ("a:token\tuser_id:token_seq, item_id:token", "1:26: commas stand between"),
    ],
)
def test_what_stands_between_columns_in_place_of_tabs_is_named(tmp_path, header, message):
    path = write(tmp_path / "a.inter", header, "1,2")
    fix = " the columns, where tabs are wanted; separate the fields by tabs, here and in every row"
    refused(path, message + fix)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("u\t1_000\ta", "4:3: `x` must be a number, but got '1_000'; correct it, or drop the row"),
        ("u\t١٢\ta", "4:3: `x` must be a number, but got '١٢'; correct it, or drop the row"),
        ("u\t1e999\ta", "4:3: `x` must be a number, but got '1e999'; correct it, or drop the row"),
        ("u\tNA\ta", "4:3: `x` must be a number, but got 'NA'; correct it, or drop the row"),
        ('u\t"1"\ta', "4:3: `x` must be a number, but got '\"1\"'; correct it, or drop the row"),
        ("\t1\ta", "4:1: `u` is empty; fill it in, or drop the row"),
        ("u\t1\ta\0", "4:6: there is a NUL character; remove it; lines end by a line feed"),
        (
            "u\t1\ta\rb",
            "4:6: there is a carriage return inside the line; remove it; lines end by a line feed",
        ),
        ("u,1,a", "4:1: the row has 1 fields, the header 3; separate the fields by tabs"),
    ],
)
def test_a_wrong_cell_is_found_below_an_empty_line(tmp_path, row, message):
    path = write(tmp_path / "a.inter", "u:token\tx:float\tc:token", "", "u1\t1\tb", row, "u2\t3\tc")
    refused(path, message, required=["u"])


def test_a_list_of_numbers_that_holds_another_thing_is_found(tmp_path):
    path = write(tmp_path / "a.item", "i:token\tv:float_seq", "a\t1 2.5", "", "b\t", "c\t1,2")
    refused(
        path,
        "5:1: `v` must hold numbers parted by ' ', but got '1,2' in '1,2'; correct it, set "
        "`sequence_separator` of the data set, or do not load the column",
    )
    assert read_table(path, ["i"]).rows == 3


@pytest.mark.parametrize(
    "times",
    [
        ["1700000000000000003", "1700000000000000001", "1700000000000000002", "5"],
        ["1700000000.1234567891", "1700000000.1234567890", "1700000000.1234567892", "0.5"],
        ["99999999999999999999", "99999999999999999998", "-1", "0.25"],
        ["3", "1700000000000000001", "1700000000000000000", "2.5"],
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 18])
def test_times_that_float64_would_round_keep_their_order(tmp_path, monkeypatch, times, block):
    from decimal import Decimal

    monkeypatch.setattr(read, "_BLOCK", block)
    path = write(tmp_path / "a.inter", "t:float", *times)
    cells = read_table(path, ordered="t").cells("t")
    assert [Decimal(str(cell)) for cell in cells.tolist()] == [Decimal(time) for time in times]


def test_usual_times_are_plain_floats(tmp_path):
    path = write(tmp_path / "a.inter", "t:float", "881250949", "881250949.5", "1.7e9")
    assert read_table(path, ordered="t").cells("t").dtype == np.float64
