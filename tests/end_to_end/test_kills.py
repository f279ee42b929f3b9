"""A sweep that is killed again and again ends as one that was not (`make bench-kills` has 20 kills)."""

from __future__ import annotations

from pathlib import Path

import killing
import pytest

CONFIG = Path(__file__).parents[2] / "config" / "smoke.yaml"


def test_a_sweep_killed_three_times_ends_with_the_usual_summary(tmp_path: Path) -> None:
    _compare(tmp_path, trials=6, epochs=8, kills=3, warm=True)


@pytest.mark.long
def test_a_sweep_killed_twenty_times_ends_with_the_usual_summary(tmp_path: Path) -> None:
    _compare(tmp_path, trials=30, epochs=4, kills=20)


def _compare(folder: Path, trials: int, epochs: int, kills: int, warm: bool = False) -> None:
    sweep = killing.Sweep(CONFIG, trials, epochs, seed=7, warm=warm)
    pace = killing.measured_run(sweep, folder / "undisturbed")
    killing.kill_and_run_on(sweep, folder / "killed", kills, killing.latest_moment(pace, kills), seed=7)
    assert killing.store_problems(folder / "killed", trials) == []
    assert killing.differences(sweep, folder / "undisturbed", folder / "killed") == []
