"""`.kg` and `.link` are read row by row, and every mistake is named with file, line and column."""

from __future__ import annotations

import pytest

from helpers.workspace import make_workspace
from recsweep.common.errors import InputError
from recsweep.datasets.check import check_dataset
from recsweep.datasets.files import find_files

DATASET = (
    "path: toy\ncolumns: {inter: [user_id, item_id, timestamp], kg: [head_id, relation_id, tail_id], "
    "link: [item_id, entity_id]}\nwithout_features: drop\n"
)
KG, LINK = "head_id:token\trelation_id:token\ttail_id:token", "item_id:token\tentity_id:token"
FACTS = [f"e{number}\tmade_by\tp{number % 3}" for number in range(1, 16)]
LINKS = [f"{number}\te{number}" for number in range(1, 16)]


def checked(root, facts=FACTS, links=LINKS, kg=KG, link=LINK):
    workspace = make_workspace(root.resolve(), dataset=DATASET)
    for suffix, header, rows in (("kg", kg, facts), ("link", link, links)):
        path = workspace.inter.with_suffix(f".{suffix}")
        path.write_bytes("".join(f"{line}\n" for line in (header, *rows)).encode("utf-8", "surrogateescape"))
    sweep = workspace.load()
    dataset, document = sweep.datasets["toy"], sweep.dataset_documents["toy"]
    return check_dataset(dataset, document, find_files(dataset, document))


def test_a_sound_graph_needs_no_remark(tmp_path):
    assert checked(tmp_path).remarks == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kg": "head_id:token\trelation_id:token"}, "toy.kg:1:1: there is no column `tail_id`"),
        ({"kg": KG.replace("tail_id:token", "tail_id")}, "toy.kg:1:33: the field `tail_id` has no type"),
        ({"kg": KG.replace("\t", ",")}, "toy.kg:1:14: commas stand between the columns"),
        ({"facts": ["e1\tr"]}, "toy.kg:2:1: the row has 2 fields, the header 3"),
        ({"facts": ["e1\tr\te2", "", "e1\t\te2"]}, "toy.kg:4:4: `relation_id` is empty"),
        ({"facts": ["e1\tr\t"]}, "toy.kg:2:6: `tail_id` is empty"),
        ({"facts": ["\tr\te1"]}, "toy.kg:2:1: `head_id` is empty"),
        ({"facts": ["e1\tr\te2", "e1\tr\te\udcff"]}, "toy.kg:3:7: is not UTF-8 text"),
        ({"facts": ["e1\tr\te\0"]}, "toy.kg:2:7: there is a NUL character"),
        ({"facts": []}, "toy.kg:2:1: the file has no rows"),
        ({"facts": ["e1\tr\te2", "e1\tr\t[PAD]"]}, "toy.kg:3:6: `tail_id` is '[PAD]'"),
        ({"facts": ["e1\t[UI-Relation]\te2"]}, "toy.kg:2:4: `relation_id` is '[UI-Relation]'"),
        ({"link": "item_id:token"}, "toy.link:1:1: there is no column `entity_id`"),
        ({"links": ["1"]}, "toy.link:2:1: the row has 1 fields, the header 2"),
        ({"links": ["1\t"]}, "toy.link:2:3: `entity_id` is empty"),
        ({"links": ["\te1"]}, "toy.link:2:1: `item_id` is empty"),
        ({"links": ["1\te1", "1\te2"]}, "toy.link:3:1: `item_id` '1' stands in line 2 already"),
        ({"links": ["1\te1", "2\te1"]}, "toy.link:3:3: `entity_id` 'e1' stands in line 2 already"),
        ({"links": ["1\te1", "22\t[PAD]"]}, "toy.link:3:4: `entity_id` is '[PAD]'"),
    ],
)
def test_a_mistake_in_a_graph_is_named_with_its_cell(tmp_path, changes, said):
    with pytest.raises(InputError) as caught:
        checked(tmp_path, **changes)
    assert str(caught.value).partition("datasets/toy/")[2].startswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"facts": [*FACTS, FACTS[1], FACTS[1]]}, "2 of 17 rows in toy.kg are of a fact that stands before"),
        ({"facts": [*FACTS, FACTS[1]]}, "such as line 17, which repeats line 3; RecBole counts each"),
        ({"facts": [*FACTS, "e1\tr\te1"]}, "an entity that is related to itself, such as 'e1' in line 17"),
        ({"links": [*LINKS, "99\te99"]}, "items without interactions, such as '99' in line 17"),
        ({"links": [*LINKS, "99\te99"]}, "entities that no row of toy.kg names, such as 'e99' in line 17"),
    ],
)
def test_what_may_not_be_meant_in_a_graph_is_said(tmp_path, changes, said):
    assert any(said in remark for remark in checked(tmp_path, **changes).remarks)
