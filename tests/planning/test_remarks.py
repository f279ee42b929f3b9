"""What may not be meant in a sweep: heads that do not fit a width, threads that the environment says too."""

from __future__ import annotations

import pytest

from helpers.workspace import SWEEP, make_workspace
from recsweep.planning.checks import check_sweep
from recsweep.planning.remarks import remarks


def sweep_of(root, model, fixed, space, defaults, more=""):
    file = f"model: {model}\nfixed: {{{fixed}}}\ndefaults: {{{defaults}}}\nspace:\n{space}"
    sweep = make_workspace(root, sweep=SWEEP + more, model=file).load()
    check_sweep(sweep)
    return sweep


@pytest.mark.parametrize(
    ("model", "width", "heads"),
    [
        ("SASRec", "hidden_size", "n_heads"),
        ("CORE", "embedding_size", "n_heads"),
        ("AutoInt", "attention_size", "num_heads"),
    ],
)
def test_combinations_of_heads_and_width_that_cannot_work_are_counted(tmp_path, model, width, heads):
    space = f"  {width}: {{type: choice, values: [32, 48]}}\n  {heads}: {{type: randint, min: 1, max: 5}}\n"
    sweep = sweep_of(tmp_path, model, "", space, f"{width}: 32, {heads}: 2")
    (said,) = remarks(sweep)
    assert said == (
        f"{model}: of 10 combinations of `{heads}` and `{width}` 3 cannot work, such as 3 and 32: "
        "a width must be a multiple of its heads; their trials will fail"
    )


def test_a_fixed_width_counts_and_what_fits_goes_without_a_word(tmp_path):
    heads = "  n_heads: {type: choice, values: [1, 2, 3]}\n"
    sweep = sweep_of(tmp_path, "SASRec", "hidden_size: 32", heads, "n_heads: 2")
    assert "of 3 combinations" in remarks(sweep)[0]
    fits = heads.replace("3]", "4]")
    assert remarks(sweep_of(tmp_path, "SASRec", "hidden_size: 32", fits, "n_heads: 2")) == []


@pytest.mark.parametrize(
    ("given", "said"), [("3", True), ("4,3", True), ("2", False), ("2,4", False), ("", False)]
)
def test_threads_that_beat_those_of_the_environment_are_said(tmp_path, monkeypatch, given, said):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    sweep = make_workspace(tmp_path, sweep=f"{SWEEP}workers: {{threads: 2}}\n").load()
    line = f"workers.threads=2 of the sweep holds, and not OMP_NUM_THREADS={given} of the environment"
    assert remarks(sweep) == ([line] if said else [])
    assert remarks(make_workspace(tmp_path, sweep=SWEEP).load()) == [], "the environment's hold"
