"""When a trial is stopped early: what each rule says, and what no rule may ever do."""

from __future__ import annotations

import io
import itertools
import math
import random
import time
import warnings
from dataclasses import replace

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsweep.common.owner import this_process
from recsweep.running.events import TrialDone
from recsweep.running.progress import Display, StudyView
from recsweep.running.study_run import StudyRun
from recsweep.running.supervisor import Supervisor
from recsweep.running.worker import Worker
from recsweep.search import engines, pruning
from recsweep.search.curves import Curve
from recsweep.search.pruning import is_due, needs_running, verdict
from recsweep.search.pruning_rules import RULES
from recsweep.study import State, Store, Study, best
from recsweep.sweeps.config import PruningConfig
from recsweep.sweeps.pruner_table import NO_PRUNER, PRUNERS
from recsweep.training import training

NAMES = tuple(RULES)
MAX_EPOCHS = 60


def config(pruner="median", warmup=1, min_trials=1, patience=0):
    return PruningConfig(pruner=pruner, warmup_epochs=warmup, min_trials=min_trials, patience=patience)


def curve(slot, *scores, state=State.COMPLETE):
    return Curve(slot, dict(enumerate(scores, 1)), state)


def say(rule, own, others, maximize=True, max_epochs=MAX_EPOCHS):
    return verdict(rule, own, others, maximize=maximize, max_epochs=max_epochs)


# -- the rules ------------------------------------------------------------------------------------


def test_median_compares_the_best_so_far_with_the_scores_at_that_epoch():
    others = [curve(0, 0.010, 0.030), curve(1, 0.020, 0.017), curve(2, 0.015, 0.009)]
    assert say(config(), curve(5, 0.012, 0.0141), others) == "0.0141 < median 0.0170"
    assert say(config(), curve(5, 0.018, 0.001), others) is None, "its best so far counts"
    assert say(config(), curve(5, 0.018, 0.017), others) is None


def test_median_takes_pruned_trials_to_their_end_and_no_running_ones():
    complete = [curve(0, 0.3, 0.3, 0.3), curve(1, 0.3, 0.3, 0.3)]
    pruned = [curve(slot, 0.1, 0.1, state=State.PRUNED) for slot in (2, 3, 4)]
    running = [curve(slot, 0.9, 0.9, 0.9, state=State.RUNNING) for slot in range(5, 15)]
    own = curve(20, 0.2, 0.2, 0.2)
    assert say(config(), curve(20, 0.2), complete + pruned + running) is None
    assert say(config(), own, complete + pruned + running) == "0.2000 < median 0.3000"


def test_a_loss_is_pruned_where_it_is_higher():
    others = [curve(0, 1.5), curve(1, 1.25), curve(2, 2.0)]
    assert say(config(), curve(3, 1.75), others, maximize=False) == "1.7500 > median 1.5000"
    assert say(config(), curve(3, 1.25), others, maximize=False) is None


def test_scores_that_look_alike_are_told_apart():
    assert say(config(), curve(3, 0.01700001), [curve(0, 0.01700002)]) == "0.01700001 < median 0.01700002"


def test_asha_asks_at_rungs_and_keeps_the_best_third():
    rule = config("asha", warmup=2)
    others = [curve(slot, *[0.01 * slot] * 20) for slot in range(8)]
    ask = {n: say(rule, Curve(9, dict.fromkeys(range(1, n + 1), 0.045)), others) for n in range(1, 21)}
    assert {n for n, said in ask.items() if said} == {2, 6, 18}
    assert ask[6] == "0.0450 < 0.0500, place 3 of 9 at epoch 6"
    assert say(rule, curve(9, 0.05, 0.0), others) is None, "as good as the third of nine"


def test_asha_counts_whatever_reached_the_rung():
    rule = config("asha", warmup=3)
    own = curve(9, 0.2, 0.2, 0.2)
    ended_early = curve(0, 0.3)
    assert say(rule, own, [ended_early]) == "0.2000 < 0.3000, place 1 of 2 at epoch 3"
    on_its_way = curve(1, 0.1, 0.4, state=State.RUNNING)
    pruned_before = curve(2, 0.1, 0.4, state=State.PRUNED)
    assert say(rule, own, [curve(0, 0.1), on_its_way, pruned_before]) is None
    there = curve(1, 0.1, 0.4, 0.1, state=State.RUNNING)
    assert say(rule, own, [curve(0, 0.1), there]) == "0.2000 < 0.4000, place 1 of 3 at epoch 3"


