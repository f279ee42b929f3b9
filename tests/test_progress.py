from __future__ import annotations

import io
import re

import pytest

from recsweep.errors import InputError, UserError
from recsweep.progress import Display, StudyView, WorkerView, duration


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


def test_lines_are_plain_where_there_is_no_terminal(tmp_path):
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
