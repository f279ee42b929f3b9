"""What stands with a trial, to and from what the store holds, in this version and in those before."""

from __future__ import annotations

import pytest

from recsweep.common.owner import Owner
from recsweep.study import Failure, Holder, Inherited, Reason, Result
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
