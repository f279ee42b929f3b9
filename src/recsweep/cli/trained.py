"""The trained model that the options of a command name: a study's winner, or what `train --save` left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsweep.api.slots import require_closed, require_place, store_of
from recsweep.cli.options import as_path, say_aside, source_of, studies_of
from recsweep.common.errors import UserError
from recsweep.common.paths import Outputs
from recsweep.planning.plan import StudyPlan

if TYPE_CHECKING:
    import torch

    from recsweep.training.scoring import TrainedModel


def outputs_of(options: dict[str, Any]) -> Path:
    """The folder of outputs of a command, which may name no sweep."""
    if options.get("trained"):
        return Path(options.get("outputs") or "outputs")
    return studies_of(options, with_data=False).sweep.config.outputs


def scratch_of(options: dict[str, Any]) -> Path:
    """Where a command may write for a moment."""
    return Outputs(outputs_of(options), sweep="").scratch


def asked_model(options: dict[str, Any], device: torch.device) -> tuple[str, TrainedModel]:
    """A name for people, and the model; one whose weights are gone is trained again.

    Raises:
        UserError: not one study was named, or it has not ended.
        InputError: there is no such model.
    """
    folder = as_path(options.get("trained"))
    if folder is not None:
        from recsweep.training.single import saved_model

        for name in ("dataset", "model", "phase", "study_name"):
            if options.get(name) and source_of(name) == "commandline":
                flag = f"--{name.replace('_', '-')}"
                raise UserError(f"{flag} names a study, and --trained another model; give one of them")
        return str(folder), saved_model(folder, outputs_of(options), say_aside)
    plan = _one(options)
    return plan.label, _winner(plan, device)


def _one(options: dict[str, Any]) -> StudyPlan:
    studies = studies_of(options)
    chosen = [plan for plan in studies.chosen if plan.is_last]
    if len(chosen) != 1:
        raise UserError(
            f"lists are made by one model, but {len(chosen)} studies were named; name one with --dataset and "
            "--model, or give what `recsweep train --save` left with --trained"
        )
    require_closed(chosen[0])
    require_place(studies.sweep)
    return chosen[0]


def _winner(plan: StudyPlan, device: torch.device) -> TrainedModel:
    from recsweep.running.study_run import StudyRun
    from recsweep.running.winner import closed_winner, trained_trial
    from recsweep.search.starts import as_begun

    with store_of(plan) as store:
        begun = as_begun(plan, store)
        study = store.find_as_opened(begun.name, begun.definition)
        if study is None:
            raise UserError(f"{plan.label}: the store has no such study; run `recsweep tune` first")
        run = StudyRun(begun, study, say_aside)
        return trained_trial(run, closed_winner(run), device)
