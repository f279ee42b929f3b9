"""One study as Python code looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsweep.common.escape import for_html
from recsweep.common.files import dump_yaml
from recsweep.looking.details import facts
from recsweep.looking.listing import FINISHED, Row
from recsweep.report.text import reason
from recsweep.study import Store, Trial, best
from recsweep.study.record import StudyRecord
from recsweep.sweeps.parameters import Parameter

if TYPE_CHECKING:
    from recsweep.api.frames import DataFrame

_TRIAL = {
    **{"slot": "int64", "state": "object", "score": "float64"},
    **{"best_epoch": "Int64", "epochs": "Int64", "seconds": "float64", "path": "object"},
    **{"seed": "Int64", "attempt": "int64", "inherited": "object", "reason": "object"},
}
_CURVE = {"slot": "int64", "epoch": "int64", "score": "float64"}


@dataclass(frozen=True)
class Best:
    """The best trial of a study, by validation."""

    slot: int
    """Its number in the study's budget."""
    score: float
    """On validation, by which it was chosen."""
    params: Mapping[str, Any]
    """Its parameters, complete: with those that its phase did not search."""
    metrics: Mapping[str, float]
    """All of its metrics on validation."""
    test: Mapping[str, float] | None
    """Its metrics on the test split; None until the study has ended and the winner was tested."""


class FoundStudy:
    """A study in a store. `Found` has them.

    How far it is is what it was when it was asked for; its trials are read when they are asked for.
    """

    def __init__(self, store: Store, row: Row) -> None:
        self._store, self._row = store, row

    def __repr__(self) -> str:
        row = self._row
        return f"<FoundStudy {self.name}: {row.state}, {row.trained} of {row.budget} trials>"

    def _repr_html_(self) -> str:
        """HTML for a notebook: the facts of `recsweep show`."""
        cells = (
            f"<tr><th>{for_html(name)}</th><td style='text-align: left; white-space: pre-wrap'>"
            f"{for_html(_text(value))}</td></tr>"
            for name, value in facts(self._row).items()
        )
        return f"<table>{''.join(cells)}</table>"

    @property
    def name(self) -> str:
        """Its name in the store."""
        return self.record.study

    @property
    def record(self) -> StudyRecord:
        """All that the store says of it: data, models, search, definition, budget, who made it and when."""
        return self._row.record

    @property
    def state(self) -> str:
        """`finished`, `running`, `not finished`, `not begun` or `archived`."""
        return self._row.state

    @property
    def space(self) -> Mapping[str, Parameter]:
        """The parameters that it searches."""
        return self.record.space

    @property
    def best(self) -> Best | None:
        """The best trial until now, by validation; None where none has a score."""
        study = self._store.study_of(self.record)
        winner = best(study.results(), maximize=self.record.maximize)
        if winner is None or winner.score is None:
            return None
        test = study.test_metrics(winner) if self.state == FINISHED else None
        params = self.record.complete(winner.params)
        return Best(winner.slot, winner.score, params, dict(winner.result.metrics), test)

    def trials(self) -> DataFrame:
        """The trials that fill their slots, pruned and failed ones among them.

        Returns:
            A row a slot: `state`, `score`; of several objectives `objectives.NAME`; `params.NAME` of each
            parameter, `metrics.NAME` of each metric on validation; `best_epoch`, `epochs`, `seconds`; `path`:
            whose code trained it; `seed`, `attempt`; `inherited`: the phase and slot whose result it has;
            `reason`: why it failed or was pruned.
        """
        from recsweep.api.frames import frame_of

        return frame_of(self.trial_rows(), _TRIAL, ["slot"])

    def trial_rows(self) -> list[dict[str, Any]]:
        """The same as plain values, a dictionary a trial."""
        results, objectives = self._results(), self.record.objectives
        params = dict.fromkeys(name for trial in results for name in trial.params)
        metrics = dict.fromkeys(name for trial in results for name in trial.result.metrics)
        several = [one.name for one in objectives] if len(objectives) > 1 else []
        return [_flat(trial, list(params), list(metrics), several) for trial in results]

    def curves(self) -> DataFrame:
        """The learning curves of these trials.

        Returns:
            A row a validation: `slot`, `epoch`, `score`.
        """
        from recsweep.api.frames import frame_of

        rows = [
            {"slot": trial.slot, "epoch": epoch, "score": score}
            for trial in self._results()
            for epoch, score in trial.curve.items()
        ]
        return frame_of(rows, _CURVE)

    def _results(self) -> list[Trial]:
        return self._store.study_of(self.record).results()


def _flat(trial: Trial, params: list[str], metrics: list[str], objectives: list[str]) -> dict[str, Any]:
    """A trial as one row; parameters and metrics that it has not stand there as None."""
    result, origin = trial.result, trial.inherited
    values = dict(zip(objectives, trial.values, strict=False))
    return {
        "slot": trial.slot,
        "state": str(trial.state),
        "score": trial.score,
        **{f"objectives.{name}": values.get(name) for name in objectives},
        **{f"params.{name}": trial.params.get(name) for name in params},
        **{f"metrics.{name}": result.metrics.get(name) for name in metrics},
        "best_epoch": result.best_epoch,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "path": result.path,
        "seed": trial.seed,
        "attempt": trial.attempt,
        "inherited": f"{origin.phase}/{origin.slot}" if origin else None,
        "reason": reason(trial) or None,
    }


def _text(value: Any) -> str:
    return dump_yaml(value).rstrip() if isinstance(value, dict | list) else str(value)
