"""The trackers that need nothing more: each read back by its own means."""

from __future__ import annotations

import csv
import errno
import json
import os

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.tracker_contract import STORY, STUDY, Seen, TrackerContract, begun, epochs
from recsweep.sweeps.tracker_table import TRACKERS
from recsweep.tracking.base import Lines

FOLDER = STUDY.folder


class TestJsonLines(TrackerContract):
    row = TRACKERS["jsonl"]

    def lines(self, folder):
        text = (folder / f"{FOLDER}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def read_back(self, folder):
        seen = {}
        for line in self.lines(folder):
            if line["kind"] == "summary":
                continue
            one = seen.setdefault(line["run"]["slot"], Seen())
            if line["kind"] == "begun":
                one.params = line["params"]
            elif line["kind"] == "epoch":
                one.epochs.append((line["epoch"], line["metrics"]["ndcg@10"]))
            elif line["kind"] == "ended":
                one.state, one.reason = line["state"], line["reason"]
            else:
                one.test = line["metrics"]
        return seen

    def summaries(self, folder):
        return sum(line["kind"] == "summary" for line in self.lines(folder))


class TestCsv(TrackerContract):
    row = TRACKERS["csv"]

    def rows(self, folder, name):
        with (folder / FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def read_back(self, folder):
        seen = {}
        for row in self.rows(folder, "trials"):
            one = seen.setdefault(int(row["trial"]), Seen())
            one.state, one.reason, one.params = row["state"], row["reason"], json.loads(row["params"])
        for row in self.rows(folder, "epochs"):
            seen[int(row["trial"])].epochs.append((int(row["epoch"]), float(row["value"])))
        for row in self.rows(folder, "tests"):
            seen[int(row["trial"])].test[row["metric"]] = float(row["value"])
        return seen

    def summaries(self, folder):
        assert [row["parameter"] for row in self.rows(folder, "importance")] == ["learning_rate", "n_layers"]
        return len(self.rows(folder, "table")) / 2


class TestTensorboard(TrackerContract):
    row = TRACKERS["tensorboard"]

    def shown(self, folder):
        found = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0})
        found.Reload()
        return found

    def text(self, shown, tag):
        tensors = shown.Tensors(tag)
        lines = tensors[-1].tensor_proto.string_val[0].decode().splitlines()[2:]
        return dict([cell.strip() for cell in line.replace("\\|", "¦").split("|")[1:-1]] for line in lines)

    def read_back(self, folder):
        seen = {}
        for path in sorted((folder / FOLDER).glob("trial-*")):
            shown, one = self.shown(path), Seen()
            tags = shown.Tags()["scalars"]
            if "ndcg@10" in tags:
                one.epochs = [(scalar.step, scalar.value) for scalar in shown.Scalars("ndcg@10")]
            one.test = {tag[5:]: shown.Scalars(tag)[0].value for tag in tags if tag.startswith("test/")}
            assert all(len(shown.Scalars(tag)) == 1 for tag in tags if tag.startswith(("test/", "best/")))
            end = self.text(shown, "end")
            one.state, one.reason = end["state"], end["reason"]
            one.params = self.text(shown, "parameters")
            assert "_hparams_/session_start_info" in shown.summary_metadata
            seen[int(path.name[6:])] = one
        return seen

    def summaries(self, folder):
        shown = self.shown(folder / FOLDER / "study")
        assert [scalar.step for scalar in shown.Scalars("history/best")] == [0, 1]
        return len(shown.Tensors("summary"))


@pytest.mark.parametrize("torn", [b"", b'{"mark": "epoch-0.', b"\xff\xfe"])
def test_a_torn_line_is_taken_away(tmp_path, torn):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\n" + torn)
    lines = Lines(path)
    assert lines.lines == ["one", "two"]
    lines.append("three\n")
    lines.close()
    assert path.read_text() == "one\ntwo\nthree\n"


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    lines = Lines(tmp_path / "a.txt")
    lines.append("one\n")

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            if len(data) < 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(data[: len(data) // 2])

        def __getattr__(self, name):
            return getattr(self._file, name)

    whole, lines._file = lines._file, Full(lines._file)
    with pytest.raises(OSError, match="No space"):
        lines.append("a longer line\n")
    lines._file = whole
    lines.append("two\n")
    assert (tmp_path / "a.txt").read_text() == "one\ntwo\n"


def test_a_number_that_json_lacks_is_null(tmp_path):
    tracker = TestJsonLines().make(tmp_path)
    (epoch,) = epochs(0, 1, 1)
    epoch.metrics["ndcg@10"] = float("nan")
    tracker.take(begun(0))
    tracker.take(epoch)
    tracker.close()
    *_, last = TestJsonLines().lines(tmp_path)
    assert last["metrics"] == {"ndcg@10": None}


def test_the_story_has_every_kind_of_event():
    assert {type(event).__name__ for event in STORY} == {"Begun", "Epoch", "Ended", "Summary", "Tested"}
