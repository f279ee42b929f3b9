"""Scores per user of tested models, found beside their results: of a search's winner, and its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError, UserError
from recsweep.common.files import to_plain
from recsweep.common.paths import Outputs
from recsweep.statistics.sample import Run
from recsweep.statistics.users import UserScores
from recsweep.study import StudyRecord, Trial

AGAIN = "`recsweep evaluate` tests the winner, or makes them again of the weights that were kept"


class NoScores(UserError):
    """A study has no scores per user, or those of another winner."""

    def __init__(self, study: str, why: str) -> None:
        super().__init__(f"{study} has no scores per user; {why}; {AGAIN}")
        self.study = study


@dataclass(frozen=True)
class Tested:
    """The tests of one study's winner.

    Attributes:
        own: the winner itself, tested once.
        evidence: its configuration trained on other seeds and splits; empty where that was not done.
    """

    record: StudyRecord
    own: UserScores
    evidence: tuple[Run, ...]

    @property
    def split(self) -> int:
        """The split of the search; one that is the same whatever the seed is 0."""
        return self.record.search_split if self.record.dataset.split.drawn else 0


def scores_of(record: StudyRecord, winner: Trial | None, roots: Sequence[Path]) -> UserScores:
    """The test scores of each user, of a study's winner.

    Args:
        roots: folders in which outputs may be.

    Raises:
        NoScores: there are none, or they are another winner's.
    """
    files = [outputs.users(*record.folder_names) for outputs in _outputs(record, roots)]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise NoScores(record.study, f"there is no {files[0]}")
    scores = UserScores.read(found)
    if winner is None or scores.about.get("trial") != winner.slot:
        now = "there is none" if winner is None else f"it is trial {winner.slot}"
        then = f"{found} is of trial {scores.about.get('trial')}"
        raise NoScores(record.study, f"{then}, which was the winner; now {now}")
    return scores


def tested(record: StudyRecord, winner: Trial | None, roots: Sequence[Path]) -> Tested:
    """All tests of a study's winner that are there.

    Raises:
        NoScores: it was not tested, or its scores per user are not there.
    """
    own = scores_of(record, winner, roots)
    evidence = () if winner is None else tuple(_evidence(record, winner, roots))
    return Tested(record, own, evidence)


def _evidence(record: StudyRecord, winner: Trial, roots: Iterable[Path]) -> list[Run]:
    """Runs by split and training seed; a file that cannot be read is none."""
    found: dict[tuple[int, int], UserScores] = {}
    for outputs in _outputs(record, roots):
        folder = outputs.evidence_users(record.dataset_name, record.model_name, 0, 0).parent
        for file in sorted(folder.glob("users-*.parquet")):
            try:
                scores = UserScores.read(file)
            except InputError:
                continue
            about = scores.about
            if _is_of(about, winner):
                found.setdefault((int(about["split_seed"]), int(about["training_seed"])), scores)
    return [(split, scores) for (split, _), scores in sorted(found.items())]


def _is_of(about: Any, winner: Trial) -> bool:
    """True where a run of evidence trained the winner's configuration."""
    params, wanted = about.get("params", {}), to_plain(winner.params)
    same = all(params[name] == value for name, value in wanted.items() if name in params)
    return about.get("trial") == winner.slot and same and {"split_seed", "training_seed"} <= about.keys()


def _outputs(record: StudyRecord, roots: Iterable[Path]) -> list[Outputs]:
    return [record.outputs_below(root) for root in dict.fromkeys(roots)]
