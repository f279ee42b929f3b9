"""Which worker trains on which GPU. The decisions, then the whole flow with threads for workers."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from helpers.thread_workers import ThreadWorkers
from recsweep.common.owner import this_process
from recsweep.running import child, gpu_memory, throughput, worker
from recsweep.running.events import Broken, Started
from recsweep.running.gpus import CONTEXT_BYTES, Gpus, Memory, Seat, fitting
from recsweep.running.progress import Display
from recsweep.running.seats import Seats
from recsweep.running.supervisor import Supervisor
from recsweep.running.throughput import Throughput
from recsweep.running.worker import Worker
from recsweep.study import SHARING_ATTRIBUTE, Reason, Store
from recsweep.training import training
from recsweep.training.run import EpochEnd

GIB = 2**30


def seats(gpus: Gpus, waiting: int = 100, alone: int = 0, taken: tuple[Seat, ...] = ()) -> list[Seat]:
    """What workers are given, one after the other, until there is no seat left."""
    given = list(taken)
    while (seat := gpus.next_seat(given, waiting, alone)) is not None:
        given.append(seat)
    return given[len(taken) :]


def devices(given: list[Seat]) -> list[int]:
    return [int(seat.device.removeprefix("cuda:")) for seat in given]


# -- how many fit ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "free", "total", "count"),
    [
        (1 * GIB, 80 * GIB, 80 * GIB, 45),  # 72 GiB and the context that is there, by 1.586 GiB
        (20 * GIB, 80 * GIB, 80 * GIB, 3),
        (40 * GIB, 80 * GIB, 80 * GIB, 1),
        (79 * GIB, 80 * GIB, 80 * GIB, 1),
        (1 * GIB, 2 * GIB, 80 * GIB, 1),  # another program has the rest
        (0, 8 * GIB, 8 * GIB, 13),
    ],
)
def test_a_tenth_of_memory_stays_free_and_one_trial_always_fits(peak, free, total, count):
    assert fitting(Memory(peak, free, total)) == count


def test_what_cuda_holds_for_workers_that_are_there_is_not_counted_twice():
    small = Memory(GIB, 6 * GIB, 8 * GIB)
    assert fitting(small, contexts=4) > fitting(small, contexts=1)
    total = 8 * GIB + CONTEXT_BYTES
    assert fitting(Memory(GIB, 8 * GIB, total)) == fitting(Memory(GIB, 8 * GIB - 2 * CONTEXT_BYTES, total), 3)


# -- who trains where -----------------------------------------------------------------------------


def test_until_the_first_trial_is_measured_one_worker_a_gpu_runs():
    gpus = Gpus(2, "auto", 8)
    assert seats(gpus) == [Seat("cuda:0", measure=True), Seat("cuda:1", measure=True)]


def train(gpus: Gpus, rate: float, count: int, device: str = "cuda:0"):
    """Epochs of `count` workers, which train `rate` batches a second in all, until something is decided."""
    for second in range(1, 100):
        for number in range(1, count + 1):
            pace = gpus.heard(device, number, int(rate / count), float(second))
            if pace is not None:
                return pace
    return None


TRIED = Seat("cuda:0", shared=True, brief=True)


def test_a_measured_gpu_takes_one_more_while_that_pays_a_tenth():
    gpus = Gpus(1, "auto", 8)
    assert gpus.measured("cuda:0", Memory(10 * GIB, 80 * GIB, 80 * GIB)) == 6
    for count, rate in ((1, 120), (2, 180), (3, 240)):
        assert seats(gpus) == [TRIED] * count, "whoever trains while it is tried leaves after a trial"
        assert not train(gpus, rate, count).settled
    pace = train(gpus, 260, 4)  # 1.08 times 240
    assert pace.settled
    assert pace.rates == {1: 120.0, 2: 180.0, 3: 240.0, 4: 260.0}
    assert seats(gpus) == [Seat("cuda:0", shared=True)] * 3
    assert train(gpus, 1000, 3) is None


def test_where_a_second_trial_does_not_pay_each_trains_alone():
    gpus = Gpus(1, "auto", 8)
    gpus.measured("cuda:0", Memory(GIB, 80 * GIB, 80 * GIB))
    train(gpus, 100, 1)
    assert train(gpus, 108, 2).at_once == 1
    assert seats(gpus) == [Seat("cuda:0")]
    assert seats(gpus, taken=(TRIED, TRIED)) == [], "those that tried it train to their trials' ends"


def test_memory_bounds_what_is_tried():
    gpus = Gpus(1, "auto", 8)
    gpus.measured("cuda:0", Memory(20 * GIB, 80 * GIB, 80 * GIB))
    for count in (1, 2, 3):
        pace = train(gpus, 100 * count, count)
    assert (pace.at_once, pace.settled) == (3, True)
    assert seats(gpus) == [Seat("cuda:0", shared=True)] * 3


def test_the_first_trial_says_its_rate_before_its_memory():
    gpus = Gpus(1, "auto", 8)
    assert train(gpus, 100, 1).at_once == 2
    assert seats(gpus, taken=(Seat("cuda:0", measure=True),)) == [], "nobody before memory is known"
    gpus.measured("cuda:0", Memory(GIB, 80 * GIB, 80 * GIB))
    assert seats(gpus) == [TRIED] * 2


def test_a_worker_that_comes_begins_the_count_anew():
    pace = Throughput(4, at_once=2, rates={1: 10.0})
    for second in range(20):
        assert not pace.heard(1, 10, float(second)), "alone it says nothing of two"
    assert not pace.heard(2, 10, 20.0)
    assert not pace.heard(1, 10, 20.5)
    assert not pace.heard(3, 10, 21.0), "another in the place of one of them"
    assert not pace.heard(1, 10, 21.5)
    decided = [pace.heard(number, 10, 22.0 + second) for second in range(4) for number in (1, 3)]
    assert any(decided)
    assert pace.rates[2] == pytest.approx(20.0, rel=0.3)


def test_workers_are_spread_evenly_and_never_more_than_the_config_says():
    gpus = Gpus(3, 7, 7)
    assert devices(seats(gpus)) == [0, 1, 2, 0, 1, 2, 0]
    gpus = Gpus(3, "auto", 7)
    for device in gpus.devices:
        assert gpus.measured(device, Memory(GIB, 80 * GIB, 80 * GIB)) == 7
    assert devices(seats(gpus)) == [0, 1, 2], "one each until one more has paid"


def test_nobody_is_seated_beside_a_worker_alone_on_its_gpu():
    gpus = Gpus(1, 4, 4)
    assert seats(gpus, taken=(Seat("cuda:0"),)) == []
    assert seats(gpus, taken=(Seat("cuda:0", measure=True),)) == []
    assert seats(gpus, taken=(Seat("cuda:0", shared=True),)) == [Seat("cuda:0", shared=True)] * 3


@pytest.mark.parametrize("per_gpu", ["auto", 1, 4])
def test_with_a_gpu_a_worker_nothing_is_shared_or_measured(per_gpu):
    assert seats(Gpus(2, per_gpu, 2)) == [Seat("cuda:0"), Seat("cuda:1")]
    assert seats(Gpus(4, per_gpu, 1)) == [Seat("cuda:0")]


def test_a_number_holds_from_the_first_trial_on():
    assert seats(Gpus(2, 2, 8)) == [Seat(f"cuda:{n}", shared=True) for n in (0, 1, 0, 1)]
    assert seats(Gpus(2, 1, 8)) == [Seat("cuda:0"), Seat("cuda:1")]


def test_out_of_memory_takes_one_seat_away():
    gpus = Gpus(1, 3, 4)
    gpus.out_of_memory("cuda:0", 1, ())
    assert seats(gpus) == [Seat("cuda:0", shared=True)] * 2
    for _ in range(5):
        gpus.out_of_memory("cuda:0", 1, ())
    assert seats(gpus) == [Seat("cuda:0")]


def test_two_that_run_out_of_memory_at_once_count_as_one():
    gpus = Gpus(1, 4, 4)
    gpus.out_of_memory("cuda:0", 1, (2, 3, 4))
    gpus.out_of_memory("cuda:0", 2, (3, 4))
    assert seats(gpus) == [Seat("cuda:0", shared=True)] * 3
    gpus.heard("cuda:0", 3, 10, 1.0)
    gpus.out_of_memory("cuda:0", 4, (3,))
    assert seats(gpus) == [Seat("cuda:0", shared=True)] * 3, "it was one of the four"
    gpus.out_of_memory("cuda:0", 3, ())
    assert seats(gpus) == [Seat("cuda:0", shared=True)] * 2, "it has trained among three, and failed there"


def test_only_slots_for_a_whole_gpu_wait_for_an_empty_one():
    gpus = Gpus(2, 2, 4)
    assert Seat("cuda:0") not in seats(gpus, waiting=1, alone=1)
    busy = (Seat("cuda:0", shared=True),)
    assert gpus.next_seat(busy, 0, 1) == Seat("cuda:1")
    assert gpus.next_seat((*busy, Seat("cuda:1", shared=True)), 0, 1) is None


def test_where_nothing_waits_nobody_is_seated():
    for per_gpu in ("auto", 1, 3):
        assert Gpus(2, per_gpu, 4).next_seat([], 0, 0) is None


# -- memory ---------------------------------------------------------------------------------------


def test_on_a_cpu_there_is_nothing_to_measure_or_to_give_back():
    cpu = torch.device("cpu")
    gpu_memory.start(cpu)
    gpu_memory.release(cpu)
    assert gpu_memory.measured(cpu) is None


def test_a_gpu_is_woken_once_and_its_trouble_ends_nothing(monkeypatch):
    touched, woken = [], threading.Event()

    def ones(*shape, device):
        touched.append(device)
        woken.set()
        raise RuntimeError("CUDA error: no kernel image is available")

    monkeypatch.setattr(gpu_memory, "_AWAKE", set())
    monkeypatch.setattr(torch, "ones", ones)
    for name in ("cpu", "cuda:1", "cuda:1"):
        gpu_memory.wake(torch.device(name))
    assert woken.wait(5.0)
    assert touched == [torch.device("cuda:1")]


def test_what_a_worker_holds_itself_is_free_for_trials(monkeypatch):
    said = []
    stand_ins = {
        "empty_cache": lambda: said.append("empty"),
        "reset_peak_memory_stats": lambda device: said.append(str(device)),
        "mem_get_info": lambda device: (60, 80),
        "max_memory_reserved": lambda device: 12,
        "memory_reserved": lambda device: 10,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    device = torch.device("cuda:1")
    gpu_memory.start(device)
    assert said == ["empty", "cuda:1"]
    assert gpu_memory.measured(device) == Memory(peak=12, free=70, total=80)


# -- the whole flow: a supervisor, its store, and threads that stand in for processes and GPUs -----


class Machine:
    """GPUs that are not there: who trains on which, and what runs out of memory."""

    def __init__(self, monkeypatch, gpus, peak, fails, rate):
        self.gpus, self.fails, self.rate = gpus, fails, rate
        self.memory = Memory(peak, 80 * GIB, 80 * GIB)
        self.ran: list[tuple[int, Seat, int]] = []
        """Slot, seat, and how many trials ran on the GPU while it did."""
        self.plan = None
        self._workers: set[int] = set()
        self._lock, self._on, self._here = threading.Lock(), {}, threading.local()
        for module, name, stand_in in [
            (worker, "_device", self.device),
            (throughput, "LEAST_SECONDS", 0.1),
            (gpu_memory, "measured", lambda device: self.memory),
            (training, "train", self.train),
            (training, "save_checkpoints", lambda folder, trained: True),
            (worker, "evaluate_winner", lambda *args, **more: {"ndcg@10": 0.5}),
        ]:
            monkeypatch.setattr(module, name, stand_in)

    def serve(self, pipe):
        with contextlib.suppress(OSError):
            pipe.send(Started(self.gpus))
        try:
            inbox = child.Inbox(pipe)
            child.serve(inbox, Worker(this_process(), pipe.send, inbox.stop))
        except Exception as error:
            pipe.send(Broken("bug", repr(error)))

    def device(self, plan, seat):
        self._here.seat = seat
        return torch.device("cpu")

    def epochs(self, after_epoch, watch):
        """Long enough for the others to begin on a busy machine; batches by how many workers there are."""
        for epoch in range(1, 6):
            begun = time.monotonic()
            time.sleep(0.06)
            with self._lock:
                self._workers.add(threading.get_ident())
                count = len(self._workers)
            batches = round(self.rate(count) / count * (time.monotonic() - begun))
            watch(EpochEnd(epoch, 0.1, lambda: None, {}, batches))
            after_epoch(epoch, 0.1)

    def train(self, settings, split, device, after_epoch, watch, **named):
        seat = self._here.seat
        slot = next(n for n in range(self.plan.budget) if self.plan.trial_seed(n) == settings["seed"])
        with self._lock:
            self._on.setdefault(seat.device if seat else None, []).append(slot)
        self.epochs(after_epoch, watch)
        with self._lock:
            here = self._on[seat.device if seat else None]
            self.ran.append((slot, seat, len(here)))
            here.remove(slot)
        if self.fails(slot, seat):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return training.Trained(
            score=0.1 + slot / 100,
            metrics={"ndcg@10": 0.1},
            best_epoch=1,
            epochs=5,
            seconds=0.1,
            path="stand-in",
            best={},
            last={},
        )


@pytest.fixture
def sweep(make_plan, monkeypatch):
    """Runs a study on GPUs that are not there; gives them, the study's trials, and what was said."""

    def sweep(
        budget=6,
        gpus=1,
        count=3,
        peak=20 * GIB,
        fails=lambda slot, seat: False,
        rate=lambda workers: 5_000 * 4**workers,  # by far, whatever else the machine does
        **training_config,
    ):
        machine = Machine(monkeypatch, gpus, peak, fails, rate)
        plan = make_plan(max_evals=budget, workers=count)
        training_keys = {k: training_config.pop(k) for k in ("device",) if k in training_config}
        config = plan.sweep.model_copy(
            update={
                "workers": plan.sweep.workers.model_copy(update=training_config),
                "training": plan.sweep.training.model_copy(update=training_keys),
            }
        )
        machine.plan = plan = replace(plan, sweep=config)
        said = io.StringIO()
        with Supervisor(Display(stream=said), ThreadWorkers(machine.serve)) as supervisor:
            assert supervisor.run_study(plan, 1, 1) == {"ndcg@10": 0.5}
        store = Store(plan.storage_url)
        try:
            study = store.find_study(plan.name)
            machine.sharing = study.attributes.get(SHARING_ATTRIBUTE)
            return machine, study.trials(), said.getvalue()
        finally:
            store.close()

    return sweep


