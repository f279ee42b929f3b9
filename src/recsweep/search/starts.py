"""Where a search starts: at the defaults, at the best of an earlier phase, at what is known to be good."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsweep.common.errors import InputError, UserError
from recsweep.common.files import canonical_json, counted
from recsweep.planning.plan import StudyPlan
from recsweep.search.limits import closed
from recsweep.study import SEARCH, Shelf, State, Store, Study, StudyRecord, Trial, best
from recsweep.sweeps import space as spaces
from recsweep.sweeps.documents import load_document, nearest
from recsweep.sweeps.space import Params

STARTS = "starts"
"""Attribute of a study: parameters of its first slots, as they were when it was opened."""
_FILES = (".json", ".yaml", ".yml")


def open_study(plan: StudyPlan, store: Store, *, restart: bool = False, origin: Trial | None = None) -> Study:
    """The study in the store, made now if there is none, with what it starts from.

    Args:
        origin: the trial of an earlier phase that it inherits (`begin`).

    Raises:
        StudyChanged: the study has trials and was made from another definition.
        UserError: where it starts, none of the phase's parameters exists.
    """
    if not plan.space and plan.model.space:
        raise UserError(
            f"{plan.label}: there is nothing to search; none of the phase's parameters exists where it "
            "starts; add what they depend on to the phase, or leave the phase out"
        )
    study = store.open_study(
        plan.name, plan.definition, maximize=plan.directions, restart=restart, record=plan.record()
    )
    store.name_objectives(study, [objective.name for objective in plan.objectives])
    if plan.kind == SEARCH:
        known_good(plan, study)
    if origin is not None and plan.previous is not None:
        study.inherit(origin, plan.previous, plan.space, plan.defaults)
    return study


# -- phases --------------------------------------------------------------------------------------


def begin(plan: StudyPlan, store: Store, best_params: str | None = None) -> tuple[StudyPlan, Trial | None]:
    """A study with its start: that of a file, else the best of the phase before, else the defaults.

    Args:
        best_params: a file of parameters, or a pattern of which the newest file is taken.

    Returns:
        The study, and the trial of the phase before that it inherits.

    Raises:
        InputError: the file does not fit the model.
        UserError: the phase before is not complete.
    """
    if best_params:
        path = newest(best_params)
        return replace(plan, start=_whole(plan, read_single(path), path)), None
    if plan.previous is None:
        return plan, None
    earlier = replace(plan, phase=plan.previous, study_name=None, slots=None)
    study = store.find_study(earlier.name)
    if study is not None:
        found = _winner(earlier, study)
        start = {**_started_at(plan, study), **found.params}
        return replace(plan, start=_typed(plan.model.space, start), inherits=True), found
    path = earlier.outputs.best_params(earlier.dataset_name, earlier.model_name, earlier.phase)
    if path.is_file():
        return replace(plan, start=_whole(plan, read_single(path), path)), None
    raise UserError(
        f"{plan.label}: starts from the best of the phase {earlier.phase}, which is not in the store; "
        f"run `recsweep tune` with --phase {earlier.phase} first, or give a file with --best-params"
    )


def as_begun(plan: StudyPlan, store: Store) -> StudyPlan:
    """A study that is in the store, with the start and the slots that it has there."""
    study = store.find_study(plan.name)
    record = study.record() if study is not None else None
    if study is None or record is None:
        return plan
    begun = _started(plan, record)
    slots = 1 + max((trial.slot for trial in study.results()), default=-1)
    return replace(begun, slots=max(begun.budget, slots))


def _started(plan: StudyPlan, record: StudyRecord) -> StudyPlan:
    return replace(plan, start=record.start, inherits=record.inherits)


def _winner(earlier: StudyPlan, study: Study) -> Trial:
    """The best of a phase that is complete."""
    record = study.record()
    started = _started(earlier, record) if record is not None else earlier
    if closed(started, study) is None:
        raise UserError(
            f"{earlier.label}: {len(study.results())} of {counted(started.budget, 'trial')} are there, and "
            f"the next phase starts from the best of all; "
            f"run `recsweep tune` with --phase {earlier.phase} first"
        )
    found = best(study.results(), maximize=earlier.maximize)
    if found is None or found.state != State.COMPLETE:
        raise UserError(
            f"{earlier.label}: no trial succeeded, so that the next phase has no start; "
            "correct the cause and pass --restart, or give a file with --best-params"
        )
    return found


def _started_at(plan: StudyPlan, study: Study) -> Params:
    record = study.record()
    return dict((record.start if record is not None else None) or plan.model.defaults)


# -- known good configurations -------------------------------------------------------------------


def known_good(plan: StudyPlan, study: Study) -> tuple[Params, ...]:
    """Parameters of the first slots, settled when the study is opened: later changes move nothing.

    Raises:
        InputError: a file that is not there, or that does not fit the space.
    """
    settled = study.attributes.get(STARTS)
    if settled is not None and study.trials():
        return tuple(spaces.cast(plan.space, params) for params in settled)
    starts = list(plan.known_good)
    texts = set(map(canonical_json, starts))  # by their types too: True equals 1
    for params in (*_warm(plan, study.store), *_transferred(plan, study.store)):
        if (text := canonical_json(params)) not in texts:
            texts.add(text)
            starts.append(params)
    search = plan.sweep.search
    if len(starts) > 1 or settled is not None or search.warm_start or search.transfer:
        study.set_attribute(STARTS, starts)
    return tuple(starts)


def settled_starts(plan: StudyPlan, study: Study) -> tuple[Params, ...]:
    """The points that `known_good` settled, for a worker."""
    settled = study.attributes.get(STARTS)
    return plan.known_good if settled is None else tuple(spaces.cast(plan.space, p) for p in settled)


def check_files(plan: StudyPlan, best_params: str | None = None) -> None:
    """Look at the files that a study starts from, before there is a store: a dry run asks for no more.

    Raises:
        InputError: one is not there, or does not fit the space.
    """
    names = [_filled_in(entry, plan) for entry in plan.sweep.search.warm_start]
    for path in (plan.folder / name for name in names if name.endswith(_FILES)):
        for params in read_params(path):
            _whole(plan, params, path)
    if best_params:
        path = newest(best_params)
        _whole(plan, read_single(path), path)


def _warm(plan: StudyPlan, store: Shelf) -> Iterator[Params]:
    for entry in plan.sweep.search.warm_start:
        name = _filled_in(entry, plan)
        if name.endswith(_FILES):
            path = plan.folder / name
            for params in read_params(path):
                yield spaces.cast(plan.space, _whole(plan, params, path))
            continue
        best = _best_of(plan, store.find_study(name))
        if best is None:
            raise UserError(
                f"{plan.label}: warm_start names the study {name}, of which the store has no complete trial "
                "in this space; name one that has, or a file"
            )
        yield best


def _filled_in(entry: str, plan: StudyPlan) -> str:
    """A name with its placeholders; other braces stay as they are."""
    names = {"dataset": plan.dataset_name, "model": plan.model_name, "phase": plan.phase}
    return re.sub(r"\{(dataset|model|phase)\}", lambda found: names[found[1]], entry)


def _transferred(plan: StudyPlan, store: Shelf) -> Iterator[Params]:
    """The best of the same model and phase on the other data sets, in the order of the sweep."""
    if not plan.sweep.search.transfer:
        return
    for dataset in plan.sweep.datasets:
        if dataset == plan.dataset_name:
            continue
        other = replace(plan, dataset_name=dataset, study_name=None)
        params = _best_of(plan, store.find_study(other.name))
        if params is not None:
            yield params


def _best_of(plan: StudyPlan, study: Study | None) -> Params | None:
    """The best parameters of another study, where they are a point of this one's space."""
    found = best(study.results(), maximize=plan.maximize) if study is not None else None
    if found is None:
        return None
    params = {**plan.defaults, **{k: v for k, v in found.params.items() if k in plan.space}}
    if any(not plan.space[name].contains(value) for name, value in params.items()):
        return None
    point = spaces.cast(plan.space, params)
    return point if spaces.is_allowed(plan.space, point) else None


