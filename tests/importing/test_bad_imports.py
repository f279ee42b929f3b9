"""Bad inputs of every format that is imported, and of RecBole's files: each is named, with line and column."""

# ruff: noqa: E501 (one case a line)
from __future__ import annotations

import gzip
import io
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from helpers.imports import imported, write_files
from recsweep.common.errors import InputError
from recsweep.importing.from_recbole import from_recbole

HEAD = "user,item,rating,time\n"
GOOD = HEAD + "1,2,3,1000000000\n2,2,4,1000000100\n"


def table(**columns: list[Any]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


# Name of the file, its content, options, and the end of what is said: FILE:LINE:COLUMN: problem.
FILES: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    ("a.csv", "", {}, "a.csv:1:1: the file is empty"),
    ("a.csv", HEAD, {}, "a.csv:1:1: has no rows"),
    ("a.csv", HEAD + "1,2,3\n", {}, "a.csv:2:5: has 3 fields, but 4 are wanted"),
    ("a.csv", GOOD + "1,2,3,4,5\n", {}, "a.csv:4:9: has 5 fields, but 4 are wanted"),
    ("a.csv", GOOD + "\n\n1,2,3\n", {}, "a.csv:6:5: has 3 fields"),
    ("a.csv", HEAD + ",2,3,1\n", {}, "a.csv:2:1: `user` is empty"),
    ("a.csv", HEAD + "1,,3,1\n", {}, "a.csv:2:3: `item` is empty"),
    ("a.csv", HEAD + "1,2,,1\n", {}, "a.csv:2:5: `rating` is empty"),
    ("a.csv", HEAD + "1,2,3,\n", {}, "a.csv:2:7: `time` is empty"),
    ("a.csv", HEAD + "1,2,good,1\n", {}, "a.csv:2:5: `rating` must be a number, but is 'good'"),
    ("a.csv", HEAD + "1,2,nan,1\n", {}, "a.csv:2:5: `rating` must be a finite number"),
    ("a.csv", HEAD + "1,2,inf,1\n", {}, "a.csv:2:5: `rating` must be a finite number"),
    ("a.csv", HEAD + '1,2,"1,5",1\n', {}, "a.csv:2:5: `rating` must be a number, but is '1,5'"),
    ("a.csv", HEAD + "1,2,1_0,1\n", {}, "a.csv:2:5: `rating` must be a number"),
    ("a.csv", GOOD + "1,2,3,soon\n", {}, "a.csv:4:7: `time` must be a number, but is 'soon'"),
    ("a.csv", GOOD + "1,2,3,2019-05-31\n", {}, "a.csv:4:7: `time` must be a number"),
    (
        "a.csv",
        GOOD + "1,2,3,1000000000000\n",
        {},
        "a.csv:4:7: `time` is 1000000000000, where the first times are sec",
    ),
    ("a.csv", HEAD + '1,2,3,1\n"2,2,3,1\n1,2,3,1\n', {}, "a.csv:3:1: a quote is opened and never closed"),
    ("a.csv", HEAD + '"a\tb",2,3,1\n', {}, "a.csv:2:1: `user` is 'a\\tb', with a tab or a line end in it"),
    ("a.csv", HEAD + '1,"a\nb",3,1\n', {}, "a.csv:2:3: `item` is"),
    ("a.csv", HEAD.encode() + b"1,\xff,3,1\n", {}, "a.csv:2:3: the byte 0xff is no utf-8"),
    ("a.csv", "user,user,time\n1,2,3\n", {}, "a.csv:1:6: the column `user` stands twice"),
    ("a.csv", "user,,time\n1,2,3\n", {}, "a.csv:1:6: a column has no name"),
    ("a.csv", "who,what\n1,2\n", {}, "a.csv:1:1: no column is the user"),
    ("a.csv", "user,what\n1,2\n", {}, "a.csv:1:1: no column is the item"),
    (
        "a.csv",
        GOOD,
        {"columns": "user=usr,item=item"},
        "a.csv:1:1: there is no column `usr`; did you mean `user`?",
    ),
    ("a.csv", GOOD, {"columns": "user=user"}, "a.csv:1:1: no column is the item"),
    ("a.csv", GOOD, {"columns": "user=user:float,item=item"}, "a.csv:1:1: the user is a token, not a float"),
    ("a.csv", GOOD, {"columns": "user=user,item=item,x=rating:int"}, "a.csv:1:1: unknown type `int`"),
    (
        "a.csv",
        GOOD,
        {"columns": "user=user,item=item,user_id=rating"},
        "a.csv:1:1: two columns would be `user_id`",
    ),
    ("a.csv", GOOD, {"columns": "user=user,item=item,a b=rating"}, "a.csv:1:1: `a b` is no name of a column"),
    ("a.csv", GOOD, {"columns": "user"}, "--columns: `user` is no pair"),
    ("a.csv", GOOD, {"columns": "user=a,user=b"}, "--columns: `user` stands twice"),
    ("a.csv", GOOD, {"header": "a,b"}, "a.csv:1:1: has 4 fields, but the header that is given names 2"),
    ("a.csv", GOOD, {"only": "event=view"}, "a.csv:1:1: there is no column `event`"),
    ("a.csv", GOOD, {"only": "user=9"}, "a.csv:1:1: none of its 2 rows is kept"),
    ("a.csv", GOOD, {"time_unit": "hours"}, "--time-unit: `time_unit`: must be one of auto, s, ms"),
    ("a.csv", GOOD, {"time_unit": "%Y"}, "a.csv:2:7: `time` must be a time by %Y, but is '1000000000'"),
    (
        "a.csv",
        "user,item,time\na,b,02.03.2024 14:26\n",
        {},
        "a.csv:2:5: `time` must be a time such as 2019-05-31 18:30:00, but is '02.03.2024 14:26'; correct it, or give --time-unit with its pattern, perhaps '%d.%m.%Y %H:%M'",
    ),
    (
        "a.csv",
        "user,item,time\na,b,12/31/2024\n",
        {},
        "a.csv:2:5: `time` must be a time such as 2019-05-31 18:30:00, but is '12/31/2024'; correct it, or give --time-unit with its pattern, perhaps '%m/%d/%Y'",
    ),
    ("a.csv", GOOD, {"time_unit": "iso"}, "a.csv:2:7: `time` must be a time such as 2019-05-31"),
    ("a.csv", GOOD, {"encoding": "utf-9"}, "--encoding: `encoding`: must be an encoding"),
    ("a.csv", GOOD, {"seq_separator": "||"}, "--seq-separator: `seq_separator`"),
    ("a.csv", GOOD, {"as": "a/b"}, "--as: "),
    ("a.csv", HEAD + "1,2,3,2019-05-31\n1,2,3,31.5.2019\n", {}, "a.csv:3:7: `time` must be a time such as"),
    ("a.csv", HEAD + "1,2,3,2019-05-31\n1,2,3,\n", {}, "a.csv:3:7: `time` is empty"),
    ("a.csv", HEAD + "1,2,3,2019-05-31\n1,2,3,2019-02-30\n", {}, "a.csv:3:7: `time` must be a time such as"),
    ("a.tsv", "user\titem\n1\t2\n1\n", {}, "a.tsv:3:1: has 1 fields, but 2 are wanted"),
    (
        "a.dat",
        "1::2::3::4\n1::2::3\n",
        {"header": "user,item,rating,time"},
        "a.dat:2:7: has 3 fields, but 4 are wanted",
    ),
    ("a.dat", "1::2::x::4\n", {"header": "user,item,rating,time"}, "a.dat:1:7: `rating` must be a number"),
    ("a.dat", "1::2::3::4\n::2::3::4\n", {"header": "user,item,rating,time"}, "a.dat:2:1: `user` is empty"),
    ("a.jsonl", '{"user": 1, "item": 2}\n{"user": 1,\n', {}, "a.jsonl:2:12: is no JSON"),
    ("a.jsonl", '{"user": 1, "item": 2}\n[1, 2]\n', {}, "a.jsonl:2:1: is [1, 2], which is no object"),
    ("a.jsonl", '{"user": 1, "item": 2}\n{"user": 1}\n', {}, "a.jsonl:2:1: `item` is empty"),
    ("a.jsonl", '{"user": 1, "item": {"id": 2}}\n', {}, "a.jsonl:1:13: `item` holds objects"),
    ("a.jsonl", '{"user": 1, "item": [2]}\n', {}, "a.jsonl:1:13: `item` holds lists"),
    (
        "a.jsonl",
        '{"user": "a", "item": 2, "rating": "x"}\n',
        {},
        "a.jsonl:1:26: `rating` must be a number, but is 'x'",
    ),
    ("a.json", "{'user': 1, 'item': __import__('os')}\n", {}, "a.json:1:1: is no value"),
    (
        "a.json",
        "{'user': 1, 'item': 2}\n{'user': " + "[" * 50 + "\n",
        {},
        "a.json:2:1: has brackets within brackets",
    ),
    ("a.parquet", b"PAR1 no", {}, "a.parquet:1:1: cannot be read as Parquet"),
    ("a.parquet", table(user=[1, None], item=[1, 2]), {}, "a.parquet:2:1: `user` is empty"),
    ("a.parquet", table(user=[1], item=[[1]]), {}, "a.parquet:1:2: `item` holds lists"),
    ("a.parquet", table(user=[b"x"], item=[1]), {}, "a.parquet:1:1: `user` holds binary"),
    ("a.csv.gz", gzip.compress(GOOD.encode() * 9)[:-12], {}, "a.csv.gz:1:1: cannot be decompressed"),
    ("a.zip", GOOD, {}, "a.zip:1:1: is an archive; unpack it"),
    ("a.xlsx", GOOD, {}, "a.xlsx:1:1: `.xlsx` is no ending of a format"),
    (
        "combined_data_1.txt",
        "1:\n5,3,2005-09-06\nx:\n",
        {"recipe": "netflix"},
        "combined_data_1.txt:3:1: has 1 fields",
    ),
    (
        "combined_data_1.txt",
        "5,3,2005-09-06\n",
        {"recipe": "netflix"},
        "combined_data_1.txt:1:1: `movie` is empty",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "options", "said"), FILES, ids=[f"{n}-{c[3][:40]}" for n, c in enumerate(FILES)]
)
def test_bad_data_is_named_with_its_place(tmp_path, name, content, options, said):
    (path,) = write_files(tmp_path, {name: content})
    with pytest.raises(InputError) as refused:
        imported(tmp_path, path, checked=False, **options)
    text = str(refused.value).replace(f"{tmp_path}/", "")
    assert text.startswith(said)
    assert "; " in text, "an error says what to do"
    assert not (tmp_path / "config").exists()
    assert not list((tmp_path / "data").glob("**/*")), "nothing is left behind"


