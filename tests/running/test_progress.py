from __future__ import annotations

import io
import re

import pytest

from recsweep.common.errors import InputError, UserError
from recsweep.running.aside import show_markdown
from recsweep.running.progress import Display, StudyView, SweepView, WorkerView, duration
from recsweep.running.watch import changed_text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def study(**changed):
    shown = {"label": "toy/NARM", "position": 2, "count": 6, "metric": "NDCG@10", "maximize": True}
    return StudyView(**{**shown, "budget": 20, **changed})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (48.4, "48 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_the_best_score_is_followed_in_the_direction_of_the_metric():
    up, down = study(), study(maximize=False)
    for view in (up, down):
        for slot, score in enumerate([0.2, 0.5, 0.1, 0.5]):
            view.add(slot, score)
    assert (up.best, up.best_slot) == (0.5, 1)
    assert (down.best, down.best_slot) == (0.1, 2)


def test_a_score_of_zero_counts_and_a_failure_does_not():
    view = study()
    view.add(0, None)
    assert (view.filled, view.failed, view.best) == (1, 1, None)
    view.add(1, 0.0)
    assert (view.best, view.best_slot) == (0.0, 1)
    view.add(2, -0.5)
    assert (view.filled, view.failed, view.best) == (3, 1, 0.0)


def test_a_pruned_trial_is_counted_and_never_the_best():
    view = study()
    view.add(0, 0.2)
    view.add(1, 0.9, pruned=True)
    view.add(2, None)
    assert (view.filled, view.pruned, view.failed) == (3, 1, 1)
    assert (view.best, view.best_slot) == (0.2, 0)


def test_the_time_left_is_shared_by_the_workers():
    view = study(filled=10)
    assert view.seconds_left is None
    view.seconds = [10.0, 20.0]
    assert view.seconds_left == 150
    view.workers = {0: WorkerView(), 1: WorkerView()}
    assert view.seconds_left == 75


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE", "PLAIN"])
def test_lines_are_plain_where_there_is_no_terminal(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")  # the first is set in a notebook
    stream = io.StringIO()
    with Display(stream=stream) as display:
        display.line("trial 3 of 20: NDCG@10 0.1234 [not markup] " + "x" * 200)
        display.show(study(), force=True)
    assert stream.getvalue() == "trial 3 of 20: NDCG@10 0.1234 [not markup] " + "x" * 200 + "\n"


def test_the_log_keeps_every_line_with_its_time_and_is_appended_to(tmp_path):
    log = tmp_path / "deep" / "tune.log"
    for text in ("first", "second é"):
        with Display(log, stream=io.StringIO()) as display:
            display.line(text)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d ", "", line) for line in lines] == ["first", "second é"]


def test_every_log_gets_the_lines_and_what_ended_the_run(tmp_path):
    logs = [tmp_path / "a" / "tune.log", tmp_path / "b.log", tmp_path / "b.log"]
    for error in (ValueError("a bug"), UserError("correct it"), KeyboardInterrupt()):
        display = Display(*logs, stream=io.StringIO())
        display.line("begun")
        display.__exit__(type(error), error, None)
    first, second = (log.read_text() for log in logs[:2])
    assert first == second
    assert first.count(" begun\n") == 3
    assert re.search(r"ValueError: a bug\n\S+ begun\n\S+ correct it\n\S+ begun\n\S+ stopped", first)


@pytest.mark.parametrize("name", ["", "file/deeper/tune.log"])
def test_a_log_that_cannot_be_written_is_refused_in_one_line(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: the log cannot be written: ")):
        Display(tmp_path / name, stream=io.StringIO())


def test_a_terminal_shows_the_study_its_trials_and_the_scores(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    view = study(filled=3, best=0.5, best_slot=1, seconds=[10.0])
    view.workers[0] = WorkerView("trial 3", epoch=4, last=0.25, best=0.375)
    with Display(stream=stream) as display:
        display.show(view, force=True)
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "study 2/6 toy/NARM" in shown
    assert "3/20 trials best NDCG@10 0.5000 (trial 1) about 2 min 50 s left" in shown
    assert "worker 0: trial 3 epoch 4  last 0.2500  best 0.3750" in shown


@pytest.mark.parametrize(
    "label", ["ml-100k-small/SASRec", "a-data-set-with-a-very-long-name-of-its-own/SASRec/coarse"]
)
def test_eighty_columns_keep_the_model_the_best_and_the_time_left(monkeypatch, label):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    view = study(label=label, filled=13, best=0.5, best_slot=1, seconds=[100.0], sweep=SweepView(later=90))
    view.sweep.seconds = [100.0]
    view.workers[0] = WorkerView("trial 13", epoch=104, last=0.25, best=0.375)
    with Display(stream=stream) as display:
        display.show(view, force=True)
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).splitlines()
    first, second, third = (line.rstrip() for line in lines[:3])
    assert max(map(len, lines)) <= 80
    assert first.startswith("study 2/6 ")
    assert label.partition("/")[2] in first
    assert first.endswith(" 13/20 trials")
    assert second == "  best NDCG@10 0.5000 (trial 1), about 11 min 40 s left, of the sweep 2 h 41 min"
    assert third == "  worker 0: trial 13 epoch 104  last 0.2500  best 0.3750"


def test_a_log_says_twice_a_minute_what_runs(tmp_path):
    now, stream, log = [0.0], io.StringIO(), tmp_path / "tune.log"
    view = study(filled=2, best=0.5, best_slot=1, seconds=[100.0], sweep=SweepView(later=10, seconds=[100.0]))
    view.workers[1] = WorkerView("trial 2", epoch=4, last=0.25, best=0.375, since=0.0)
    with Display(log, stream=stream, clock=lambda: now[0]) as display:
        for second in range(95):
            now[0] = float(second)
            display.show(view)
    assert stream.getvalue().splitlines() == [
        f"toy/NARM 2/20 trials; worker 1: trial 2, epoch 4, last 0.2500, best 0.3750; "
        f"best NDCG@10 0.5000 (trial 1); about {left} left, of the sweep {sweep}"
        for left, sweep in (
            ("29 min 30 s", "46 min 10 s"),
            ("29 min 00 s", "45 min 40 s"),
            ("28 min 30 s", "45 min 10 s"),
        )
    ]
    assert len(log.read_text().splitlines()) == 3


def test_a_terminal_is_not_told_twice_but_its_log_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    now, stream, log = [0.0], Terminal(), tmp_path / "tune.log"
    with Display(log, stream=stream, clock=lambda: now[0]) as display:
        now[0] = 31.0
        display.show(study(), force=True)
    assert "; best NDCG@10 none yet" not in stream.getvalue()
    assert "toy/NARM 0/20 trials; best NDCG@10 none yet" in log.read_text()


def test_the_time_left_counts_down_while_a_trial_runs():
    view = study(filled=18, seconds=[100.0], epochs=50)
    view.workers[1] = WorkerView("trial 18", since=1000.0, epoch=10)
    assert [view.left(1000.0 + ran) for ran in (0, 30, 99)] == [200, 170, 101]
    assert view.left(1200.0) == 100 + 50, "longer than others: a quarter of what it has run"
    view.workers[1].epoch = 49
    assert view.left(1200.0) == pytest.approx(100 + 200 / 49), "by its epochs, where they end sooner"


def test_before_a_trial_has_ended_its_epochs_tell_the_time_left():
    view = study(filled=0, budget=2, epochs=50)
    view.workers[1] = WorkerView("trial 0", since=0.0)
    assert view.left(10.0) is None
    assert view.left_text(10.0) == ""
    view.workers[1].epoch = 5
    assert view.left(10.0) == 90 + 100
    assert view.left_text(10.0) == "at most 3 min 10 s left"


def test_a_trial_is_named_by_what_it_changed():
    defaults = {"n_layers": 1, "dropout": 0.5, "loss_type": "CE"}
    assert changed_text({"n_layers": 2, "dropout": 0.123456, "loss_type": "CE"}, defaults) == (
        "n_layers 2, dropout 0.1235"
    )
    assert changed_text(dict(defaults), defaults) == "the defaults"
    assert changed_text({}, defaults) == ""


TABLE = (
    "| data set | model | test NDCG@10 | parameters |\n|---|---|---:|---|\n"
    "| ml-100k | **SASRec** | 0.1234 | learning\\_rate 0.001, n_layers 2, hidden_size 128, dropout 0.5 |\n"
    "| ml-100k | a \\| b | - | no trial succeeded |\n\nEvery model had the same budget: 3 trials.\n"
)


def test_a_table_is_drawn_on_a_terminal_and_plain_elsewhere(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    plain, terminal = io.StringIO(), Terminal()
    show_markdown(TABLE, plain)
    assert plain.getvalue() == f"{TABLE}\n"
    show_markdown(TABLE, terminal)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert max(map(len, drawn.splitlines())) <= 80
    assert re.search(r"ml-100k +SASRec +0\.1234 +learning_rate 0\.001", drawn)
    assert "a | b" in drawn
    assert "Every model had the same budget: 3 trials." in drawn
    assert "|---" not in drawn
    assert "**" not in drawn


def test_a_terminal_shows_how_many_trials_were_pruned(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    stream = Terminal()
    with Display(stream=stream) as display:
        display.show(study(filled=7, pruned=3), force=True)
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "7/20 trials, 3 pruned" in shown


def test_a_terminal_is_redrawn_at_most_ten_times_a_second(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Display(stream=stream) as display:
        display.show(study(), force=True)
        size = len(stream.getvalue())
        for _ in range(50):
            display.show(study())
        assert len(stream.getvalue()) <= 2 * size
