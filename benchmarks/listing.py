"""A list of very many studies: how long `recsweep ls` takes over 10,000 of them, on each kind of store.

Each store holds copies of a finished study, filled by bulk. Measured are, in turns: opening the store, the
question (with the rows made of it), question and table as text; and `recsweep ls` as a command, whole.

    python benchmarks/listing.py --write
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.many import many_in_a_journal, many_studies  # noqa: E402
from helpers.postgres import running_postgres  # noqa: E402
from recsweep.looking.listing import listed, markdown  # noqa: E402
from recsweep.study import Store  # noqa: E402
from recsweep.study.record import StudyRecord, now_utc  # noqa: E402
from results import command, own_lines, write_section  # noqa: E402

TARGET = 0.5


@dataclass(frozen=True)
class Found:
    """Medians of one kind of store, in seconds."""

    kind: str
    opened: float
    asked: float
    listed: float
    whole: float


def main() -> int:
    parser = argparse.ArgumentParser(description="How long a list of very many studies takes.")
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the result into RESULTS.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = _finished(Path(folder))
        found = [
            measured(kind, url, arguments.repeats)
            for kind, url in stores(Path(folder), record, arguments.studies)
        ]
    text = report(found, arguments.studies, arguments.repeats)
    print(text)
    if arguments.write:
        write_section("listing", text)
    return 0


def _finished(folder: Path) -> StudyRecord:
    """The record of a study that was tuned; from a store that the tests keep."""
    shutil.copy(ROOT / "tests" / "stores" / "old.db", folder / "one.db")
    store = Store(f"sqlite:///{folder / 'one.db'}")
    try:
        return replace(store.records()[0], begun=now_utc(), ended=now_utc())
    finally:
        store.close()


def stores(folder: Path, record: StudyRecord, count: int) -> Iterator[tuple[str, str]]:
    """Each kind of store, filled, while it is there."""
    many_studies(url := f"sqlite:///{folder / 'many.db'}", record, count)
    yield "SQLite", url
    with _postgres() as url:
        many_studies(url, record, count)
        yield "PostgreSQL", url
    many_in_a_journal(folder / "many.journal", record, count)
    yield "journal (studies without trials)", f"journal:///{folder / 'many.journal'}"


@contextmanager
def _postgres() -> Iterator[str]:
    with running_postgres() as server:
        yield server.new_url()


def measured(kind: str, url: str, repeats: int) -> Found:
    opened, asked, shown, whole = [], [], [], []
    for _ in range(repeats):
        began = time.perf_counter()
        store = Store(url)
        ready = time.perf_counter()
        rows = listed(store.tallied(brief=True))
        answered = time.perf_counter()
        markdown([row.shown() for row in rows])
        ended = time.perf_counter()
        store.close()
        opened.append(ready - began)
        asked.append(answered - ready)
        shown.append(ended - ready)
        whole.append(_command(url))
    return Found(kind, *(statistics.median(each) for each in (opened, asked, shown, whole)))


def _command(url: str) -> float:
    """Seconds of `recsweep ls` from its start to its end."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "recsweep", "ls"],
        env={**os.environ, "RECSWEEP_STORAGE": url},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def report(found: list[Found], studies: int, repeats: int) -> str:
    lines = [
        f"## A list of {studies:,} studies",
        "",
        f"Written by `{command()}` on {time.strftime('%Y-%m-%d')}: medians of {repeats}, in seconds.",
        "",
        *own_lines(),
        f"- Load of the machine meanwhile: {os.getloadavg()[0]:.1f}.",
        "",
        "| store | opened | question | question and table | `recsweep ls`, whole | target of table |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for each in found:
        told = "reached" if each.listed <= TARGET else "missed"
        lines.append(
            f"| {each.kind} | {each.opened:.2f} | {each.asked:.2f} | **{each.listed:.2f}** "
            f"| {each.whole:.2f} | {TARGET}: {told} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
