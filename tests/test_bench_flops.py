"""The arithmetic of benchmarks/speed.py: FLOPs by hand, figures from clock marks, sections of a page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import results  # noqa: E402
import speed_figures as figures  # noqa: E402
from flops import Lengths, epoch_flops  # noqa: E402
from speed_figures import Figures  # noqa: E402

# Two sequences, of 2 and 3 tokens: 3 + 6 pairs. No validation. Ten items, padding included.
TRAIN, NONE, ITEMS = Lengths(samples=2, tokens=5, pairs=9), Lengths(0, 0, 0), 10


@pytest.mark.parametrize(
    ("model", "params", "forward"),
    [
        # 4 inner products of 3 multiplications and 3 additions, for 2 samples
        ("FPMC", {"embedding_size": 3}, 2 * 4 * 6),
        # 5 tokens of 3 additions; 2 samples: 2 last items and 10 logits, 6 operations each
        ("FOSSIL", {"embedding_size": 3, "order_len": 2}, 5 * 3 + 2 * 12 * 6),
        # a token: 3*12 + 4*12 multiplications; a sample: dense 4*3, logits 3*10
        ("GRU4Rec", {"embedding_size": 3, "hidden_size": 4, "num_layers": 1}, 5 * 168 + 2 * (24 + 60)),
        # a second layer: 4*12 + 4*12 multiplications
        ("GRU4Rec", {"embedding_size": 3, "hidden_size": 4, "num_layers": 2}, 5 * 360 + 2 * (24 + 60)),
        # as GRU4Rec; a token: a_1 4*4, v_t 4, sum 4; a sample: a_2 4*4, b 8*3, logits 3*10
        ("NARM", {"embedding_size": 3, "hidden_size": 4, "n_layers": 1}, 5 * (168 + 48) + 2 * (80 + 60)),
        # a token: w1 3*3, w0 3, weighted sum 3, and 3 additions; a sample: 4 times 3*3, logits 3*10
        ("STAMP", {"embedding_size": 3}, 5 * (18 + 6 + 6 + 3) + 2 * (72 + 60)),
        # one layer: keys and values of a token 2*4*4, its attention 2*4; a sample: query and dense
        # 2*4*4, feed-forward 2*4*8, logits 4*10
        ("SASRec", {"hidden_size": 4, "inner_size": 8, "n_layers": 1}, 5 * (64 + 16) + 2 * (64 + 128 + 80)),
        # and one before it: a token 4*4*4 + 2*4*8, a pair 2*4
        (
            "SASRec",
            {"hidden_size": 4, "inner_size": 8, "n_layers": 2},
            5 * (64 + 16) + 2 * (64 + 128 + 80) + 5 * 256 + 9 * 16,
        ),
    ],
)
def test_flops_of_an_epoch_are_those_counted_by_hand(model, params, forward):
    assert epoch_flops(model, params, TRAIN, NONE, ITEMS) == 3 * forward
    if model != "FPMC":
        assert epoch_flops(model, params, TRAIN, TRAIN, ITEMS) == 4 * forward


def test_fpmc_ranks_all_items_in_validation():
    train_only = epoch_flops("FPMC", {"embedding_size": 3}, TRAIN, NONE, ITEMS)
    assert epoch_flops("FPMC", {"embedding_size": 3}, TRAIN, TRAIN, ITEMS) - train_only == 2 * 10 * 2 * 6


def recbole_epoch(begin: float, seconds: list[float], total: int, valid: tuple[float, int, int]):
    """Batches of 10 samples, then a validation of some seconds over some of all users, then 1 s."""
    marks = [[begin, begin / 2]]
    for one in seconds:
        marks.append([marks[-1][0] + one, marks[-1][1] + one / 2])
    took, done, users = valid
    last, cpu = marks[-1]
    return {
        "train": {"marks": marks, "sizes": [10] * len(seconds), "total": total},
        "valid": {"marks": [[last, cpu], [last + took, cpu + took / 2]], "sizes": [done], "total": users},
        "end": [last + took + 1, cpu + (took + 1) / 2],
    }


def test_some_batches_are_scaled_to_an_epoch():
    epoch = recbole_epoch(105.0, [5, 2, 2, 9], 100, (3, 50, 100))
    raw = {"epochs": [epoch], "spawned": 99.0, "aside": 1.5, "peak": 7, "scores": [0.5]}
    found = figures.from_batches(raw, warm_up=1)
    # the median batch of 2 s, ten times; validation 6 s, and 1 s that is there once
    assert found.epoch == pytest.approx(27)
    assert found.cpu == pytest.approx(13.5)
    assert found.start == pytest.approx(4.5)
    # 18 s seen, 60 samples left at 0.2 s, and validation
    assert found.cold == pytest.approx(4.5 + 18 + 12 + 7)
    assert found.scores == ()  # it is not the score of an epoch


def test_whole_epochs_are_taken_as_they_are():
    first = recbole_epoch(10.0, [5, 2], 20, (3, 50, 50))
    second = recbole_epoch(21.0, [2, 3], 20, (1, 50, 50))
    raw = {"epochs": [first, second], "spawned": 8.0, "aside": 0.0, "peak": 7, "scores": [0.1, 0.2]}
    found = figures.from_batches(raw, warm_up=2)
    assert (found.epoch, found.cpu, found.start) == pytest.approx((7, 3.5, 2))
    assert found.cold == pytest.approx(2 + 11)
    assert found.scores == (0.1, 0.2)


def test_short_epochs_are_scaled_to_whole_ones():
    ends = [[16.0, 4.0], [19.0, 6.0], [24.0, 8.0]]
    raw = {"begin": [12.0, 1.0], "ends": ends, "stride": 4, "spawned": 9.0, "aside": 1.0}
    raw |= {"peak": 7, "scores": [0.1, 0.2, 0.3], "path": "torch"}
    found = figures.from_epochs(raw)
    assert (found.epoch, found.cpu, found.start) == (16, 8, 2)
    assert found.cold == 2 + 4 + 12  # the first quarter as it was, the others warm
    assert found.scores == ()
    unseen = figures.from_epochs({**raw, "begin": None})
    assert unseen.start == 2  # the first epoch is taken for a warm one
    assert unseen.cold == 18


def run(epoch: float, *scores: float) -> Figures:
    return Figures(epoch=epoch, cpu=1.0, start=1.0, cold=1.0, peak=1, scores=scores)


def test_an_epoch_of_processes_at_once_counts_as_its_share():
    assert figures.together([run(10.0), run(14.0)]).epoch == 6
    assert figures.together([run(10.0), run(14.0)]).cpu == 1


def test_ratios_are_medians_of_each_repeat():
    slow, fast = [run(10.0), run(30.0), run(8.0)], [run(5.0), run(5.0), run(8.0)]
    assert figures.ratio(slow, fast) == 2
    assert figures.geometric_mean([2, 8]) == pytest.approx(4)
    assert run(2.0).trials_an_hour == 90


def test_scores_are_compared_after_equally_many_epochs():
    theirs, ours = [run(1, 0.1, 0.2), run(1)], [run(1, 0.1, 0.21, 0.3), run(1, 0.5)]
    assert figures.disagreements(theirs, ours, 1e-4) == [(1, 2, 0.2, 0.21)]


def test_each_benchmark_replaces_its_own_section_only(tmp_path):
    page = tmp_path / "RESULTS.md"
    results.write_section("speed", "fast", page)
    results.write_section("tuner", "other \\1", page)
    results.write_section("speed", "faster", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Results")
    assert "fast\n" not in text
    assert text.index("faster") < text.index("other \\1")
    assert text.count("begin -->") == 2