def test_a_rung_between_two_validations_is_asked_at_the_next():
    rule, others = (
        config("asha", warmup=3),
        [Curve(0, {2: 0.3, 4: 0.3, 6: 0.3, 8: 0.3, 10: 0.3}, State.COMPLETE)],
    )
    epochs = range(2, 21, 2)
    due = [n for n in epochs if say(rule, Curve(1, {e: 0.1 for e in epochs if e <= n}), others)]
    assert due == [4, 10], "for the rungs 3 and 9"


def test_hyperband_deals_the_slots_to_brackets_in_its_proportions():
    order = pruning._bracket_order(5, 300)
    assert [order.count(bracket) for bracket in range(4)] == [27, 12, 6, 4]
    assert set(order[:6]) == {0, 1, 2, 3}, "each has some of the first trials"
    assert set(pruning._bracket_order(5, 10)) == {0}


def test_hyperband_compares_within_a_bracket_whose_rungs_are_its_own():
    rule = config("hyperband", warmup=2)
    brackets = {slot: pruning._bracket(rule, slot, MAX_EPOCHS) for slot in range(1, 40)}
    late, early = ([slot for slot, found in brackets.items() if found == bracket] for bracket in (1, 0))
    own = Curve(late[0], dict.fromkeys(range(1, 7), 0.1))
    rival, stranger = (curve(slot, *[0.2] * 6) for slot in (late[1], early[0]))
    assert say(rule, own, [rival, stranger]) == "0.1000 < 0.2000, place 1 of 2 at epoch 6"
    assert say(rule, own, [stranger]) is None
    assert say(rule, Curve(late[0], {1: 0.1, 2: 0.1}), [rival]) is None, "its first rung is at epoch 6"


