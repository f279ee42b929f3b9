"""The store: studies, their slots, and the trials that fill them. The only importer of Optuna's storages.

The store is a storage of Optuna's, so any Optuna tool opens it. A slot is one unit of the budget
and keeps its number and its seed whatever happens. It is filled by trials: the first one waits
from the start; when the process of a trial dies, the trial is closed as failed and a new one waits
for the same slot. What a slot came to is what its latest trial came to.

Optuna's rules do the rest: a waiting trial is claimed by an atomic change of state, of which one
worker wins; a finished trial is immutable, so a worker that comes back late is told so.

What stands here is imported when it is asked for: a plan describes its study without Optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsweep.study.details import Energy, Failure, Holder, Inherited, Lineage, Result, Stretch
    from recsweep.study.orphans import HEARTBEAT_SECONDS, STALE_AFTER_SECONDS
    from recsweep.study.outcomes import best
    from recsweep.study.record import BASELINE, ENSEMBLE, EVIDENCE, SEARCH, StudyRecord
    from recsweep.study.states import Reason, State
    from recsweep.study.stop_flag import FlagWatch, StopFlag, raise_flag, standing, take_back
    from recsweep.study.store import Store
    from recsweep.study.study import DATA_ATTRIBUTE, SHARING_ATTRIBUTE, TEST_ATTRIBUTE, Shelf, Study
    from recsweep.study.trial import Claim, Trial, by_end, claim_of

_FILES = {
    "details": ("Energy", "Failure", "Holder", "Inherited", "Lineage", "Result", "Stretch"),
    "orphans": ("HEARTBEAT_SECONDS", "STALE_AFTER_SECONDS"),
    "outcomes": ("best",),
    "record": ("BASELINE", "ENSEMBLE", "EVIDENCE", "SEARCH", "StudyRecord"),
    "states": ("Reason", "State"),
    "stop_flag": ("FlagWatch", "StopFlag", "raise_flag", "standing", "take_back"),
    "store": ("Store",),
    "study": ("DATA_ATTRIBUTE", "SHARING_ATTRIBUTE", "TEST_ATTRIBUTE", "Shelf", "Study"),
    "trial": ("Claim", "Trial", "by_end", "claim_of"),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}

__all__ = [
    "BASELINE",
    "DATA_ATTRIBUTE",
    "ENSEMBLE",
    "EVIDENCE",
    "HEARTBEAT_SECONDS",
    "SEARCH",
    "SHARING_ATTRIBUTE",
    "STALE_AFTER_SECONDS",
    "TEST_ATTRIBUTE",
    "Claim",
    "Energy",
    "Failure",
    "FlagWatch",
    "Holder",
    "Inherited",
    "Lineage",
    "Reason",
    "Result",
    "Shelf",
    "State",
    "StopFlag",
    "Store",
    "Stretch",
    "Study",
    "StudyRecord",
    "Trial",
    "best",
    "by_end",
    "claim_of",
    "raise_flag",
    "standing",
    "take_back",
]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
    return value
