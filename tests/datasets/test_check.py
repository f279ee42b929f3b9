from __future__ import annotations

import pytest

from helpers.workspace import HEADER, ROWS, make_workspace
from recsweep.common.errors import InputError
from recsweep.common.files import file_hash
from recsweep.datasets.check import check_dataset
from recsweep.datasets.files import find_files
from recsweep.datasets.header import read_header


def check_data(sweep):
    """Kept interactions by data set; whether their split can work is asked elsewhere."""
    documents = sweep.dataset_documents
    return {
        name: check_dataset(
            dataset, documents[name], find_files(dataset, documents[name])
        ).counts.interactions
        for name, dataset in sweep.datasets.items()
    }


def refused(workspace, message):
    with pytest.raises(InputError) as caught:
        check_data(workspace.load())
    assert str(caught.value) == message.replace("{root}", str(workspace.root))


def test_sound_data_is_counted(tmp_path):
    assert check_data(make_workspace(tmp_path).load()) == {"toy": len(ROWS)}


def test_ml_100k_from_the_wheel_is_found(tmp_path):
    sweep = make_workspace(tmp_path, dataset="path: builtin\n").load()
    files = find_files(sweep.datasets["toy"], sweep.dataset_documents["toy"])
    assert files.builtin
    assert files.given_folder is None
    assert "ml-100k.inter" in files.hashes


def test_every_atomic_file_of_the_data_set_is_hashed(tmp_path):
    workspace = make_workspace(tmp_path)
    users = workspace.inter.with_name("toy.user")
    users.write_text("user_id:token\tage:float\n1\t30\n")
    workspace.inter.with_name("notes.txt").write_text("not part of it")
    sweep = workspace.load()
    files = find_files(sweep.datasets["toy"], sweep.dataset_documents["toy"])
    assert files.hashes == {"toy.inter": file_hash(workspace.inter), "toy.user": file_hash(users)}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "nope",
            "1:7: there is no folder {root}/datasets/nope; give the folder of the atomic files, or `builtin`",
        ),
        ("empty", "1:7: there is no file {root}/datasets/empty/empty.inter; create it"),
        (
            "renamed",
            "1:7: there is no file {root}/datasets/renamed/renamed.inter; "
            "rename old.inter (RecBole wants folder and files of one name)",
        ),
    ],
)
def test_a_missing_folder_or_file_is_named(tmp_path, path, message):
    workspace = make_workspace(tmp_path.resolve(), dataset=f"path: {path}\n")
    (tmp_path / "datasets" / "empty").mkdir()
    (tmp_path / "datasets" / "renamed").mkdir()
    (tmp_path / "datasets" / "renamed" / "old.inter").touch()
    refused(workspace, f"{{root}}/datasets/toy.yaml:{message}")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "1:1: the file is empty; write a header such as user_id:token"),
        (
            "user_id\titem_id:token",
            "1:1: the field `user_id` has no type; write `user_id:token` or `:float`, "
            "fields separated by tabs",
        ),
        (
            "user_id:token\titem_id",
            "1:15: the field `item_id` has no type; write `item_id:token` or `:float`, "
            "fields separated by tabs",
        ),
        ("user_id:token\titem_id:tokn", "1:15: unknown type `tokn` of `item_id`; did you mean `token`?"),
        ("user_id:token\tuser_id:token", "1:15: the column `user_id` stands twice; rename one"),
        (
            "user_id:token\titem_id:token\ttime:float",
            "1:1: there is no column `timestamp`; did you mean `time`? "
            "(set `time_field` in {root}/datasets/toy.yaml)",
        ),
        (
            "user_id:token\titem_id:token\ttimestamp:token",
            "1:1: `timestamp` must be a float, but is a token; write `timestamp:float`",
        ),
    ],
)
def test_a_wrong_header_is_named_with_its_place(tmp_path, header, message):
    workspace = make_workspace(tmp_path.resolve())
    workspace.write_rows("1\t2\t3", header=header)
    refused(workspace, f"{{root}}/datasets/toy/toy.inter:{message}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1\t2", "3:1: the row has 2 fields, the header 3; separate the fields by tabs"),
        ("1\t2\t3\t4", "3:1: the row has 4 fields, the header 3; separate the fields by tabs"),
        ("1 2 3", "3:1: the row has 1 fields, the header 3; separate the fields by tabs"),
        ("11\t22\tnoon", "3:7: `timestamp` must be a number, but got 'noon'; correct it, or drop the row"),
        ("1\t2\tnan", "3:5: `timestamp` must be a number, but got 'nan'; correct it, or drop the row"),
        ("1\t2\tinf", "3:5: `timestamp` must be a number, but got 'inf'; correct it, or drop the row"),
        ("\t2\t3", "3:1: `user_id` is empty; fill it in, or drop the row"),
        ("1\t\t3", "3:3: `item_id` is empty; fill it in, or drop the row"),
    ],
)
def test_a_wrong_row_is_named_with_its_place(tmp_path, row, message):
    workspace = make_workspace(tmp_path.resolve(), rows=["1\t1\t1", row, "1\t3\t3"])
    refused(workspace, f"{{root}}/datasets/toy/toy.inter:{message}")


