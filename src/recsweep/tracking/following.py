"""One study that is sent to the trackers: what is new of it, for each of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from itertools import islice

from recsweep.checkpoints.mirror import prefix_of
from recsweep.common.owner import Owner
from recsweep.study import Store, Study, StudyRecord, Trial
from recsweep.study.trial import SEEN
from recsweep.tracking.cursor import Cursor
from recsweep.tracking.events import Ended, Event, StudyName, Summary
from recsweep.tracking.kept import Kept
from recsweep.tracking.summing import mark_of, summed_up
from recsweep.tracking.unsent import tested, trials_of, unsent
from recsweep.tracking.wanted import Wanted

MOST_EVENTS = 200
"""Of a batch."""


class Followed:
    """A study in the store, and how much of it each tracker has.

    Args:
        store: it is in.
        record: of the study.
        wanted: the studies that are sent, this one among them.
        destinations: of the trackers, by their names.
        me: this process.
        keeps_epochs: the trackers for which an epoch that was sent is safe.
    """

    def __init__(
        self,
        store: Store,
        record: StudyRecord,
        wanted: Wanted,
        destinations: Mapping[str, str],
        me: Owner,
        keeps_epochs: Mapping[str, bool],
    ) -> None:
        self._store, self._wanted, self._keeps_epochs = store, wanted, keeps_epochs
        self.study: Study = store.study_of(record)
        self.name = StudyName.of(record)
        self.kept = {name: Kept(self.study, where, me) for name, where in destinations.items()}
        self._record, self._trials = record, list[Trial]()
        self._summary: Summary | None = None
        self._seen: dict[int, dict[int, dict[str, float]]] = {}
        self._closed: set[int] = set()
        """The trials among them that were read when they were over."""
        for name, kept in self.kept.items():
            kept.read()
            self.start_again(name)

    @property
    def record(self) -> StudyRecord:
        """As it stood when it was last looked at."""
        return self._record

    def look(self) -> None:
        """Read what is new in the store."""
        self._record = self.study.record() or self._record
        # Those that run first: one that ends in between is then seen twice, and not missed.
        running = self.study.running()
        over = self.study.over()
        ended = {trial.id for trial in over}
        self._trials = trials_of(over, (trial for trial in running if trial.id not in ended))
        self._look_at_epochs()

    def _look_at_epochs(self) -> None:
        """Read all metrics of the epochs of trials that some tracker has not got whole."""
        done = [kept.cursor.done for kept in self.kept.values()]
        new = [t for t in self._trials if any(each.get(t.slot, -1) < t.attempt for each in done)]
        whole = {trial.id: self._seen[trial.id] for trial in new if trial.id in self._closed}
        self._seen = {trial.id: whole.get(trial.id) or self._epochs_of(trial) for trial in new}
        self._closed = {trial.id for trial in new if trial.state.closed}

    def _epochs_of(self, trial: Trial) -> dict[int, dict[str, float]]:
        storage = self._store.optuna_storage
        found = self._store.patience.call(lambda again: storage.get_trial(trial.id).user_attrs)
        epochs = {name.removeprefix(SEEN): value for name, value in found.items() if name.startswith(SEEN)}
        return {int(epoch): dict(value) for epoch, value in epochs.items()}

    def new(self, tracker: str, *, sum_up: bool) -> list[Event]:
        """The next batch for a tracker; empty where it has all.

        Args:
            sum_up: also sum up a study that has not ended.
        """
        kept, now = self.kept[tracker], time.time()
        new = unsent(self.name, self._trials, kept.cursor, self._places(), now, self._seen)
        events = list(islice(new, MOST_EVENTS))
        if len(events) < MOST_EVENTS:
            events += [
                *self._summed_up(kept.cursor, sum_up),
                *tested(self.name, self._record, kept.cursor, now),
            ]
        return events

    def take(self, tracker: str) -> bool:
        """True where this process may send to a tracker; what was sent meanwhile is known then."""
        kept = self.kept[tracker]
        if not kept.held and kept.take():
            self.start_again(tracker)
        return kept.held

    def left(self, tracker: str) -> int:
        """How many events a tracker has not got."""
        kept = self.kept[tracker]
        return sum(1 for _ in unsent(self.name, self._trials, kept.cursor, {}, 0.0))

    def start_again(self, tracker: str) -> None:
        """The tracker has a new process: of a trial that it keeps as a whole only, it is given all again."""
        if not self._keeps_epochs[tracker]:
            self.kept[tracker].cursor = self.kept[tracker].cursor.whole()

    def sent(self, tracker: str, events: Iterable[Event]) -> None:
        """A batch was acknowledged."""
        events = list(events)
        kept = self.kept[tracker]
        cursor = kept.cursor.after(events)
        ended = any(isinstance(event, Ended | Summary) for event in events)
        kept.save(cursor, now=ended)

    def _summed_up(self, cursor: Cursor, sum_up: bool) -> list[Event]:
        if not sum_up and self._record.ended is None:
            return []
        mark = mark_of(self._record, self._trials)
        if cursor.summary == mark or not any(trial.state.closed for trial in self._trials):
            return []
        if self._summary is None or self._summary.mark != mark:
            self._summary = summed_up(self._store, self._record, self.name, self._wanted.root, mark)
        return [self._summary]

    def _places(self) -> dict[int, str]:
        """Where the weights are that are kept: in folders here, or at the place that they are sent to."""
        outputs = self._record.outputs_below(self._wanted.root)
        dataset, model, phase = self._record.folder_names
        folder = outputs.checkpoints(dataset, model, phase)
        found = folder.glob("trial-*") if folder.is_dir() else ()
        slots = {int(path.name[6:]): path for path in found if path.name[6:].isdigit()}
        depot = self._wanted.depot
        if not depot:
            return {slot: str(path) for slot, path in slots.items()}
        prefix = prefix_of(folder.relative_to(outputs.all_checkpoints), self._record.content_hash)
        return {slot: f"{depot}/{prefix}/{path.name}" for slot, path in slots.items()}