def test_the_first_trial_runs_alone_and_its_memory_says_who_shares(sweep):
    machine, trials, said = sweep(budget=14, count=4)
    first, *others = machine.ran
    assert first == (0, Seat("cuda:0", measure=True), 1)
    assert {seat for _, seat, _ in others} <= {TRIED, Seat("cuda:0", shared=True)}
    assert max(crowd for *_, crowd in others) == 3, "three fit, although four workers may train"
    assert sorted(slot for slot, *_ in machine.ran) == list(range(14))
    assert all(trial.state == "complete" for trial in trials)
    assert (
        "ml-100k-small/FPMC: cuda:0 has memory for 3 trials at once; the first one took 20.0 GiB, "
        "80.0 of 80.0 are free"
    ) in said
    assert "batches/s; 3 at once from now on, the most that memory and workers allow" in said


def test_a_study_says_and_keeps_how_many_at_once_paid(sweep):
    machine, trials, said = sweep(budget=16, count=4, rate={1: 20_000, 2: 100_000, 3: 5_000, 4: 5_000}.get)
    assert max(crowd for *_, crowd in machine.ran) == 3, "the third one is tried"
    assert all(trial.state == "complete" for trial in trials)
    assert "3 are not 1.1 times 2: 2 at once from now on" in said
    kept = machine.sharing["cuda:0"]
    assert (kept["at_once"], kept["fit"]) == (2, 3)
    rates = kept["batches_per_second"]
    assert rates["2"] > 1.1 * rates["1"] > 0.0
    assert rates["3"] < 1.1 * rates["2"]


