"""How much each parameter of a job decides: worked out once a state of its trials, one job at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from recsweep.report.parameter_charts import importances, nothing_to_weigh
from recsweep.report.results import StudyResult
from recsweep.service.jobs import Job, Jobs
from recsweep.study.job_trials import StudyTrials


class Weights:
    """The importance of parameters in the studies of jobs.

    Args:
        outputs: the folder of all outputs.
        most: how many jobs are remembered.
    """

    def __init__(self, jobs: Jobs, outputs: Path, most: int = 64) -> None:
        self._jobs, self._outputs, self._most = jobs, outputs, most
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[int, list[dict[str, Any]]]] = OrderedDict()

    def of(self, job: Job) -> list[dict[str, Any]]:
        """The shares of the parameters, study by study; and why that cannot be said of others."""
        with self._lock:
            events, found = self._found.get(job.id, (None, []))
            if events != job.events:
                found = [self._of_study(one) for one in self._jobs.studies(job)]
                self._found[job.id] = job.events, found
            self._found.move_to_end(job.id)
            if len(self._found) > self._most:
                self._found.popitem(last=False)
            return found

    def _of_study(self, one: StudyTrials) -> dict[str, Any]:
        record = one.study.record
        trials = self._jobs.details((trial for trial in one.trials if trial.counted), whole=True)
        result = StudyResult(record, self._outputs, list(trials.values()), None, None)
        why = nothing_to_weigh(result)
        shares = {} if why else importances(result)
        return {"study": record.label, "why": why, "shares": sorted(shares.items(), key=lambda row: -row[1])}
