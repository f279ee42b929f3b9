"""The question, the data and the protocol of a sweep in sentences, for the page and for TeX. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from recsweep.common.escape import for_terminal, short
from recsweep.common.files import counted
from recsweep.report.comparison import Entry
from recsweep.report.summary_notes import filters_of
from recsweep.study import StudyRecord
from recsweep.sweeps.engine_table import ENGINES
from recsweep.sweeps.protocol import FULL, Protocol
from recsweep.sweeps.protocol_words import candidates_text
from recsweep.sweeps.pruner_table import NO_PRUNER, PRUNERS
from recsweep.sweeps.scheduler_table import NO_SCHEDULER, SCHEDULERS

ByDataset = Mapping[str, Sequence[Entry]]


def question(by_dataset: ByDataset) -> list[str]:
    """The question of the sweep, and by what it is answered."""
    entries = [entry for own in by_dataset.values() for entry in own]
    models = sorted({entry.model for entry in entries}, key=str.casefold)
    metrics = list(dict.fromkeys(entry.metric for entry in entries))
    on = listed(list(by_dataset))
    if len(models) == 1:
        asked = f"Which configuration of {models[0]} recommends best on {on}, by {listed(metrics)}?"
    else:
        asked = (
            f"Which of the {len(models)} models {listed(models)} recommends best on {on}, "
            f"by {listed(metrics)}, when each is tuned alike?"
        )
    return [asked, _fairness(entries)]


def _fairness(entries: Sequence[Entry]) -> str:
    records = [(entry, entry.result.record) for entry in entries]
    tuned = [entry for entry, record in records if record.model.space or record.variants] or entries
    budgets = {entry.result.all_budget for entry in tuned}
    if len(budgets) > 1:
        own = ", ".join(f"{entry.dataset}/{entry.model} {entry.result.all_budget}" for entry in tuned)
        return f"The budgets differ, in trials: {own}. A larger budget is an advantage of its own."
    return (
        f"Each model gets the same budget on each data set: {counted(budgets.pop(), 'trial')}. "
        "Configurations are chosen on validation data; the test data are looked at once, by the chosen one."
    )


def listed(names: Sequence[str]) -> str:
    """`A, B and C`."""
    shown = [for_terminal(name) for name in names]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def data_sentence(record: StudyRecord) -> str:
    """How the interactions of a data set were filtered, divided and ranked."""
    said = record.protocol_text(record.details.counts.get("items"))
    other = filters_of(record, but=frozenset({*Protocol.model_fields, "max_sequence_length"}))
    more = "" if other == "none" else f" Of the data set's file: {other}."
    how = _HOW.get(record.dataset.split.type, "") if record.dataset.split.order == "time" else ""
    longest = f"A sequential model sees at most the last {record.dataset.max_sequence_length} interactions."
    return f"The protocol is: {said}.{how}{more} {longest}"


_HOW = {
    "leave_one_out": " Each user's last interaction is for test, the one before for validation, and all "
    "others are trained on.",
}


def protocol(records: Sequence[StudyRecord]) -> list[str]:
    """How the studies were searched, trained and judged; what is not alike says of which studies it holds."""
    held: dict[str, list[str]] = {}
    for record in records:
        for sentence in _sentences(record):
            held.setdefault(sentence, []).append(record.label)
    every = {record.label for record in records}
    return [
        sentence if set(labels) == every else f"{listed(labels)}: {sentence}"
        for sentence, labels in held.items()
    ]


def _sentences(record: StudyRecord) -> Iterator[str]:
    parts: tuple[Callable[[StudyRecord], str], ...] = (_search, _start, _ending, _training, _ranking, _chosen)
    for part in parts:
        if sentence := part(record):
            yield sentence


def _search(record: StudyRecord) -> str:
    search = record.search
    algo = ENGINES[search.engine].algo(search.algo)
    about = f" ({algo.about.split(';')[0]})" if algo is not None else ""
    phases = f", in phases: {listed(record.chain)}" if len(record.chain) > 1 else ""
    return f"Configurations are proposed by {search.algo}{about} of the engine {search.engine}{phases}."


def _start(record: StudyRecord) -> str:
    random = f", the next {record.search.startup_trials - 1} are drawn at random" if _learns(record) else ""
    return f"The first trial of each study has the model's published defaults{random}."


def _learns(record: StudyRecord) -> bool:
    return record.search.algo in ("bayes", "tpe") and record.search.startup_trials > 1


def _ending(record: StudyRecord) -> str:
    pruner, scheduler = record.pruning.pruner, record.search.scheduler
    if scheduler != NO_SCHEDULER:
        return f"Poor trials are ended early by Ray Tune's {scheduler} ({SCHEDULERS[scheduler].about})."
    if pruner != NO_PRUNER:
        return (
            f"Poor trials are ended early by the pruner {pruner}, which compares a trial with "
            f"{PRUNERS[pruner].about}; it asks validation scores alone."
        )
    return "No trial is ended early because others do better."


def _training(record: StudyRecord) -> str:
    training = record.training
    return (
        f"A trial trains at most {counted(training.epochs, 'epoch')} and ends after "
        f"{counted(training.stopping_step, 'validation')} without a better {record.evaluation.metric}; "
        f"batches have {training.train_batch_size} samples, precision is {training.precision}."
    )


def _ranking(record: StudyRecord) -> str:
    evaluation = record.evaluation
    if evaluation.predicts:
        return (
            "Models are measured by what they predict of the interactions of a part, none of which is "
            f"ranked. Reported are {listed(evaluation.metrics)}."
        )
    cutoffs = listed([str(cutoff) for cutoff in evaluation.topk])
    full = "Every item of the data set is ranked for each user; none is sampled."
    among = (
        full if record.dataset.candidates == FULL else f"Test items are {candidates_text(record.dataset)}."
    )
    return f"{among} Reported are {listed(evaluation.metrics)}, cut off at {cutoffs}."


def _chosen(record: StudyRecord) -> str:
    names = listed([one.name for one in record.objectives])
    by = f"by {names} on validation" + (", the first of which decides" if len(record.objectives) > 1 else "")
    seed = short(record.seed)
    return f"Configurations are chosen {by}. All random numbers follow from the sweep's seed, {seed}."