def test_a_gpu_that_one_trial_fills_is_not_shared(sweep):
    machine, *_ = sweep(budget=3, count=3, peak=70 * GIB)
    assert [crowd for *_, crowd in machine.ran] == [1, 1, 1]
    assert not any(seat.shared for _, seat, _ in machine.ran)


def test_workers_are_spread_over_the_gpus(sweep):
    machine, *_ = sweep(budget=8, gpus=2, count=2)
    assert {seat for _, seat, _ in machine.ran} == {Seat("cuda:0"), Seat("cuda:1")}
    assert {crowd for *_, crowd in machine.ran} == {1}


def test_a_number_of_trials_a_gpu_is_kept(sweep):
    machine, *_ = sweep(budget=8, count=4, trials_per_gpu=2)
    assert max(crowd for *_, crowd in machine.ran) == 2


def test_out_of_memory_while_sharing_is_tried_again_alone_and_no_result(sweep):
    machine, trials, said = sweep(fails=lambda slot, seat: slot == 2 and seat.shared)
    # Last of all, but where a busy machine has measured that one at once is best: then it is the next.
    *_, last = (one for one in machine.ran if one[0] == 2)
    assert last == (2, Seat("cuda:0"), 1), "with the GPU to itself"
    later = machine.ran[machine.ran.index(last) + 1 :]
    assert {one[1:] for one in later} <= {last[1:]}, "after all that share it"
    (failed,) = [trial for trial in trials if trial.state == "failed"]
    assert (failed.slot, failed.counted, failed.failure.kind) == (2, False, Reason.INTERRUPTED)
    assert "CUDA out of memory" in failed.failure.message
    (again,) = [trial for trial in trials if trial.slot == 2 and trial.state == "complete"]
    assert (again.attempt, again.crashes, again.alone) == (1, 0, True)
    assert again.seed == failed.seed
    assert "trial 2: out of memory" in said
    assert "run again with a GPU to itself" in said
    assert "at once from now on, the most that memory and workers allow" in said
    kept = machine.sharing["cuda:0"]
    assert kept["at_once"] == kept["fit"] < 3, "what is kept is how many train there since"


