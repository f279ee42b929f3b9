"""Who trains where in one study: how many workers search, and on which GPU each of them."""

from __future__ import annotations

from recsweep.running.commands import Search
from recsweep.running.crew import Crew, Member
from recsweep.running.events import EpochDone, Measured
from recsweep.running.gpus import Gpus
from recsweep.running.lines import measured, shared
from recsweep.running.study_run import StudyRun
from recsweep.running.throughput import Throughput
from recsweep.study import SHARING_ATTRIBUTE


class Seats:
    """Sets the workers of a crew to search; the decisions about GPUs are `gpus.Gpus`'s.

    Args:
        crew: the workers.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._gpus: Gpus | None = None
        self._sharing: dict[str, dict[str, object]] = {}

    @property
    def given(self) -> bool:
        """True where workers have a seat each, as they train on GPUs."""
        return self._gpus is not None

    def begin(self) -> None:
        """Another study: its trials are measured anew."""
        self._gpus = None
        self._sharing = {}

    def employ(self, run: StudyRun, waiting: int) -> None:
        """Set workers to search; none of them does so now."""
        workers = run.plan.sweep.workers
        gpus = 0 if run.plan.sweep.training.device in ("cpu", "mps") else self._crew.gpus
        if gpus:
            self._gpus = self._gpus or Gpus(gpus, workers.trials_per_gpu, workers.count)
            self.fill(run)
            return
        members = self._crew.take(run.plan, min(workers.count, waiting))
        if gpus is None:
            return  # the first of them will say what there is
        for member in members:
            self._crew.send(member, Search(run.plan))

    def fill(self, run: StudyRun) -> None:
        """Let as many workers search as the GPUs take and slots wait for."""
        gpus, crew = self._gpus, self._crew
        if gpus is None or gpus.next_seat(crew.seats, 1, 1) is None:
            return
        # A worker that searches without a trial is about to take one.
        coming = sum(not member.idle and member.claim is None for member in crew.members)
        waiting, open_slots = run.open_slots(shared=True), run.open_slots()
        ordinary = max(0, waiting - coming)
        alone = max(0, open_slots - coming - ordinary)
        while (seat := gpus.next_seat(crew.seats, ordinary, alone)) is not None:
            crew.send(crew.for_device(run.plan, seat.device), Search(run.plan, seat), seat)
            ordinary, alone = (ordinary - 1, alone) if ordinary else (0, alone - 1)

    def replace(self, run: StudyRun) -> None:
        """Another worker for one that died at work. Where there are GPUs, `fill` sees to it."""
        if self._gpus is None and run.stop_asked() is None and run.open_slots():
            self._crew.send(self._crew.another(run.plan), Search(run.plan))

    def measured(self, run: StudyRun, event: Measured) -> None:
        """The first trial on a GPU has shown what it takes: so many train there from now on."""
        if self._gpus is None:
            return
        contexts = sum(m.seat is not None and m.seat.device == event.device for m in self._crew.members)
        count = self._gpus.measured(event.device, event.memory, contexts)
        run.say(measured(run, event.device, event.memory, count))

    def heard(self, run: StudyRun, member: Member, event: EpochDone) -> None:
        """A worker has ended an epoch on its GPU, which may say how many are to share it."""
        if self._gpus is None or member.seat is None:
            return
        device = member.seat.device
        pace = self._gpus.heard(device, member.number, event.batches, member.heard_at)
        if pace is not None:
            self._tell(run, device, pace)

    def out_of_memory(self, run: StudyRun, member: Member) -> None:
        """Trials that shared the GPU of this worker did not fit; its own is put back."""
        if self._gpus is None or member.seat is None:
            return
        device = member.seat.device
        there = [m for m in self._crew.members if m.claim is not None and m.seat and m.seat.device == device]
        beside = [other.number for other in there if other is not member]
        pace = self._gpus.out_of_memory(device, member.number, beside)
        if pace is not None and pace.rates:
            self._tell(run, device, pace)

    def _tell(self, run: StudyRun, device: str, pace: Throughput) -> None:
        """Say how many share a GPU, and keep it with the study where it stays at that."""
        run.say(shared(run, device, pace))
        if pace.settled:
            rates = {str(count): round(rate, 1) for count, rate in pace.rates.items()}
            found = {"at_once": pace.at_once, "fit": pace.bound, "batches_per_second": rates}
            self._sharing[device] = found
            run.study.set_attribute(SHARING_ATTRIBUTE, dict(self._sharing))
