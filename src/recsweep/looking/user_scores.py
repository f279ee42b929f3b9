"""The scores per user of tested winners, found beside their results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recsweep.common.errors import UserError
from recsweep.statistics.users import UserScores
from recsweep.study import Store, StudyRecord, best


def scores_of(store: Store, record: StudyRecord, roots: Iterable[Path]) -> UserScores:
    """The test scores of each user, of a study's winner.

    Args:
        roots: folders in which outputs may be.

    Raises:
        UserError: there are none, or they are another winner's.
    """
    again = "`recsweep evaluate` tests it, or makes them again of the weights that were kept"
    files = [record.outputs_below(root).users(*record.folder_names) for root in roots]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        looked = ", ".join(map(str, dict.fromkeys(files)))
        raise UserError(f"{record.study} has no scores per user; there is no {looked}; {again}")
    scores = UserScores.read(found)
    winner = best(store.study_of(record).results(), maximize=record.maximize)
    if winner is None or scores.about.get("trial") != winner.slot:
        now = "none" if winner is None else f"trial {winner.slot}"
        raise UserError(
            f"{found} is of trial {scores.about.get('trial')}, but the winner of {record.study} is {now}; "
            f"it was tested before there were more trials; {again}"
        )
    return scores