def test_those_that_train_beside_a_failure_are_told_by_their_claims():
    taken = []
    members = [
        SimpleNamespace(number=number, seat=Seat(device, shared=True), claim=claim)
        for number, device, claim in [
            (1, "cuda:0", None),
            (2, "cuda:0", "trial 4"),
            (3, "cuda:1", "trial 5"),
            (4, "cuda:0", None),
        ]
    ]
    seated = Seats(SimpleNamespace(members=members))
    seated._gpus = SimpleNamespace(out_of_memory=lambda *told: taken.append(told))
    seated.out_of_memory(None, members[0])
    assert taken == [("cuda:0", 1, [2])]


def test_out_of_memory_alone_is_a_result(sweep):
    machine, trials, _ = sweep(fails=lambda slot, seat: slot == 2)
    assert [seat.shared for slot, seat, _ in machine.ran if slot == 2] == [True, False]
    failed = [trial for trial in trials if trial.slot == 2]
    assert [(t.attempt, t.counted, t.failure.kind) for t in failed] == [
        (0, False, Reason.INTERRUPTED),
        (1, True, Reason.OUT_OF_MEMORY),
    ]


def test_a_first_trial_out_of_memory_had_the_gpu_to_itself(sweep):
    machine, trials, _ = sweep(budget=3, fails=lambda slot, seat: slot == 0)
    assert [trial.failure and trial.failure.kind for trial in trials if trial.slot == 0] == [
        Reason.OUT_OF_MEMORY
    ]
    assert [seat.measure for slot, seat, _ in machine.ran if slot == 1] == [True], "the next one is measured"


def test_without_a_gpu_all_workers_train_at_once_as_the_config_says(sweep):
    machine, _, said = sweep(budget=9, gpus=0, count=3)
    assert {seat for _, seat, _ in machine.ran} == {None}
    assert max(crowd for *_, crowd in machine.ran) == 3
    assert "at once; the first trial" not in said


def test_a_sweep_that_asks_for_the_cpu_looks_at_no_gpu(sweep):
    machine, *_ = sweep(budget=6, gpus=2, count=3, device="cpu")
    assert {seat for _, seat, _ in machine.ran} == {None}
