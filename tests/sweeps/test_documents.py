from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from recsweep.common.errors import InputError
from recsweep.sweeps.documents import load_document, nearest, validate


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Inner()
    names: tuple[str, ...] = ()


@pytest.fixture
def load(tmp_path):
    def read(text: str | bytes):
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_document(path)

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2e+3", -2000.0),
        ("1.e-3", 1e-3),
        ("1.0e-4", 1e-4),
        ("'1e-4'", "1e-4"),
        ("e4", "e4"),
        ("1e", "1e"),
        ("12", 12),
        ("null", None),
        ("[1e-3, x]", [1e-3, "x"]),
    ],
)
def test_a_number_in_scientific_notation_is_read_as_the_float_it_is(load, text, value):
    read = load(f"lr: {text}\n").data["lr"]
    assert read == value
    assert type(read) is type(value)


def test_an_empty_file_holds_no_keys(load):
    assert load("# only a comment\n").data == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: not valid YAML: the key 'a' stands twice; correct the line"),
        ("a:\n  b: 1\n  b: 1\n", "3:3: not valid YAML: the key 'b' stands twice; correct the line"),
        ("a: [1\n", "2:1: not valid YAML: expected ',' or ']', but got '<stream end>'; correct the line"),
        (
            "a: \tb: 1\n",
            "1:4: not valid YAML: found character '\\t' that cannot start any token; correct the line",
        ),
        ("- 1\n", "1:1: must hold keys and values, but holds a list; write `key: value`"),
        ("a: 1\n---\nb: 2\n", "2:1: not valid YAML: but found another document; correct the line"),
        ("day: 2024-13-01\n", "1:6: not valid YAML: month must be in 1..12; correct the line"),
        (
            "a: \x01\n",
            "1:4: not valid YAML: the character '\\x01' may not stand in it; take it out",
        ),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_in_one_line(load, tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        load(text)
    assert str(caught.value) == f"{tmp_path / 'a.yaml'}:{message}"


def test_yaml_runs_no_code(load):
    with pytest.raises(InputError, match="could not determine a constructor"):
        load("a: !!python/object/apply:os.getcwd []\n")


def test_a_file_that_is_not_utf8_is_refused(load):
    with pytest.raises(
        InputError, match=r"a\.yaml:1:7: cannot be read: the byte 0xff is not UTF-8; save it as UTF-8"
    ):
        load(b"name: \xff\n")


def test_a_missing_file_is_answered_with_those_that_are_there(tmp_path):
    (tmp_path / "smoke.yaml").touch()
    with pytest.raises(InputError) as caught:
        load_document(tmp_path / "smok.yaml")
    path = tmp_path / "smok.yaml"
    assert str(caught.value) == f"{path}:1:1: there is no such file; use one of smoke.yaml, or create it"


def test_a_missing_folder_is_no_crash(tmp_path):
    with pytest.raises(InputError, match="there is no such file; create it, or give another path"):
        load_document(tmp_path / "nowhere" / "a.yaml")


def test_an_error_points_at_the_value_the_key_or_the_nearest_parent(load):
    document = load("a:\n  b: 1\n  names: [x, yy]\n")

    def line_and_column(*location, **how):
        error = document.error(location, "p", "f", **how)
        return error.line, error.column

    assert line_and_column("a", "b") == (2, 6)
    assert line_and_column("a", "b", at_key=True) == (2, 3)
    assert line_and_column("a", "names", 1) == (3, 14)
    assert line_and_column("a", "not there") == (2, 3)
    assert line_and_column("not there") == (1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner:\n  sise: 1\n", "2:3: unknown key `inner.sise`; did you mean `size`?"),
        ("other: 1\n", "1:1: unknown key `other`; use one of inner, names"),
        ("inners: {}\n", "1:1: unknown key `inners`; did you mean `inner`?"),
        ("names: a\n", "1:8: `names` must be a list, but got 'a'; write `[a]`"),
        ("inner: 3\n", "1:8: `inner` must hold keys and values, but got 3; write `key: value` below it"),
        (
            "inner:\n  size: big\n",
            "2:9: `inner.size` must be a whole number, but got 'big'; correct the value",
        ),
    ],
)
def test_a_wrong_key_or_value_has_its_place_and_a_fix(load, tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        validate(load(text), Outer)
    assert str(caught.value) == f"{tmp_path / 'a.yaml'}:{message}"


def test_a_long_value_does_not_drown_the_message(load):
    with pytest.raises(InputError) as caught:
        validate(load(f"inner: {'x' * 5000}\n"), Outer)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words", "fix"),
    [
        ("gru4rec", ["GRU4Rec", "NARM"], "did you mean `GRU4Rec`?"),
        ("num_layers", ["n_layers", "hidden_size"], "did you mean `n_layers`?"),
        ("xyz", ["b", "a"], "use one of a, b"),
        ("x", [], "remove it"),
        (
            "?",
            [f"name{i:02d}" for i in range(40)],
            "use one of the 40 known names (name00, name01, name02, name03, name04, …)",
        ),
    ],
)
def test_the_fix_names_the_nearest_known_word(name, words, fix):
    assert nearest(name, words) == fix