def test_bytes_that_are_no_text_are_found_far_below_the_header(tmp_path):
    workspace = make_workspace(tmp_path.resolve(), rows=[f"{n}\t2\t3" for n in range(10_000)])
    with workspace.inter.open("ab") as file:
        file.write(b"7\t\xff\t3\n")
    refused(
        workspace,
        "{root}/datasets/toy/toy.inter:10002:3: is not UTF-8 text (invalid start byte); convert it to UTF-8",
    )


def test_bytes_that_are_no_text_are_found_in_the_header(tmp_path):
    workspace = make_workspace(tmp_path.resolve())
    workspace.inter.write_bytes(b"user_id:token\t\xff:token\n")
    refused(
        workspace,
        "{root}/datasets/toy/toy.inter:1:15: is not UTF-8 text (invalid start byte); convert it to UTF-8",
    )


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("path: toy\n", "1:7: no interaction is left after filtering; use a file with rows"),
        (
            "path: toy\nkeep: {timestamp: '[4,inf)'}\n",
            "2:7: no interaction is left after filtering; relax `keep`",
        ),
        (
            "path: toy\nmin_user_interactions: 9\nmin_item_interactions: 2\n",
            "2:24: no interaction is left after filtering; "
            "relax `min_user_interactions` or `min_item_interactions`",
        ),
    ],
)
def test_data_of_which_nothing_is_left_is_refused(tmp_path, dataset, message):
    rows = [] if dataset == "path: toy\n" else ["1\t1\t1", "1\t2\t2", "2\t1\t3"]
    workspace = make_workspace(tmp_path.resolve(), dataset=dataset, rows=rows)
    refused(workspace, f"{{root}}/datasets/toy.yaml:{message}")


@pytest.mark.parametrize(
    ("interval", "kept"), [("[2,3]", 2), ("(2,3]", 1), ("[2,3)", 1), ("(2,3)", 0), ("[2,inf)", 3)]
)
def test_an_interval_keeps_its_ends_or_not_as_its_brackets_say(tmp_path, interval, kept):
    dataset = f"path: toy\nkeep: {{timestamp: '{interval}'}}\n"
    workspace = make_workspace(
        tmp_path.resolve(), dataset=dataset, rows=[f"1\t{t}\t{t}" for t in range(1, 5)]
    )
    if kept:
        assert check_data(workspace.load()) == {"toy": kept}
    else:
        refused(
            workspace, "{root}/datasets/toy.yaml:2:7: no interaction is left after filtering; relax `keep`"
        )


