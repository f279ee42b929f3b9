"""The trained model that the options of a command name: a study's winner, or what `train --save` left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.api.slots import require_closed, require_place, store_of
from recsweep.cli.options import say_aside, source_of, studies_of
from recsweep.cli.own_process import load_torch
from recsweep.common.errors import UserError
from recsweep.common.paths import Outputs
from recsweep.planning.plan import StudyPlan

if TYPE_CHECKING:
    import torch

    from recsweep.running.study_run import StudyRun
    from recsweep.training.ensemble import Ensemble
    from recsweep.training.scoring import TrainedModel


def outputs_of(options: dict[str, Any]) -> Path:
    """The folder of outputs of a command, which may name no sweep."""
    if options.get("trained"):
        return Path(options.get("outputs") or "outputs")
    return studies_of(options, with_data=False).sweep.config.outputs


def scratch_of(options: dict[str, Any]) -> Path:
    """Where a command may write for a moment."""
    return Outputs(outputs_of(options), sweep="").scratch


def asked_model(options: dict[str, Any], device: torch.device) -> tuple[str, TrainedModel | Ensemble]:
    """A name for people, and the model, or an ensemble; one whose weights are gone is trained again.

    Raises:
        UserError: not one study was named, or it has not ended.
        InputError: there is no such model.
    """
    if options.get("trained"):
        return _trained(options)
    chosen = _chosen(options)
    if len(chosen) != 1:
        raise UserError(
            f"lists are made by one model, but {len(chosen)} studies were named; name one with --dataset and "
            "--model, or give what `recsweep train --save` left with --trained"
        )
    from recsweep.running.winner import closed_winner, trained_trial

    with opened_run(chosen[0]) as run:
        return chosen[0].label, trained_trial(run, closed_winner(run), device)


def asked_models(options: dict[str, Any]) -> Iterator[tuple[str, TrainedModel | Ensemble]]:
    """The same of every study that was named, or an ensemble; nothing is trained.

    Raises:
        UserError: a study has not ended, or its weights were not kept.
        InputError: there is no such model.
    """
    if options.get("trained"):
        yield _trained(options)
        return
    from recsweep.running.winner import closed_winner, require_kept

    for plan in _chosen(options):
        with opened_run(plan) as run:
            yield plan.label, require_kept(run, closed_winner(run))


def _trained(options: dict[str, Any]) -> tuple[str, TrainedModel | Ensemble]:
    for name in ("dataset", "model", "phase", "study_name"):
        if options.get(name) and source_of(name) == "commandline":
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"{flag} names a study, and --trained another model; give one of them")
    load_torch()
    return _ensemble(options) if Path(options["trained"]).is_file() else _saved(options)


def _ensemble(options: dict[str, Any]) -> tuple[str, Ensemble]:
    from recsweep.training.ensemble import read_ensemble

    file = Path(options["trained"])
    return str(file), read_ensemble(file, outputs_of(options), say_aside)


def _saved(options: dict[str, Any]) -> tuple[str, TrainedModel]:
    from recsweep.training.single import saved_model

    folder = Path(options["trained"])
    return str(folder), saved_model(folder, outputs_of(options), say_aside)


def _chosen(options: dict[str, Any]) -> list[StudyPlan]:
    """The studies that the options name, each the last phase of its model; all have ended."""
    studies = studies_of(options)
    chosen = [plan for plan in studies.chosen if plan.is_last]
    for plan in chosen:
        require_closed(plan)
    require_place(studies.sweep)
    return chosen


@contextmanager
def opened_run(plan: StudyPlan) -> Iterator[StudyRun]:
    """A study that is in the store, as it was opened.

    Raises:
        UserError: it is not there.
    """
    from recsweep.running.study_run import StudyRun
    from recsweep.search.starts import as_begun

    with store_of(plan) as store:
        begun = as_begun(plan, store)
        study = store.find_as_opened(begun.name, begun.definition)
        if study is None:
            raise UserError(f"{plan.label}: the store has no such study; run `recsweep tune` first")
        load_torch()
        yield StudyRun(begun, study, say_aside)