CONFIG = "model: BPR\ndataset: ml-100k\n"
LINE = "learning_rate choice [0.01,0.005]\n"
HYPER: list[tuple[str, str, str]] = [
    (CONFIG, "", "h.test:1:1: has no parameter"),
    (CONFIG, "learning_rate\n", "h.test:1:14: `learning_rate` has no type"),
    (CONFIG, "learning_rate choice\n", "h.test:1:21: `learning_rate`: has no values"),
    (
        CONFIG,
        LINE + "x chioce [1]\n",
        "h.test:2:3: `chioce` is no type of a parameter; did you mean `choice`?",
    ),
    (CONFIG, LINE + LINE, "h.test:2:1: `learning_rate` stands twice"),
    (CONFIG, "x choice [1,\n", "h.test:1:10: `x`: is no value"),
    (CONFIG, "x choice __import__('os').system('touch PWNED')\n", "h.test:1:10: `x`: is no value"),
    (CONFIG, "x choice 5\n", "h.test:1:10: `x`: must have a list of values"),
    (CONFIG, "x choice []\n", "h.test:1:10: `x`: must have a list of values"),
    (CONFIG, "x choice [{'a':1}]\n", "h.test:1:10: `x`: has {'a': 1}, which no parameter can be"),
    (CONFIG, "x uniform 0.1\n", "h.test:1:11: `x`: must have 2 numbers (low,high)"),
    (CONFIG, "x uniform 0.5,0.1\n", "h.test:1:11: `x`: low must be below high"),
    (CONFIG, "x uniform a,b\n", "h.test:1:11: `x`: must have numbers, but got 'a'"),
    (CONFIG, "x uniform 0,inf\n", "h.test:1:11: `x`: must have finite numbers"),
    (CONFIG, "x quniform 0,1\n", "h.test:1:12: `x`: must have 3 numbers (low,high,q)"),
    (CONFIG, "x quniform 0,1,0\n", "h.test:1:12: `x`: q must be above 0"),
    (CONFIG, "x loguniform 0,500\n", "h.test:1:14: `x`: has the logarithms of its bounds"),
    (CONFIG, "x randint 1,2.5\n", "h.test:1:11: `x`: must have whole numbers"),
    ("dataset: ml-100k\n", LINE, "c.yaml:1:1: no model is named"),
    ("model: BPR\n", LINE, "c.yaml:1:1: no dataset is named"),
    ("model: BRP\ndataset: ml-100k\n", LINE, "c.yaml:1:8: RecBole has no model `BRP`; did you mean `BPR`?"),
    (CONFIG + "eval_args: [1]\n", LINE, "c.yaml:3:12: must hold keys and values"),
    (CONFIG + "eval_args: {split: {LS: test_only}}\n", LINE, "c.yaml:3:25: `test_only` leaves no validation"),
    (CONFIG + "eval_args: {split: {RS: [8, 2]}}\n", LINE, "c.yaml:3:25: must be three numbers"),
    (CONFIG + "eval_args: {order: XX}\n", LINE, "c.yaml:3:12: the split is none of RecBole's"),
    (CONFIG + "user_inter_num_interval: 5\n", LINE, "c.yaml:3:26: is no interval, but 5"),
    (CONFIG + "epochs: [\n", LINE, "c.yaml:4:1: not valid YAML"),
]


@pytest.mark.parametrize(
    ("config", "hyper", "said"), HYPER, ids=[f"{n}-{c[2][:40]}" for n, c in enumerate(HYPER)]
)
def test_bad_files_of_recbole_are_named_with_their_place(tmp_path, monkeypatch, config, hyper, said):
    monkeypatch.chdir(tmp_path)
    paths = write_files(tmp_path, {"c.yaml": config, "h.test": hyper})
    with pytest.raises(InputError) as refused:
        from_recbole(*paths, "ours")
    assert str(refused.value).replace(f"{tmp_path}/", "").startswith(said)
    assert not (tmp_path / "PWNED").exists()


def test_there_are_enough_of_them():
    assert len(FILES) >= 60
    assert len(HYPER) >= 20