def test_users_and_items_with_few_interactions_are_dropped_again_and_again(tmp_path):
    # Item 9 has one interaction; without it user 3 has one; without that item 2 keeps two.
    rows = ["1\t1\t1", "1\t2\t2", "2\t1\t3", "2\t2\t4", "3\t2\t5", "3\t9\t6"]
    dataset = "path: toy\nmin_user_interactions: 2\nmin_item_interactions: 2\n"
    assert check_data(make_workspace(tmp_path, dataset=dataset, rows=rows).load()) == {"toy": 4}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("{inter: [item_id, timestamp]}", "2:18: `columns.inter` must name `user_id`; add `user_id` to it"),
        ("{inter: [user_id, item_id]}", "2:18: `columns.inter` must name `timestamp`; add `timestamp` to it"),
        ("{item: [item_id]}", "2:10: `columns.inter` must name `user_id`; add `user_id` to it"),
        (
            "{inter: [user_id, item_id, timestamp], user: [user_id, age]}",
            "2:55: there is no file {root}/datasets/toy/toy.user; create it, or drop `user`",
        ),
        (
            "{inter: [user_id, item_id, timestamp, rating]}",
            None,
        ),
    ],
)
def test_columns_must_hold_what_a_split_is_made_by(tmp_path, columns, message):
    workspace = make_workspace(tmp_path.resolve(), dataset=f"path: toy\ncolumns: {columns}\n")
    told = f"{{root}}/datasets/toy.yaml:{message}"
    missing = (
        "{root}/datasets/toy/toy.inter:1:1: there is no column `rating`; "
        "use one of item_id, timestamp, user_id (see {root}/datasets/toy.yaml)"
    )
    refused(workspace, told if message else missing)


def test_windows_line_ends_blank_lines_and_no_last_newline_are_read(tmp_path):
    workspace = make_workspace(tmp_path)
    workspace.inter.write_bytes(f"{HEADER}\r\n1\t2\t3\r\n\r\n1\t3\t4".encode())
    assert check_data(workspace.load()) == {"toy": 2}


def test_a_missing_time_is_refused_since_recbole_would_fill_in_the_mean(tmp_path):
    workspace = make_workspace(tmp_path.resolve(), rows=["1\t2\t4", "1\t3\t"])
    refused(workspace, "{root}/datasets/toy/toy.inter:3:5: `timestamp` is empty; fill it in, or drop the row")


@pytest.mark.parametrize("name", ["user_id", "item_id"])
def test_users_and_items_must_be_tokens(tmp_path, name):
    header = "user_id:token\titem_id:token\ttimestamp:float".replace(f"{name}:token", f"{name}:float")
    workspace = make_workspace(tmp_path.resolve())
    workspace.write_rows("1\t2\t3", header=header)
    refused(
        workspace,
        f"{{root}}/datasets/toy/toy.inter:1:1: `{name}` must be a token, but is a float; "
        f"write `{name}:token`",
    )


def test_a_header_gives_every_column_its_type_in_order(tmp_path):
    path = tmp_path / "a.inter"
    path.write_text("b:token\ta:float\tc:token_seq\td:float_seq\n")
    assert list(read_header(path).items()) == [
        ("b", "token"),
        ("a", "float"),
        ("c", "token_seq"),
        ("d", "float_seq"),
    ]


def with_items(workspace, *lines, suffix="item", header="item_id:token\tclass:token_seq"):
    path = workspace.inter.with_suffix(f".{suffix}")
    path.write_text("".join(f"{line}\n" for line in (header, *lines)))
    return workspace


ITEMS = "path: toy\ncolumns: {inter: [user_id, item_id, timestamp], item: [item_id, class]}\n"


def remarks(workspace):
    sweep = workspace.load()
    document = sweep.dataset_documents["toy"]
    return check_dataset(sweep.datasets["toy"], document, find_files(sweep.datasets["toy"], document)).remarks


def test_files_that_are_already_split_are_not_to_be_renamed(tmp_path):
    workspace = make_workspace(tmp_path.resolve(), dataset="path: pre\n")
    folder = tmp_path / "datasets" / "pre"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"pre.{part}.inter").touch()
    refused(
        workspace,
        "{root}/datasets/toy.yaml:1:7: {root}/datasets/pre holds files that are already split "
        "(pre.train.inter, pre.valid.inter, pre.test.inter), and no pre.inter; "
        "set `split: {type: files, files: [train, valid, test]}`: training, validation, test",
    )


