"""The schemas for editors: every shipped file is accepted, slips are not."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from recsweep.sweeps.schema import KINDS, as_text, schema

CONFIG = Path(__file__).parents[2] / "config"
SHIPPED = {
    path: kind
    for kind, folder in (("sweep", ""), ("dataset", "datasets"), ("model", "models"))
    for path in sorted((CONFIG / folder).glob("*.yaml"))
}


@cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    """Of a kind of file; that its schema is one, has a test of its own."""
    return jsonschema.Draft202012Validator(schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_and_is_shipped(kind):
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    assert (CONFIG / "schema" / f"{kind}.json").read_text(encoding="utf-8") == as_text(kind)
    assert json.loads(as_text(kind))["title"]


@pytest.mark.parametrize("path", SHIPPED, ids=[str(path.relative_to(CONFIG)) for path in SHIPPED])
def test_every_shipped_file_is_accepted_and_names_its_schema(path):
    text = path.read_text(encoding="utf-8")
    validator(SHIPPED[path]).validate(yaml.safe_load(text))
    first, *_ = text.splitlines()
    mark, _, named = first.partition("$schema=")
    assert mark == "# yaml-language-server: "
    assert (path.parent / named).resolve() == CONFIG / "schema" / f"{SHIPPED[path]}.json"


SWEEP = {"sweep": "s", "models": ["NARM"], "datasets": ["toy"]}
MODEL = {"space": {"n_layers": {"type": "choice", "values": [1, 2]}}}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("sweep", {**SWEEP, "search": {"algo": "tpe", "phases": ["coarse"], "timeout_minutes": 1.5}}),
        ("sweep", {**SWEEP, "storage": "sqlite:///x.db", "workers": {"trials_per_gpu": "auto"}}),
        ("sweep", {**SWEEP, "workers": {"threads": "spare"}}),
        ("sweep", {**SWEEP, "workers": {"threads": None}}),
        ("dataset", {"keep": {"rating": "[4,inf)"}, "split": {"type": "ratio", "ratio": [0.8, 0.1, 0.1]}}),
        ("model", {**MODEL, "defaults": {"n_layers": 1}, "fixed": {"loss_type": "CE"}}),
        ("model", {"model_variants": ["NARM", "STAMP"]}),
        ("model", {"space": {}}),
    ],
)
def test_what_is_right_is_accepted(kind, data):
    validator(kind).validate(data)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("sweep", {"models": ["NARM"], "datasets": ["toy"]}),
        ("sweep", {**SWEEP, "serch": {}}),
        ("sweep", {**SWEEP, "models": []}),
        ("sweep", {**SWEEP, "search": {"max_evals": 0}}),
        ("sweep", {**SWEEP, "search": {"max_evals": "many"}}),
        ("sweep", {**SWEEP, "search": {"engine": "optunna"}}),
        ("sweep", {**SWEEP, "workers": {"trials_per_gpu": "some"}}),
        ("sweep", {**SWEEP, "workers": {"threads": "spair"}}),
        ("sweep", {**SWEEP, "workers": {"threads": 4097}}),
        ("sweep", {**SWEEP, "search": {"phase_shares": {"coarze": 1}}}),
        ("dataset", {"split": {"type": "halves"}}),
        ("dataset", {"min_user_interaction": 5}),
        ("model", {}),
        ("model", {"space": {"n_layers": {"type": "choise", "values": [1]}}}),
        ("model", {"space": {"n_layers": {"type": "uniform", "min": 0}}}),
        ("model", {"model_variants": ["NARM"]}),
    ],
)
def test_what_is_wrong_is_not(kind, data):
    with pytest.raises(jsonschema.ValidationError):
        validator(kind).validate(data)
