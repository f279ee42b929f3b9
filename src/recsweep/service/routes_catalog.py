"""The models and data sets that can be asked for, so that a form can be built of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from recsweep.common.errors import InputError
from recsweep.common.files import to_plain
from recsweep.service.answers import Datasets, Models
from recsweep.service.guard import Reader
from recsweep.service.planned import plain_space
from recsweep.service.problems import errors
from recsweep.service.service import TheService
from recsweep.service.sweep_of import known_names
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.loading import Sweep, load_sweep, make_sweep

router = APIRouter(tags=["catalog"], dependencies=[Reader])


@router.get("/models", response_model=Models, responses=errors())
def list_models(service: TheService) -> Response:
    """The models, with their default spaces."""
    return JSONResponse(_listed(service.config, "models"))


@router.get("/datasets", response_model=Datasets, responses=errors())
def list_datasets(service: TheService) -> Response:
    """The data sets, and how they are split."""
    return JSONResponse(_listed(service.config, "datasets"))


def _listed(config: Path, kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    broken: list[str] = []
    for name in known_names(kind, config):
        path = config / kind / f"{name}.yaml"
        described = _described(config, kind, name, path.stat().st_mtime_ns)
        if described is None:
            broken.append(name)
        else:
            found.append(described)
    return {kind: found, "broken": broken}


@lru_cache(maxsize=1_000)
def _described(config: Path, kind: str, name: str, changed: int) -> dict[str, Any] | None:
    """One file, read again when it has changed; None where it cannot be loaded."""
    others = {"models": "datasets", "datasets": "models"}[kind]
    names = {kind: (name,), others: tuple(known_names(others, config)[:1])}
    try:
        made = make_sweep(SweepConfig(sweep="catalog", **names), config)
        sweep = load_sweep(made)
    except InputError:
        return None
    return _model(sweep, name) if kind == "models" else _dataset(sweep, name)


def _model(sweep: Sweep, name: str) -> dict[str, Any]:
    model = sweep.models[name]
    return {
        "name": name,
        "model": model.model,
        "variants": list(sweep.variants.get(name, ())),
        "space": plain_space(model.space),
        "defaults": to_plain(model.defaults),
        "fixed": to_plain(model.fixed),
        "phases": to_plain(model.phases),
    }


def _dataset(sweep: Sweep, name: str) -> dict[str, Any]:
    dataset = sweep.datasets[name]
    told = ("max_sequence_length", "keep", "min_user_interactions", "min_item_interactions")
    plain = {one: to_plain(getattr(dataset, one)) for one in told}
    return {"name": name, "split": dataset.split.model_dump(mode="json"), **plain}