def test_wilcoxon_compares_with_the_best_complete_trial_epoch_by_epoch():
    rule = config("wilcoxon", warmup=5)
    model = curve(3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    others = [curve(0, *[0.1] * 6), model, curve(4, *[0.9] * 6, state=State.PRUNED)]
    own = curve(5, 0.01, 0.11, 0.22, 0.33, 0.44)
    assert say(rule, own, others) == "0.4400 < trial 3's 0.5000, p 0.031 at 5 epochs"
    mixed = curve(5, 0.2, 0.3, 0.25, 0.33, 0.44)
    assert say(rule, mixed, others) is None
    better_now = curve(5, 0.09, 0.19, 0.29, 0.39, 0.51)
    assert say(rule, better_now, others) is None, "whatever the earlier epochs say"


def test_patience_lets_the_rule_hold_for_a_while():
    others = [curve(0, *[0.5] * 20)]
    for patience in range(5):
        rule = config(warmup=3, patience=patience)
        pruned_at = next(n for n in range(1, 20) if say(rule, curve(1, *[0.1] * n), others))
        assert pruned_at == 3 + patience
    rule = config(warmup=1, patience=2)
    own = [0.1, 0.1, 0.6, 0.1, 0.1]
    beaten = [curve(0, 0.5, 0.5, 0.5, 0.7, 0.7, 0.7)]
    assert [bool(say(rule, curve(1, *own, *[0.1] * more), beaten)) for more in range(2)] == [False, True]


def test_at_rungs_patience_gives_time_to_win_a_place():
    others = [curve(0, *[0.5] * 20)]
    rule = config("asha", warmup=2, patience=2)
    assert say(rule, curve(1, 0.1, 0.1, 0.1), others) is None
    assert say(rule, curve(1, 0.1, 0.1, 0.1, 0.1), others) == "0.1000 < 0.5000, place 1 of 2 at epoch 4"
    assert say(rule, curve(1, 0.1, 0.1, 0.1, 0.5), others) is None


def test_who_needs_the_running_trials():
    assert {rule for rule in ("none", *NAMES) if needs_running(config(rule))} == {"asha", "hyperband"}


def test_the_rule_none_stops_nothing():
    assert say(config("none"), curve(1, 0.0), [curve(0, 1.0)]) is None


# -- what no rule may do --------------------------------------------------------------------------

SCORES = st.one_of(
    st.integers(0, 5).map(lambda n: n / 10), st.floats(-1, 1), st.sampled_from([math.nan, math.inf])
)
CURVES = st.builds(
    lambda epochs, state: (epochs, state),
    st.dictionaries(st.integers(1, MAX_EPOCHS), SCORES, max_size=12),
    st.sampled_from([State.COMPLETE, State.PRUNED, State.RUNNING]),
)


@st.composite
def cases(draw, pruners=NAMES):
    others = [Curve(slot, *found) for slot, found in enumerate(draw(st.lists(CURVES, max_size=8)))]
    last = draw(st.integers(1, 14))
    own = Curve(
        draw(st.integers(len(others), 30)),
        {epoch: draw(SCORES) for epoch in range(1, last + 1)},
        State.RUNNING,
    )
    rule = config(
        draw(st.sampled_from(pruners)),
        draw(st.integers(0, 6)),
        draw(st.integers(1, 3)),
        draw(st.integers(0, 3)),
    )
    return rule, own, others, draw(st.booleans())


@given(cases())
def test_the_first_trial_is_never_pruned(case):
    rule, own, others, maximize = case
    assert say(rule, Curve(0, own.scores), others, maximize) is None


@given(cases())
def test_no_trial_is_pruned_before_warm_up_or_enough_ended_ones(case):
    rule, own, others, maximize = case
    if say(rule, own, others, maximize) is not None:
        assert own.epochs[-1] >= rule.warmup_epochs + rule.patience
        ended = [other for other in others if other.state in (State.COMPLETE, State.PRUNED)]
        assert len(ended) >= rule.min_trials


@given(cases())
def test_a_trial_that_has_trained_to_the_end_is_not_pruned(case):
    rule, own, others, maximize = case
    assert say(rule, own, others, maximize, max_epochs=max(own.scores)) is None


@given(cases())
def test_more_is_better_or_less_is_better_it_is_the_same_rule(case):
    rule, own, others, maximize = case

    def mirrored(one):
        return replace(one, scores={epoch: -score for epoch, score in one.scores.items()})

    up = say(rule, own, others, maximize)
    down = say(rule, mirrored(own), [mirrored(other) for other in others], not maximize)
    assert (up is None) == (down is None)


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_others_does_not_matter(case, chance):
    rule, own, others, maximize = case
    shuffled = random.Random(chance.random()).sample(others, len(others))
    assert say(rule, own, others, maximize) == say(rule, own, shuffled, maximize)


@given(cases())
def test_the_trial_itself_is_no_other(case):
    rule, own, others, maximize = case
    assert say(rule, own, others, maximize) == say(rule, own, [*others, own], maximize)


@given(cases(pruners=("median",)))
def test_the_best_trial_so_far_is_never_pruned_by_the_median(case):
    rule, own, others, maximize = case
    pick = max if maximize else min
    finite = [s for c in (own, *others) for s in c.scores.values() if math.isfinite(s)]
    best = Curve(own.slot, {**own.scores, max(own.scores): pick(finite, default=0.0)})
    assert say(rule, best, others, maximize) is None


@given(st.sampled_from(NAMES), st.integers(1, 20), st.integers(2, 9), st.booleans())
def test_equal_scores_are_not_pruned(pruner, epochs, others, maximize):
    alike = [curve(slot, *[0.25] * epochs) for slot in range(others + 1)]
    assert say(config(pruner), alike[-1], alike[:-1], maximize) is None


@given(cases())
def test_more_patience_never_prunes_earlier(case):
    rule, own, others, maximize = case

    def pruned_at(patience):
        asked = rule.model_copy(update={"patience": patience})
        parts = (Curve(own.slot, dict(itertools.islice(own.scores.items(), n))) for n in range(1, 15))
        return next(
            (len(part.scores) for part in parts if say(asked, part, others, maximize) is not None), math.inf
        )

    ends = [pruned_at(patience) for patience in range(4)]
    assert ends == sorted(ends)


@given(cases())
def test_where_the_rule_is_not_due_the_others_are_not_needed(case):
    rule, own, others, maximize = case
    if not is_due(rule, own, max_epochs=MAX_EPOCHS):
        assert say(rule, own, others, maximize) is None


@pytest.mark.parametrize("pruner", NAMES)
@pytest.mark.parametrize(
    ("own", "others"),
    [
        (Curve(1, {}), []),
        (Curve(1, {1: math.nan}), [curve(0, 0.5)]),
        (Curve(1, {1: 0.1}), [Curve(0, {}, State.COMPLETE)]),
        (Curve(1, {1: 0.1}), [Curve(0, {1: math.nan}, State.COMPLETE)]),
        (Curve(1, {7: 0.1}), [Curve(0, {3: 0.5}, State.PRUNED), Curve(2, {}, State.PRUNED)]),
    ],
)
def test_nothing_to_compare_stops_nothing(pruner, own, others):
    assert say(config(pruner), own, others) is None


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_the_question_costs_little(pruner):
    others = [
        Curve(slot, {e: (slot * e % 97) / 97 for e in range(1, 61)}, State.COMPLETE) for slot in range(2000)
    ]
    rule = config(pruner, warmup=5, patience=3)
    asked = (Curve(2001, dict.fromkeys(range(1, last), 0.0)) for last in range(1, MAX_EPOCHS))
    own = next(part for part in asked if is_due(rule, part, max_epochs=MAX_EPOCHS))
    assert say(rule, own, others), "and works out once what is kept"
    durations = []
    for _ in range(5):
        started = time.process_time()
        say(rule, own, others)
        durations.append(time.process_time() - started)
    assert min(durations) < 0.05


# -- a worker that prunes -------------------------------------------------------------------------

CURVES_OF_TRIALS = [
    [0.20, 0.30, 0.30, 0.30],
    [0.30, 0.40, 0.40, 0.40],
    [0.05, 0.10, 0.45, 0.45],
    [0.50, 0.20, 0.60, 0.50],
]
"""Of four trials; the third is below the median after its second epoch."""


def trained(settings, split, device, after_epoch, trial):
    curve = CURVES_OF_TRIALS[trial]
    for epoch, score in enumerate(curve, 1):
        after_epoch(epoch, score)
    state = {"config": {"model": "FPMC"}}
    best = max(range(len(curve)), key=lambda index: curve[index])
    return training.Trained(
        curve[best], {"ndcg@10": curve[best]}, best + 1, len(curve), 1.0, "x", state, state
    )


@pytest.fixture
def work(make_plan, monkeypatch):
    """Runs a study with one worker in this process; gives its events, plan, study and worker."""
    stores = []

    def work(rule, before=lambda study: None, budget=4, epochs=4, real=False):
        trials = itertools.count()
        if not real:
            monkeypatch.setattr(training, "train", lambda *args, **named: trained(*args, next(trials)))
        plan = make_plan(max_evals=budget, epochs=epochs, algo="random")
        plan = replace(plan, sweep=plan.sweep.model_copy(update={"pruning": rule}))
        store = Store(plan.storage_url)
        stores.append(store)
        study = store.open_study(plan.name, plan.definition, maximize=plan.maximize)
        study.ensure_slots(plan.budget)
        events = []
        worker = Worker(this_process(), events.append)
        before(study)
        worker.search(plan)
        return events, plan, study, worker

    yield work
    for store in stores:
        store.close()


PRUNING = config(warmup=2, min_trials=2)


def test_a_pruned_trial_is_a_result_with_its_best_until_then(work):
    events, _, study, _ = work(PRUNING)
    states = [trial.state for trial in study.results()]
    assert states == ["complete", "complete", "pruned", "complete"]
    trial = study.results()[2]
    assert (trial.score, trial.curve) == (0.10, {1: 0.05, 2: 0.10})
    assert {name: getattr(trial.result, name) for name in ("metrics", "best_epoch", "epochs")} == {
        "metrics": {},
        "best_epoch": 2,
        "epochs": 2,
    }
    done = [event for event in events if isinstance(event, TrialDone)]
    assert [event.pruned for event in done] == [False, False, True, False]
    assert done[2].reason == "pruned at epoch 2: 0.1000 < median 0.3500"
    assert (done[2].score, done[2].epochs) == (0.10, 2)


def test_optuna_sees_a_pruned_trial_as_its_own(work):
    _, plan, _, _ = work(PRUNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trials = optuna.load_study(study_name=plan.name, storage=plan.storage_url.reveal()).trials
    (pruned,) = [trial for trial in trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert (pruned.value, pruned.intermediate_values) == (0.10, {1: 0.05, 2: 0.10})


def test_a_pruned_trial_keeps_no_weights_and_is_not_the_winner(work):
    _, plan, study, _ = work(PRUNING)
    folders = plan.outputs.checkpoints(plan.dataset_name, plan.model_name).glob("trial-*")
    assert [folder.name for folder in folders] == ["trial-3"]
    assert best(study.results(), maximize=True).slot == 3


def test_an_engine_learns_that_a_trial_was_pruned(work, monkeypatch):
    histories = []
    real = engines.hyperopt_.propose

    def propose(search, slot, session, domain):
        histories.append(session.history())
        return real(search, slot, session, domain)

    monkeypatch.setattr(engines.hyperopt_, "propose", propose)
    work(PRUNING)
    assert [(found.score, found.pruned) for found in histories[-1]] == [
        (0.30, False),
        (0.40, False),
        (0.10, True),
    ]


@pytest.mark.parametrize(
    ("rule", "results", "running"),
    [
        (config("none"), 0, 0),
        (config("median", warmup=3), 3, 0),  # of three trials after the first, at epoch 3 of 4
        (config("asha", warmup=1), 6, 6),  # at epochs 1 and 3
    ],
)
def test_the_store_is_read_only_where_the_rule_is_due(work, monkeypatch, rule, results, running):
    asked = {"results": 0, "running": 0}
    inside = [False]

    def count(name):
        real = getattr(Study, name)

        def counted(self):
            asked[name] += inside[0]
            return real(self)

        monkeypatch.setattr(Study, name, counted)

    def stand_in(settings, split, device, after_epoch, **named):
        inside[0] = True
        for epoch in range(1, 5):
            after_epoch(epoch, 0.5)
        inside[0] = False
        state = {"config": {"model": "FPMC"}}
        return training.Trained(0.5, {"ndcg@10": 0.5}, 1, 4, 1.0, "x", state, state)

    count("results")
    count("running")
    monkeypatch.setattr(training, "train", stand_in)
    work(rule, real=True)
    assert asked == {"results": results, "running": running}


def test_real_trials_are_pruned_where_the_rule_says_so_and_nowhere_else(work):
    rule = config("median", warmup=1, min_trials=1)
    _, plan, study, _ = work(rule, budget=6, epochs=4, real=True)
    trials = study.results()
    curves = [Curve(trial.slot, trial.curve, trial.state) for trial in trials]
    assert "pruned" in {trial.state for trial in trials}
    for trial in trials:
        for epoch in trial.curve:
            until = Curve(trial.slot, {e: score for e, score in trial.curve.items() if e <= epoch})
            said = say(rule, until, curves[: trial.slot], max_epochs=plan.sweep.training.epochs)
            ended_here = trial.state == "pruned" and epoch == max(trial.curve)
            assert (said is not None) == ended_here


def test_the_log_says_when_and_why(make_plan):
    stream, plan = io.StringIO(), make_plan(max_evals=20)
    view = StudyView(plan.label, 1, 1, "NDCG@10", True, 20, filled=6, best=0.02, best_slot=0)
    reason = "pruned at epoch 8: 0.0141 < median 0.0170"
    with Display(stream=stream) as display:
        done = TrialDone(6, 0.0141, 8, 1.0, reason, pruned=True, params=plan.defaults)
        run = StudyRun(plan, None, display.line)
        run.view = view
        Supervisor(display)._reactions.trial_done(run, done)
    assert stream.getvalue() == f"{plan.label} trial 6 (7/20) {reason} (the defaults)\n"
    assert (view.pruned, view.best_slot) == (1, 0)


def test_each_pruner_has_a_rule_and_the_config_takes_it():
    assert RULES.keys() == PRUNERS.keys() - {NO_PRUNER}
    assert [PruningConfig(pruner=name).pruner for name in PRUNERS] == list(PRUNERS)
