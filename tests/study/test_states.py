"""The words for trials: those that every store holds, and what follows from them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from optuna.trial import TrialState

from recsweep.common.files import dump_yaml
from recsweep.study import Reason, State
from recsweep.study.trial import STATES


def test_the_words_are_those_of_stores_made_before():
    assert list(State) == ["waiting", "running", "complete", "pruned", "failed"]
    assert {*Reason} == {
        *("interrupted", "duplicate", "diverged", "out_of_memory", "error", "timeout", "crash", "pruned"),
    }


def test_each_state_of_optuna_has_one_of_ours_closed_alike():
    assert {state: STATES[state].closed for state in TrialState} == {
        state: state.is_finished() for state in TrialState
    }


@pytest.mark.parametrize("word", [State.FAILED, Reason.OUT_OF_MEMORY])
def test_a_word_is_written_as_it_is(word):
    row = io.StringIO()
    csv.writer(row).writerow([word])
    assert (json.dumps(word), dump_yaml([word]), row.getvalue(), f"{word}") == (
        f'"{word.value}"',
        f"- {word.value}\n",
        f"{word.value}\r\n",
        word.value,
    )


def test_only_interrupted_and_doubled_trials_leave_their_slots_open():
    assert {reason for reason in Reason if not reason.is_result} == {Reason.INTERRUPTED, Reason.DUPLICATE}
