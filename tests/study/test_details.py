"""What stands with a trial, to and from what the store holds, in this version and in those before."""

from __future__ import annotations

import pytest

from recsweep.common.errors import StoreDamaged
from recsweep.common.owner import Owner
from recsweep.study import Failure, Holder, Inherited, Lineage, Reason, Result, Stretch
from recsweep.study.trial import State, from_attributes

STORED = {
    "result": {"metrics": {"ndcg@10": 0.5}, "best_epoch": 2, "epochs": 3, "seconds": 1.5, "path": "fast"},
    "failure": {"kind": "error", "message": "no such file", "traceback": "logs/t.txt"},
    "inherited": {"phase": "coarse", "slot": 3},
    "owner": {
        **{"place": "host-a/boot/pid", "pid": 17, "ticks": 99, "started": 5.0, "worker": 18},
        **{"beat": 4, "ran": 60.5, "claim": "abc"},
    },
}
READ = {
    "result": Result({"ndcg@10": 0.5}, 2, 3, 1.5, "fast"),
    "failure": Failure(Reason.ERROR, "no such file", "logs/t.txt"),
    "inherited": Inherited("coarse", 3),
    "owner": Holder(Owner("host-a/boot/pid", 17, 99, 5.0, 18), 4, 60.5, "abc"),
}


def test_a_trial_has_typed_parts():
    trial = from_attributes(1, 0, State.FAILED, STORED)
    assert {name: getattr(trial, name) for name in READ} == READ


@pytest.mark.parametrize("name", STORED)
def test_a_part_is_written_as_it_was_read(name):
    written = READ[name].to_dict()
    assert (written, list(written)) == (STORED[name], list(STORED[name]))


def test_what_earlier_versions_did_not_write_is_not_known():
    old = {"owner": {"place": "here", "pid": 17, "started": 5.0}, "result": {"seconds": 2.0}}
    trial = from_attributes(1, 0, State.FAILED, {**old, "failure": {"kind": "crash", "message": "signal 9"}})
    assert trial.owner == Holder(Owner("here", 17, None))
    assert (trial.owner.beat, trial.owner.ran, trial.owner.claim) == (-1, None, None)
    assert (trial.result, trial.failure) == (Result(seconds=2.0), Failure(Reason.CRASH, "signal 9"))
    assert trial.inherited is None


def test_a_complete_trial_keeps_no_earlier_reason():
    assert from_attributes(1, 0, State.COMPLETE, STORED).failure is None


def test_a_failure_without_a_traceback_names_none():
    assert Failure(Reason.DIVERGED, "NaN").to_dict() == {"kind": "diverged", "message": "NaN"}


def test_a_holder_is_told_by_its_process_and_its_host():
    assert READ["owner"].describe() == "process 17 on host-a"


LINEAGE = Lineage(7, (Stretch(2, 1, {"a": 1}), Stretch(5, 4, {"a": 2}), Stretch(7, 6, {"a": 3})))


def test_a_lineage_is_written_as_it_was_read():
    written = Result({"ndcg@10": 0.5}, lineage=LINEAGE).to_dict()
    assert written["lineage"]["stretches"][1] == {"slot": 5, "from_epoch": 4, "params": {"a": 2}}
    assert from_attributes(1, 0, State.COMPLETE, {"result": written}).result.lineage == LINEAGE
    assert "lineage" not in Result({"ndcg@10": 0.5}).to_dict()


@pytest.mark.parametrize(
    "lineage", [None, [], {}, {"seed": 1, "stretches": []}, {"seed": 1, "stretches": [{"slot": 1}]}, 3]
)
def test_a_lineage_that_is_none_is_damage(lineage):
    result = {"metrics": {}, "lineage": lineage}
    with pytest.raises(StoreDamaged, match="the attribute `result` of trial 0"):
        from_attributes(1, 0, State.COMPLETE, {"result": result})


def test_a_parent_is_the_last_one_whose_weights_were_taken_up():
    assert LINEAGE.parent(7) == (5, 6)
    back = Lineage(7, (*LINEAGE.stretches, Stretch(2, 8, {}), Stretch(7, 9, {}), Stretch(7, 11, {})))
    assert back.parent(7) == (2, 9)
    assert Lineage(7, (Stretch(7, 1, {}), Stretch(7, 3, {}))).parent(7) is None


def test_a_lineage_is_cut_at_an_epoch_and_goes_on():
    assert LINEAGE.until(5).stretches == LINEAGE.stretches[:2]
    assert LINEAGE.until(6) == LINEAGE
    longer = LINEAGE.then(9, 8, {"a": 4})
    assert (longer.until(7), longer.parent(9), longer.params) == (LINEAGE, (7, 8), {"a": 4})
