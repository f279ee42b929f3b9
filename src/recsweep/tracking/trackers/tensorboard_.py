"""TensorBoard's event files. The only importer of TensorBoard; torch's writer is not needed for it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Written
from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from recsweep.tracking.base import Given, Tracker
from recsweep.tracking.events import Begun, Ended, Epoch, RunName, Summary, Tested

_STUDY = "study"


class TensorboardTracker(Tracker):
    """`tensorboard`: a folder a trial, and one for each study; a step is an epoch, of a study a trial."""

    def __init__(self, given: Given) -> None:
        super().__init__(given)
        self._open: dict[Path, _Folder] = {}

    def begun(self, event: Begun) -> None:
        folder = self._run(event.run)
        folder.text("parameters", event.params, event.attempt)
        about = {"seed": event.seed, "inherited from": event.inherited or None, **event.environment}
        folder.text("about", about, event.attempt)
        plain = {name: _hparam(value) for name, value in event.params.items()}
        if not folder.has("_hparams_/session_start_info", 0):
            folder.add(hparams_pb(plain, event.run.id, event.time), 0)

    def epoch(self, event: Epoch) -> None:
        for name, value in event.metrics.items():
            self._run(event.run).scalar(name, value, event.epoch, event.time)

    def ended(self, event: Ended) -> None:
        folder = self._run(event.run)
        told: dict[str, Any] = {"state": event.state, "reason": event.reason, "message": event.message}
        told |= {"score": event.score, "best epoch": event.best_epoch, "epochs": event.epochs}
        told |= {"seconds": event.seconds, "path": event.path, "checkpoint": event.checkpoint}
        folder.text("end", told, event.attempt)
        for name, value in event.metrics.items():
            folder.scalar(f"best/{name}", value, event.best_epoch or 0, event.time)
        if event.counted:
            self._let_go(folder)

    def summary(self, event: Summary) -> None:
        folder = self._folder(self.given.folder / event.study.folder / _STUDY)
        told = {"state": event.state, "ended by": event.ended_by, **event.counts, "best": event.best}
        step = sum(event.counts.values())
        folder.text("summary", told, step)
        folder.text("table", _table(event.rows), step)
        if event.parallel:
            folder.image("parallel coordinates", base64.b64decode(event.parallel), step)
        for slot, score, best in event.history:
            if score is not None:
                folder.scalar("history/score", score, int(slot or 0), event.time)
            if best is not None:
                folder.scalar("history/best", best, int(slot or 0), event.time)
        for objective, shares in event.importance.items():
            for name, share in shares.items():
                folder.scalar(f"importance of {objective}/{name}", share, step, event.time)
        self._let_go(folder)

    def tested(self, event: Tested) -> None:
        folder = self._run(event.run)
        folder.text("winner", {"tested": True, **event.metrics}, 0)
        for name, value in event.metrics.items():
            folder.scalar(f"test/{name}", value, 0, event.time)
        self._let_go(folder)

    def settle(self) -> None:
        for folder in self._open.values():
            folder.flush()

    def close(self) -> None:
        for folder in self._open.values():
            folder.close()
        self._open.clear()

    def _run(self, run: RunName) -> _Folder:
        return self._folder(self.given.folder / run.study.folder / f"trial-{run.slot:05d}")

    def _folder(self, path: Path) -> _Folder:
        if path not in self._open:
            self._open[path] = _Folder(path)
        return self._open[path]

    def _let_go(self, folder: _Folder) -> None:
        """Close the files of a run that is over, and end its writer's thread."""
        folder.close()
        del self._open[folder.path]


class _Folder:
    """The event files of one run; what is in them already is not written again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._there = {(tag, step) for file in path.glob("*.tfevents.*") for tag, step in _tags(file)}
        self._writer = EventFileWriter(str(path), max_queue_size=100, flush_secs=3600)

    def has(self, tag: str, step: int) -> bool:
        return (tag, step) in self._there

    def scalar(self, tag: str, value: float, step: int, time: float) -> None:
        if not self.has(tag, step):
            self.add(Written(value=[Written.Value(tag=tag, simple_value=value)]), step, time)

    def text(self, tag: str, about: Any, step: int) -> None:
        """Values as a table in Markdown, or a text as it is."""
        shown = about if isinstance(about, str) else _table([{"": k, " ": v} for k, v in about.items()])
        if self.has(tag, step):
            return
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype=DT_STRING, string_val=[shown.encode("utf-8")], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        self.add(Written(value=[Written.Value(tag=tag, metadata=metadata, tensor=tensor)]), step)

    def image(self, tag: str, png: bytes, step: int) -> None:
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        image = Written.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        if not self.has(tag, step):
            self.add(Written(value=[Written.Value(tag=tag, image=image)]), step)

    def add(self, written: Any, step: int, time: float = 0.0) -> None:
        self._writer.add_event(Event(summary=written, step=step, wall_time=time))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _tags(file: Path) -> list[tuple[str, int]]:
    """Tags and steps of a file; a kill may have left its last record torn, which the loader leaves out."""
    events = EventFileLoader(str(file)).Load()
    return [(value.tag, event.step) for event in events for value in event.summary.value]


def _hparam(value: Any) -> bool | float | str:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([_cell(row.get(name)) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\n", " ")
