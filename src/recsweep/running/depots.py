"""A study's checkpoints where they are sent, once it is removed, renamed or archived. Free of torch.

A study notes in the store where its checkpoints were sent, so that who removes it needs no option. A place
that does not answer fails nothing: what is left there is said in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from recsweep.checkpoints.background import within
from recsweep.checkpoints.bucket import Bucket
from recsweep.checkpoints.mirror import Mirror, prefix_of
from recsweep.checkpoints.units import STATES
from recsweep.common.place import sent_to
from recsweep.running.study_run import StudyRun
from recsweep.study import Store, StudyRecord
from recsweep.study.earlier import split_archived

DEPOTS, APART = "depots", "depots_apart"
"""Attributes of a study: where its checkpoints were sent; of an archived one, where they are kept apart."""
ASK_SECONDS = 10.0
"""How long a place is waited for that does not answer; what is there is given as much for each file."""
Tell = Callable[[str], None]
_BY_HAND, _NEXT_RUN = "remove them there by hand", "the next run tries again"


@dataclass(frozen=True)
class Sent:
    """One study's own part of each place that its checkpoints were sent to.

    Attributes:
        depots: the places.
        prefix: its own there.
    """

    depots: tuple[str, ...]
    prefix: str

    def remove(self, tell: Tell) -> None:
        """Remove all of it."""
        for mirror in self._mirrors():
            _done(mirror, lambda there: there.remove(there.names()), "removed", tell)

    def move(self, new: str, tell: Tell, *, weights_only: bool = False, then: str = _BY_HAND) -> bool:
        """Let it be under another prefix; True where all of it is.

        Args:
            weights_only: states of trials in training, from which nobody goes on any more, are removed.
            then: what is said of a place that does not answer: what becomes of its files.
        """

        def step(there: Mirror) -> None:
            if weights_only:
                there.remove(there.names(STATES))
            there.move(new)

        if new == self.prefix:
            return True
        moved = [_done(mirror, step, "moved", tell, then) for mirror in self._mirrors()]
        return all(moved)  # each place is asked, also where another one did not answer

    def _mirrors(self) -> Iterator[Mirror]:
        return (Mirror(Bucket(depot), Path(), self.prefix) for depot in self.depots)


def note_depot(run: StudyRun) -> None:
    """Let a study know where its checkpoints are sent, from before the first one is."""
    depot = sent_to(run.plan.sweep.checkpoints.path, run.plan.outputs.all_checkpoints)
    noted = run.study.attributes.get(DEPOTS, [])
    if depot and depot not in noted:
        run.study.set_attribute(DEPOTS, [*noted, depot])


def sent_of(record: StudyRecord, store: Store) -> Sent:
    """The checkpoints of a study where they were sent; of no place where another study shares its part."""
    attributes = store.study_of(record).attributes
    if not attributes.get(DEPOTS):
        return Sent((), "")
    if attributes.get(APART) and split_archived(record.study)[1] is not None:
        return Sent(tuple(attributes[DEPOTS]), _apart(record))
    prefix = prefix_in_depot(record)
    others = store.records(archived=True, kind=None, sweep=record.sweep_name, dataset=record.dataset_name)
    shared = any(one.study != record.study and prefix_in_depot(one) == prefix for one in others)
    return Sent(() if shared else tuple(attributes[DEPOTS]), prefix)


def prefix_in_depot(record: StudyRecord) -> str:
    """The part of a place that a study sends to; of an archived one, that it sent to."""
    return prefix_of(_folder_of(record, split_archived(record.study)[0]), record.content_hash)


def _apart(archived: StudyRecord) -> str:
    """The part of a place where an archived study's weights are kept, beside that of its successor."""
    name, _, stamp = archived.study.rpartition("@")
    return (_folder_of(archived, name) / f"@{stamp}").as_posix()


def keep_apart_there(run: StudyRun) -> None:
    """Move the weights that archived studies of this name sent, below the archive's time, as they lie here.

    Asked whenever the study is opened, until it is done. Where an archive had the same definition, what is
    there is only taken for its own as long as no trial of the new study has begun.
    """
    store, name = run.study.store, run.study.name
    for archive in store.names():
        if split_archived(archive)[0] != name or archive == name:
            continue
        study = store.find_study(archive)
        record = study.record() if study is not None else None
        if study is None or record is None:
            continue
        if not study.attributes.get(DEPOTS) or study.attributes.get(APART):
            continue
        same = record.content_hash == run.plan.content_hash and _begun(run)
        sent = Sent(tuple(study.attributes[DEPOTS]), prefix_in_depot(record))
        if same or sent.move(_apart(record), _of(run), weights_only=True, then=_NEXT_RUN):
            study.set_attribute(APART, True)


def _begun(run: StudyRun) -> bool:
    return bool(run.own_results() or run.study.at_work())


def _of(run: StudyRun) -> Tell:
    return lambda line: run.say(f"{run.label}: {line}")


def _folder_of(record: StudyRecord, name: str) -> Path:
    """The folder of a study's checkpoints under a name, below that of all."""
    outputs = replace(record, study=name).outputs_below(Path())
    return outputs.checkpoints(*record.folder_names).relative_to(outputs.all_checkpoints)


def _done(
    mirror: Mirror, step: Callable[[Mirror], None], done: str, tell: Tell, then: str = _BY_HAND
) -> bool:
    """Do something at a place that may not answer; True where it was done."""
    try:
        there = within(ASK_SECONDS, mirror.names)
        if there:
            within(ASK_SECONDS * len(there), lambda: step(mirror))
    except OSError as error:
        tell(f"its checkpoints at {mirror.depot} are not {done} ({error}); {then}")
        return False
    return True