def test_an_item_that_is_listed_twice_is_refused_with_both_lines(tmp_path):
    workspace = make_workspace(tmp_path.resolve(), dataset=ITEMS)
    with_items(workspace, "1\ta", "", "2\tb", "3\tc", "2\td")
    refused(
        workspace,
        "{root}/datasets/toy/toy.item:6:1: `item_id` '2' stands in line 4 already; "
        "keep one row of each, with the right values",
    )


@pytest.mark.parametrize(
    ("lines", "way", "message"),
    [
        (
            ["1\ta", "2\tb", "99\tc"],
            "",
            "2:55: toy.item lists 2 of the 15 items with interactions, not '3': 22 of 24 interactions have "
            "no features; complete it, or set `without_features: drop` or `keep`",
        ),
        (
            ["i1\ta"],
            "",
            "2:55: toy.item lists none of the 15 items with interactions, not '1': 24 of 24 interactions "
            "have no features; write the same ids in both files",
        ),
        (
            ["i1\ta"],
            "without_features: drop\n",
            "1:7: no interaction is left after filtering; use a file with rows",
        ),
    ],
)
def test_items_that_their_file_lacks_are_refused_with_the_numbers(tmp_path, lines, way, message):
    workspace = with_items(make_workspace(tmp_path.resolve(), dataset=ITEMS + way), *lines)
    refused(workspace, f"{{root}}/datasets/toy.yaml:{message}")


@pytest.mark.parametrize(
    ("way", "kept", "done"), [("drop", 2, "are dropped"), ("keep", 24, "are kept with empty")]
)
def test_what_becomes_of_unlisted_items_is_said(tmp_path, way, kept, done):
    dataset = f"{ITEMS}without_features: {way}\n"
    workspace = with_items(make_workspace(tmp_path, dataset=dataset), "1\ta", "2\tb")
    assert check_data(workspace.load()) == {"toy": kept}
    (remark,) = remarks(workspace)
    assert remark.startswith("toy: toy.item lists 2 of the 15 items with interactions, not '3': 22 of 24")
    assert done in remark


def test_items_that_the_filters_drop_anyway_need_no_features(tmp_path):
    dataset = f"{ITEMS}min_item_interactions: 2\n"
    rows = [f"{user}\t{item}\t1" for user in range(3) for item in range(3)] + ["1\t9\t5"]
    workspace = with_items(make_workspace(tmp_path, dataset=dataset, rows=rows), "0\ta", "1\tb", "2\tc")
    assert check_data(workspace.load()) == {"toy": 9}


def test_a_file_of_features_without_rows_is_refused(tmp_path):
    workspace = with_items(make_workspace(tmp_path.resolve(), dataset=ITEMS))
    refused(
        workspace,
        "{root}/datasets/toy/toy.item:2:1: the file has no rows; add them, or drop `item` from `columns`",
    )


def test_columns_of_items_must_name_the_item(tmp_path):
    dataset = ITEMS.replace("[item_id, class]}", "[class]}")
    workspace = with_items(make_workspace(tmp_path.resolve(), dataset=dataset), "1\ta")
    refused(
        workspace, "{root}/datasets/toy.yaml:2:55: `columns.item` must name `item_id`; add `item_id` to it"
    )


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (
            "i1 ",
            "1 id of `item_id` in toy.inter with spaces at an end or invisible characters, such as 'i1 '",
        ),
        (
            "i\u200b1",
            "such as 'i\\u200b1' in line 3; they are other ids than those without, of which 1 is there too",
        ),
        ("\u00a0i2", "such as '\\xa0i2' in line 3; they are other ids than those without"),
    ],
)
def test_ids_that_look_like_others_are_said(tmp_path, odd, said):
    (remark,) = remarks(make_workspace(tmp_path, rows=["u\ti1\t1", f"u\t{odd}\t2", f"u\t{odd}\t3"]))
    assert said in remark