def _whole(plan: StudyPlan, params: Mapping[str, Any], path: Path) -> Params:
    """The parameters of a file with the model's defaults for those that it does not name."""
    space = plan.model.space
    for name, value in params.items():
        if name not in space:
            raise InputError(path, f"{plan.model_name} does not search `{name}`", nearest(name, space))
        if not space[name].contains(value):
            raise InputError(
                path,
                f"{value!r} of `{name}` lies outside its space",
                "widen the space, or take another value",
            )
    whole = _typed(space, {**plan.model.defaults, **params})
    for rule in plan.rules:
        if not rule.holds(spaces.cast(space, whole)):
            raise InputError(path, f"`{rule.text}` does not hold there", "take other values")
    return whole


def _typed(space: spaces.Space, params: Mapping[str, Any]) -> Params:
    """Every value in its own type; those too that do not exist here, for a search may come where they do."""
    return {name: space[name].cast(params[name]) for name in space if name in params}


# -- files of parameters -------------------------------------------------------------------------


def newest(pattern: str) -> Path:
    """A file by its name, or the newest of those that a pattern such as `outputs/**/best_params.json` meets.

    Raises:
        InputError: there is none.
    """
    path = Path(pattern)
    if path.is_file():
        return path
    # Not Path.glob, which raises for some patterns.
    found = [Path(name) for name in glob.glob(pattern, recursive=True) if Path(name).is_file()]  # noqa: PTH207
    if not found:
        raise InputError("--best-params", f"there is no file {pattern}", "give a best_params.json")
    return max(found, key=lambda file: (file.stat().st_mtime, str(file)))


def read_single(path: Path) -> dict[str, Any]:
    """The one configuration of a file."""
    found = read_params(path)
    if len(found) != 1:
        raise InputError(path, f"must hold one configuration, but holds {len(found)}", "keep one of them")
    return found[0]


def read_params(path: Path) -> list[dict[str, Any]]:
    """The configurations of a file: parameters by name, a list of such, or a best_result.yaml.

    Raises:
        InputError: it is not there, or something else.
    """
    data: Any = _json(path) if path.suffix == ".json" else load_document(path).data
    several: Sequence[Any] = data if isinstance(data, list) else [data]
    found = [item.get("parameters", item) if isinstance(item, dict) else item for item in several]
    if not found or not all(map(_are_parameters, found)):
        raise InputError(path, "must hold parameters by name", 'write {"learning_rate": 0.001}')
    return found


def _are_parameters(data: Any) -> bool:
    return isinstance(data, dict) and all(isinstance(name, str) for name in data)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            path, "there is no such file", "give a best_params.json or best_result.yaml"
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(
            path, f"not valid JSON: {error.msg}", "correct it", error.lineno, error.colno
        ) from None
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: nested without end
        raise InputError(path, f"cannot be read: {error}", "make it a readable file") from None
