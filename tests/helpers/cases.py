"""Bad inputs as they lie in `tests/cases`, unpacked, and what recsweep makes of them without a training."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent.parent / "cases"
_BASES: dict[str, dict[str, str]] = json.loads((CASES / "bases.json").read_text())


@dataclass(frozen=True)
class Case:
    """One input: the files of a base with changes, and how recsweep is called on them."""

    name: str
    base: str
    want: str
    """`ok`, `handle`, `refuse`, or `refuse-or-handle`."""
    says: str = ""
    """What an error that refuses it says, its place or option among it."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    """Text; or None, for a file that is not there; or the edits of a base's: line, lines out, lines in."""
    note: str = ""

    def unpack(self, folder: Path) -> None:
        """Write the files of the case."""
        texts: dict[str, str | None] = dict(_BASES[self.base])
        for name, change in self.files.items():
            texts[name] = _edited(texts[name] or "", change) if isinstance(change, list) else change
        for name, text in texts.items():
            if text is not None:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode("utf-8", "surrogateescape"))

    @property
    def config(self) -> str:
        return "config/config.yaml" if "config/config.yaml" in _BASES[self.base] else "sweep.yaml"


def _edited(text: str, edits: list[Any]) -> str:
    lines = text.split("\n")
    for first, out, new in reversed(edits):
        lines[first : first + out] = new
    return "\n".join(lines)


def cases(kind: str) -> list[Case]:
    """The cases of a file of `tests/cases`."""
    rows = json.loads((CASES / f"{kind}.json").read_text())
    return [Case(**{**row, "args": tuple(row.get("args", ()))}) for row in rows]


class AllChecksPassed(BaseException):
    """Where the first trial would begin."""


class NoSupervisor:
    """Stands where the workers are: opens a study, and trains nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> NoSupervisor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run_study(self, plan: Any, *_: object, **settings: Any) -> None:
        """Open a study, as far as its trials."""
        from recsweep.search.starts import open_study
        from recsweep.study import Store

        store = Store(plan.storage_url)
        try:
            open_study(plan, store, origin=settings.get("origin"))
        finally:
            store.close()
        raise AllChecksPassed


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int | None
    """Exit code; None where the first trial would begin."""
    text: str


class Runner:
    """Calls commands in this process, in a folder of the case's own."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path
    ) -> None:
        self._monkeypatch, self._capsys, self._store = monkeypatch, capsys, store

    def enter(self, case: Case, folder: Path) -> None:
        """Unpack a case and go there; an empty store is there already, since to make one takes a second."""
        case.unpack(folder)
        (folder / "out").mkdir()
        shutil.copy(self._store, folder / "out" / "recsweep.db")
        self._monkeypatch.chdir(folder)
        for name, value in case.env.items():
            self._monkeypatch.setenv(name, value)
        self._monkeypatch.setattr("recsweep.running.supervisor.Supervisor", NoSupervisor)

    def run(self, *arguments: str) -> Outcome:
        """What a command says, and its exit code."""
        from recsweep.cli import main

        self._monkeypatch.setattr(sys, "argv", ["recsweep", *arguments])
        code: Any = None
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except AllChecksPassed:
            pass
        shown = self._capsys.readouterr()
        return Outcome(code, shown.out + shown.err)

    def judge(self, case: Case) -> Outcome:
        """Tune until the first trial would begin; then make its split, as a trial does first."""
        tuned = self.run("tune", "--config", case.config, *case.args)
        if tuned.code is not None:
            return tuned
        chosen = [word for word in ("--models", "--datasets", "--dataset", "--model") if word in case.args]
        options = [part for word in chosen for part in (word, case.args[case.args.index(word) + 1])]
        return self.run("prepare", "--config", case.config, *options)
