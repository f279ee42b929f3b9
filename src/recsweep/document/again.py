"""Everything that is needed to run a sweep again: commit, versions, seeds, hashes, commands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from recsweep.common.escape import for_terminal
from recsweep.document.words import listed
from recsweep.report.comparison import Entry
from recsweep.report.results import StudyResult

CHANGED = "+changes"
"""End of a commit from whose files those that ran differ."""


def commands(entries: Sequence[Entry], config: str, options: Sequence[str] = ()) -> list[str]:
    """The commands that run the sweep again, in order.

    Args:
        config: the sweep's file.
        options: that were given beside it.
    """
    found = [f"git checkout {shlex.quote(commit)}" for commit in commits(entries)[:1]]
    sweep = shlex.join(["--config", config, *options])
    steps = ("tune", "evaluate", "evidence", "report")
    return [*found, "make setup", *(f"recsweep {step} {sweep}" for step in steps)]


def commits(entries: Iterable[Entry]) -> list[str]:
    """The commits of recsweep that trained the trials, the one with most of them first; none that changed."""
    return [commit for commit in _held(entries, "commit") if not commit.endswith(CHANGED)]


def facts(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """The surroundings of the trials, by name; where they differ, all that there were."""
    return list(_facts(entries))


def _facts(entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    told = _held(entries, "commit")
    yield "commit of recsweep", listed(told) if told else "not said"
    repositories = [one for one in _environments(entries, "repository") if isinstance(one, dict)]
    if repositories:
        yield "the user's repository", listed(list(dict.fromkeys(map(_repository, repositories))))
    for name, values in _versions(entries).items():
        yield name, listed(values)
    yield "seed of the sweep", listed(list(dict.fromkeys(str(e.result.record.seed) for e in entries)))


def _repository(held: dict[str, Any]) -> str:
    changed = ", with changes" if held.get("changes") else ""
    return f"{held.get('name')} at {held.get('commit')}{changed}"


def _environments(entries: Iterable[Entry], part: str) -> Iterator[Any]:
    for entry in entries:
        for trial in entry.trials:
            if (held := trial.environment.get(part)) is not None:
                yield held


def _held(entries: Iterable[Entry], part: str) -> list[str]:
    counts: dict[str, int] = {}
    for held in _environments(entries, part):
        counts[str(held)] = counts.get(str(held), 0) + 1
    return sorted(counts, key=lambda value: -counts[value])


def _versions(entries: Iterable[Entry]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for versions in _environments(entries, "versions"):
        for name, version in versions.items():
            found.setdefault(str(name), {})[str(version)] = None
    return {name: list(versions) for name, versions in found.items()}


def data_hashes(results: Iterable[StudyResult]) -> list[tuple[str, str, str]]:
    """Data set, file and SHA-256 of each file that was trained on, each once."""
    rows = (
        (result.record.dataset_name, name, digest)
        for result in results
        for name, digest in result.record.hashes.items()
    )
    return [(dataset, for_terminal(name), digest) for dataset, name, digest in dict.fromkeys(rows)]


def study_rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """A row a study: name, content hash, trial and seed of its winner, epochs of the winner."""
    rows: list[tuple[str, ...]] = []
    for entry in entries:
        winner = entry.result.winner
        best = winner.result.best_epoch if winner else None
        rows.append(
            (
                for_terminal(entry.result.record.name),
                entry.result.record.content_hash[:16],
                "-" if winner is None else str(winner.slot),
                "-" if winner is None or winner.seed is None else str(winner.seed),
                "-" if best is None else str(best),
            )
        )
    return rows


STUDY_COLUMNS = ("study", "content hash", "best trial", "its seed", "its best epoch")
