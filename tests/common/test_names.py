from __future__ import annotations

import pytest

from helpers.workspace import SWEEP, make_workspace
from recsweep.common.errors import InputError
from recsweep.common.names import RULE, checked_name, is_name

NO_NAMES = [
    *("", ".", "..", ".hidden", "-rf", "a b", "a/b", "../x", "a\n", "\na", "a\x00", "a|b", "a<b", "a;b", "ä"),
    *("$(x)", "a" * 101, "a\u200b", "x\x1b[2J", "Ⅷ", "१", "a\\b", "a:b", "a*"),
]


@pytest.mark.parametrize("name", ["a", "9", "_", "ml-100k", "shop.v2", "A" * 100, "GRU4Rec", "a..b"])
def test_names_are_letters_digits_and_three_marks(name):
    assert is_name(name)
    assert checked_name(name) == name


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused_with_the_rule(name):
    with pytest.raises(ValueError, match="but got") as caught:
        checked_name(name)
    assert str(caught.value).startswith(RULE)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("key", ["sweep", "models", "datasets"])
def test_the_rule_holds_for_every_name_in_a_sweep(tmp_path, key, name):
    given = {"sweep": "s", "models": ["NARM"], "datasets": ["toy"]}
    given[key] = [name] if key != "sweep" else name
    text = "".join(f"{name}: {value!a}\n" for name, value in given.items())  # Python's text is YAML's here
    workspace = make_workspace(tmp_path, sweep=text.replace("'", '"'))
    with pytest.raises(InputError, match=r"a name has letters|holds the control character") as caught:
        workspace.load()
    line = list(given).index(key) + 1
    assert str(caught.value).startswith(f"{tmp_path}/sweep.yaml:{line}:")


def test_the_rule_holds_for_the_name_in_a_data_set_file(tmp_path):
    workspace = make_workspace(tmp_path, dataset='name: "toy\\n"\npath: toy\n')
    with pytest.raises(InputError, match=r"toy\.yaml:1:7: `name`: a name has letters"):
        workspace.load()


def test_the_rule_holds_for_the_models_of_a_file_of_variants(tmp_path):
    workspace = make_workspace(tmp_path, model="model_variants: [../NARM, STAMP]\n")
    with pytest.raises(InputError, match=r"NARM\.yaml:1:18: `model_variants\.0`: a name has letters"):
        workspace.load()


def test_a_name_given_by_an_option_is_told_by_its_option(tmp_path):
    with pytest.raises(InputError, match="models") as caught:
        make_workspace(tmp_path, sweep=SWEEP).load(models="../../x")
    assert "a name has letters" in str(caught.value)
