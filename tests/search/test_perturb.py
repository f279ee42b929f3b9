"""Perturbed parameters: within the space, in its types, and only those that may change."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from recsweep.search.perturb import free, perturbed
from recsweep.sweeps.parameters import Choice, LogUniform, QUniform, RandInt, Uniform

SPACE = {
    "rate": LogUniform(type="loguniform", min=1e-4, max=1e-1),
    "dropout": Uniform(type="uniform", min=0.0, max=0.5),
    "layers": RandInt(type="randint", min=1, max=4),
    "width": QUniform(type="quniform", min=16, max=64, q=16),
    "decay": Choice(type="choice", values=(1e-3, 0.0, 1e-5)),
    "loss": Choice(type="choice", values=("BPR", "CE")),
    "margin": Uniform(type="uniform", min=0.0, max=1.0, when={"loss": "BPR"}),
}
PARAMS = {"rate": 1e-2, "dropout": 0.2, "layers": 2, "width": 32, "decay": 1e-5, "loss": "BPR", "margin": 0.5}


def values(name, value, resample=0.0):
    params = {**PARAMS, name: value}
    found = (perturbed(SPACE, params, [name], resample, Random(seed))[name] for seed in range(60))
    return Counter(found)


@pytest.mark.parametrize(
    ("name", "value", "may_be"),
    [
        ("rate", 1e-2, {1e-2 * 0.8, 1e-2 * 1.2}),
        ("rate", 1e-1, {1e-1 * 0.8, 1e-1}),
        ("dropout", 0.2, {0.2 * 0.8, 0.2 * 1.2}),
        ("layers", 2, {1, 3}),
        ("layers", 4, {3, 4}),
        ("width", 32, {16, 48}),
        ("decay", 1e-5, {0.0, 1e-3}),
        ("loss", "CE", {"CE"}),
    ],
)
def test_a_step_leads_to_a_value_beside_or_stays_at_the_edge(name, value, may_be):
    found = values(name, value)
    assert found.keys() == may_be
    assert all(type(one) is type(value) for one in found)


def test_a_parameter_that_is_drawn_anew_can_be_any():
    assert values("loss", "CE", 1.0).keys() == {"CE", "BPR"}
    assert len(values("rate", 1e-2, 1.0)) == 60
    assert all(SPACE["rate"].contains(one) for one in values("rate", 1e-2, 1.0))
    assert 1e-2 * 1.2 in values("rate", 1e-2, 0.5)


def test_only_what_is_named_and_exists_is_perturbed():
    params = {**PARAMS, "loss": "CE"}
    del params["margin"]
    found = perturbed(SPACE, params, ["rate", "margin"], 0.0, Random(1))
    assert found.pop("rate") != params.pop("rate")
    assert found == params


def test_the_same_chance_gives_the_same_parameters():
    one, other = (perturbed(SPACE, PARAMS, list(SPACE), 0.3, Random("7/5")) for _ in range(2))
    assert one == other != PARAMS


def test_what_others_depend_on_stays():
    assert free(SPACE, {"width"}) == ["rate", "dropout", "layers", "decay", "margin"]
