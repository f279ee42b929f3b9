"""Lines for people on a study and its trials. Pure: it says nothing itself."""

from __future__ import annotations

from recsweep.common.files import counted
from recsweep.running.events import TrialDone
from recsweep.running.gpus import Memory
from recsweep.running.study_run import StudyRun
from recsweep.running.throughput import PAYS, Throughput
from recsweep.running.watch import changed_text, duration
from recsweep.study import EVIDENCE


def announcement(run: StudyRun, open_slots: int) -> str:
    """The line on what a study is about to do; `open_slots`: trials that are to run."""
    plan, view = run.plan, run.view
    head = f"study {view.position}/{view.count} {plan.label}"
    own = plan.budget - plan.inherits  # a trial that is inherited is none of its own
    if not open_slots:
        filled = view.filled - plan.inherits
        count = f"all {own}" if filled >= own else f"{filled} of {own}"
        there = "the one trial is" if own == filled == 1 else f"{count} trials are"
        return f"{head}: {there} in the store, nothing to train"
    return (
        f"{head}: {open_slots} of {counted(own, 'trial')} to run, {plan.how}, "
        f"at most {counted(plan.sweep.training.epochs, 'epoch')} each"
    )


def outcome(run: StudyRun, done: TrialDone) -> str:
    """The line on what a trial came to, once the view has counted it."""
    view = run.view
    head = f"{run.label} trial {done.slot} ({view.filled}/{view.budget})"
    params = changed_text(done.params or _params_of(done.slot, run), run.plan.defaults)
    at = f" ({params})" if params else ""
    if done.pruned:
        return f"{head} {done.reason}{at}"
    if done.score is None:
        where = f"; traceback in {done.traceback}" if done.traceback else ""
        return f"{head} failed after {duration(done.seconds)}{at}: {done.reason}{where}"
    return (
        f"{head} {view.metric} {done.score:.4f}, {_beside_others(run, done)}, "
        f"{counted(done.epochs, 'epoch')} in {duration(done.seconds)}{at}"
    )


def _beside_others(run: StudyRun, done: TrialDone) -> str:
    """A trial's place among the others; in evidence, which compares nothing, its seed."""
    view, plan = run.view, run.plan
    if plan.kind == EVIDENCE:
        return f"seed {plan.trial_seed(done.slot)}, split {plan.split_seed(done.slot)}"
    is_best = view.best_slot == done.slot
    return "best so far" if is_best else f"best {view.best:.4f} (trial {view.best_slot})"


def _params_of(slot: int, run: StudyRun) -> dict[str, object]:
    """The parameters of a trial whose worker can tell no more."""
    return next((trial.params for trial in run.results() if trial.slot == slot), {})


def measured(run: StudyRun, device: str, memory: Memory, count: int) -> str:
    """How many trials a GPU takes at once, and why."""
    return (
        f"{run.label}: {device} has memory for {counted(count, 'trial')} at once; the first one took "
        f"{memory.peak / 2**30:.1f} GiB, {memory.free / 2**30:.1f} of {memory.total / 2**30:.1f} are free"
    )


def shared(run: StudyRun, device: str, pace: Throughput) -> str:
    """How many trials train on a GPU at once, and what was measured of it."""
    rates = ", ".join(f"{count} at once {rate:.1f}" for count, rate in sorted(pace.rates.items()))
    head = f"{run.label}: {device} trains {rates} batches/s"
    if not pace.settled:
        return f"{head}; tries {pace.at_once} at once"
    last = max(pace.rates)
    if pace.at_once < last <= pace.bound:
        return f"{head}; {last} are not {PAYS:g} times {pace.at_once}: {pace.at_once} at once from now on"
    return f"{head}; {pace.at_once} at once from now on, the most that memory and workers allow"
