"""What of a study was not sent yet: pure, from its trials and a cursor."""

from __future__ import annotations

import dataclasses
import json

import pytest

from helpers.found import trial
from helpers.tracker_contract import STUDY
from recsweep.study import Energy, Failure, Reason, Result, State
from recsweep.study.details import Inherited
from recsweep.tracking.cursor import Cursor
from recsweep.tracking.events import Ended, from_json, mark_of, to_json
from recsweep.tracking.events import Tested as WonAndTested
from recsweep.tracking.unsent import trials_of, unsent


def events(trials, cursor=Cursor(), places=None):  # noqa: B008
    ended = [one for one in trials if one.state.closed]
    running = [one for one in trials if not one.state.closed]
    return list(unsent(STUDY, trials_of(ended, running), cursor, places or {}, 1.0))


def marks(found):
    return [mark_of(event) for event in found]


def put_back(slot, attempt, curve):
    failure = Failure(Reason.INTERRUPTED, "told to stop")
    return dataclasses.replace(
        trial(slot, None, "failed", curve=curve, failure=failure), attempt=attempt, id=100 + attempt
    )


def again(slot, attempt, curve, **changes):
    return dataclasses.replace(trial(slot, 0.5, curve=curve, **changes), attempt=attempt, id=100 + attempt)


def test_an_ended_trial_is_begun_its_epochs_and_its_end():
    found = events([trial(3, 0.2)], places={3: "outputs/checkpoints/trial-3"})
    assert marks(found) == ["begun-3.0", "epoch-3.1", "epoch-3.2", "ended-3.0"]
    *_, end = found
    assert (end.state, end.score, end.checkpoint) == ("complete", 0.2, "outputs/checkpoints/trial-3")
    times = [event.time for event in found]
    assert times == sorted(times)


def test_an_end_tells_the_energy_that_was_measured():
    measured = Result({"ndcg@10": 0.2}, energy=Energy(0.5, 200.0, "rapl", False, 0.1))
    *_, end = events([trial(3, 0.2, result=measured)])
    assert end.metrics == {"ndcg@10": 0.2, "energy_kwh": 0.5, "energy_co2_g": 200.0, "energy_cost": 0.1}


def test_a_cursor_leaves_what_was_sent_wherever_it_was_broken_off():
    trials = [trial(0, 0.1), trial(1, 0.2), trial(2, None, "failed")]
    whole = events(trials)
    for sent in range(len(whole) + 1):
        cursor = Cursor.from_plain(json.loads(json.dumps(Cursor().after(whole[:sent]).to_plain())))
        assert events(trials, cursor) == whole[sent:], f"after {sent} events"


def test_another_attempt_goes_on_in_its_slot_and_repeats_no_epoch():
    first = put_back(4, 0, {1: 0.1, 2: 0.2})
    sent = events([first])
    assert marks(sent) == ["begun-4.0", "epoch-4.1", "epoch-4.2", "ended-4.0"]
    assert (sent[-1].state, sent[-1].counted) == ("put back", False)
    second = again(4, 1, {1: 0.1, 2: 0.2, 3: 0.3})
    new = events([first, second], Cursor().after(sent))
    assert marks(new) == ["begun-4.1", "epoch-4.3", "ended-4.1"]
    assert marks(events([first, second])) == marks([*sent, *new]), "all at once is the same"


def test_a_trial_that_fills_no_slot_of_its_own_is_not_told():
    twin = Failure(Reason.DUPLICATE, "another trial fills the slot")
    claimed = dataclasses.replace(trial(1), state=State.RUNNING, params={})
    assert events([trial(0, None, "failed", failure=twin), claimed]) == []


def test_an_inherited_trial_says_where_it_was_trained():
    begun, *_ = events([trial(0, 0.1, inherited=Inherited("coarse", 7))])
    assert begun.inherited == "coarse"


def test_of_a_whole_trial_alone_what_runs_is_sent_anew():
    running = dataclasses.replace(trial(5, 0.1), state=State.RUNNING)
    cursor = Cursor().after(events([running]))
    assert events([running], cursor) == []
    assert marks(events([running], cursor.whole())) == ["begun-5.0", "epoch-5.1", "epoch-5.2"]


@pytest.mark.parametrize("event", events([trial(1, 0.3), trial(2, None, "failed")]), ids=mark_of)
def test_an_event_survives_its_way_as_json(event):
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


def test_a_cursor_is_small_however_many_slots_there_are():
    found = Cursor(dict.fromkeys(range(5000), 0) | {7: 2})
    plain = found.to_plain()
    assert len(json.dumps(plain)) < 150
    assert Cursor.from_plain(plain) == found
    assert found.after([WonAndTested(events([trial(1, 0.3)])[0].run, {}, 0.0)]).tested == 1
    assert isinstance(events([trial(1, 0.3)])[-1], Ended)
