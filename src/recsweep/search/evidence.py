"""Which configurations of a search are trained again for evidence; their study, opened in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recsweep.common.errors import UserError
from recsweep.common.files import counted, to_plain
from recsweep.planning.evidence import (
    Configuration,
    EvidencePlan,
    Point,
    evidence_name,
    evidence_plan,
    is_same,
    with_points,
)
from recsweep.planning.plan import StudyPlan
from recsweep.search.limits import closed
from recsweep.search.starts import as_begun, open_study
from recsweep.study import SEARCH, State, Store, Study, StudyRecord, Trial
from recsweep.study.definitions import stored_form
from recsweep.study.description import Description
from recsweep.study.slots import POINTS


def wanted_evidence(search: StudyPlan, store: Store) -> EvidencePlan:
    """The evidence of a search as it is now: its best configurations, with what the store has of them first.

    Args:
        search: the last phase of a model.

    Raises:
        UserError: the search has not ended, or nothing in it succeeded.
        StudyChanged: the search in the store is another one.
    """
    begun = as_begun(search, store)
    study = store.find_study(begun.name, begun.definition)
    if study is None or closed(begun, study) is None:
        done = 0 if study is None else len(study.results())
        raise UserError(
            f"{search.label}: {done} of {counted(begun.budget, 'trial')} of the search are there, and "
            "evidence is of the best of all; run `recsweep tune` first"
        )
    found = configurations(begun, study, search.sweep.evidence.top)
    if not found:
        raise UserError(
            f"{search.label}: no trial of the search is complete, so that there is nothing to train again; "
            f"see {search.outputs.trials(*search.folder_names)}"
        )
    plan = evidence_plan(begun, found)
    return with_points(plan, points_in(store.find_study(plan.name), plan))


def configurations(searched: Description, study: Study, top: int) -> list[Configuration]:
    """The best distinct configurations of a search, the best first; ties go to the lower slot."""
    complete = [trial for trial in study.results() if trial.state == State.COMPLETE]
    sign = -1 if searched.maximize else 1
    found: list[Configuration] = []
    for trial in sorted(complete, key=lambda one: (sign * (one.score or 0.0), one.slot)):
        one = _configuration(searched, trial)
        if len(found) < top and not any(is_same(one, other) for other in found):
            found.append(one)
    return found


def _configuration(searched: Description, trial: Trial) -> Configuration:
    lineage = trial.result.lineage
    stretches: tuple[Any, ...] = ()
    if lineage is not None and len(lineage.stretches) > 1:
        stretches = tuple(replace(one, params=searched.complete(one.params)) for one in lineage.stretches)
    params: dict[str, Any] = to_plain(searched.complete(trial.params))
    return Configuration(trial.slot, params, stretches)


def evidence_of(record: StudyRecord, store: Store) -> StudyRecord | None:
    """The study in the store with the evidence of a search; None where there is none.

    Args:
        record: of any study.
    """
    if record.kind != SEARCH or not record.is_last or record.archived is not None:
        return None
    return store.find_record(evidence_name(record))


def points_in(study: Study | None, described: Description | None = None) -> list[Point]:
    """The training of each slot of a study of evidence; nothing where it is not there.

    Args:
        described: the study as it is wanted; one in the store that was made otherwise has nothing for it.
    """
    if study is None:
        return []
    attributes = study.attributes
    if described is not None and stored_form(attributes.get("definition", {})) != stored_form(
        described.definition
    ):
        return []
    return [Point.from_plain(plain) for plain in attributes.get(POINTS, ())]


def open_evidence(plan: EvidencePlan, store: Store) -> EvidencePlan:
    """Put a study of evidence into the store, with what its slots are; that of another search is archived.

    Returns:
        The study with all slots that it has there.
    """
    there = store.find_study(plan.name)
    restart = there is not None and not points_in(there, plan)
    study = open_study(plan, store, restart=restart)
    with study.exclusive():
        whole = with_points(plan, points_in(study))
        study.set_attribute(POINTS, [point.to_plain() for point in whole.points])
    study.update_record(lambda record: record.raised(whole.budget, "evidence"))
    return whole