@pytest.mark.parametrize(
    ("cells", "separator", "said"),
    [
        (["Action|Comedy", "Drama"], "", "hold '|', such as 'Action|Comedy' in line 2"),
        (["a, b", "c"], "", "1 of its 2 different cells hold ','"),
        (["Snow White, the film", "b", "c"], "", None),
        (["Action|Comedy", "Drama"], "sequence_separator: '|'\n", None),
    ],
)
def test_lists_that_seem_to_be_parted_by_another_character_are_said(tmp_path, cells, separator, said):
    rows = [f"u\t{n}\t{n}" for n in range(len(cells))]
    workspace = make_workspace(tmp_path, dataset=ITEMS + separator, rows=rows)
    found = remarks(with_items(workspace, *(f"{n}\t{cell}" for n, cell in enumerate(cells))))
    assert [said in remark for remark in found] == ([True] if said else [])


def test_an_item_without_an_entity_in_the_graph_is_refused(tmp_path):
    columns = (
        "columns: {inter: [user_id, item_id, timestamp], kg: [head_id, relation_id, tail_id], "
        "link: [item_id, entity_id]}\n"
    )
    workspace = make_workspace(tmp_path.resolve(), dataset=f"path: toy\n{columns}")
    header = "head_id:token\trelation_id:token\ttail_id:token"
    with_items(workspace, "e1\tr\te2", "e3\tr\te4", suffix="kg", header=header)
    links = [f"{n}\te{n}" for n in range(1, 7)]
    with_items(workspace, *links, suffix="link", header="item_id:token\tentity_id:token")
    refused(
        workspace,
        "{root}/datasets/toy.yaml:2:92: toy.link lists 4 of the 15 items with interactions, not '5' with an "
        "entity of the .kg file: 19 of 24 interactions have no features; complete it, or set "
        "`without_features: drop`",
    )
    with_items(workspace, *links, "9\te2", suffix="link", header="item_id:token\tentity_id:token")
    refused(
        workspace,
        "{root}/datasets/toy/toy.link:8:3: `entity_id` 'e2' stands in line 3 already; "
        "keep one row of each, with the right values",
    )


def test_numbers_that_are_missing_are_said(tmp_path):
    dataset = (
        "path: toy\ncolumns: {inter: [user_id, item_id, timestamp, stars], item: [item_id, price]}\n"
        "keep: {stars: '[3,inf)'}\n"
    )
    workspace = make_workspace(tmp_path, dataset=dataset)
    workspace.write_rows("u\ta\t1\t4", "u\tb\t2\t", "u\tc\t3\t5", header=f"{HEADER}\tstars:float")
    with_items(workspace, "a\t", "b\t7", "c\t", header="item_id:token\tprice:float")
    assert remarks(workspace) == (
        "toy: `stars` in toy.inter is empty in 1 of 3 rows, the first is line 3; `keep` drops these rows",
        "toy: `price` in toy.item is empty in 2 of 3 rows, the first is line 2; "
        "RecBole fills in the mean of the others",
    )
    assert check_data(workspace.load()) == {"toy": 2}


def test_a_column_without_any_number_is_refused(tmp_path):
    dataset = ITEMS.replace("class", "price")
    workspace = make_workspace(tmp_path.resolve(), dataset=dataset, rows=["u\ta\t1", "u\tb\t2"])
    with_items(workspace, "a\t", "b\t", header="item_id:token\tprice:float")
    refused(
        workspace,
        "{root}/datasets/toy/toy.item:2:1: `price` is empty in all rows, so that there is no mean to fill "
        "in; fill it in, or drop it from `columns`",
    )


def test_an_id_that_is_there_with_and_without_quotes_is_said(tmp_path):
    rows = ['"u1"\ta\t1', "u1\ta\t2", '"\tb\t3', 'u2"\tc\t4']
    assert remarks(make_workspace(tmp_path, rows=rows)) == (
        "toy: `user_id` in toy.inter holds '\"u1\"' in line 2, and the same without quotes; "
        "a quote is part of an id, so these are two (1 in all)",
    )
