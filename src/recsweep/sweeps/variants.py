"""Several models searched as one: the model is a parameter, and each model's own depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsweep.sweeps.config import MODEL_PARAMETER, ModelConfig, VariantsConfig
from recsweep.sweeps.documents import Document, load_document, nearest, validate
from recsweep.sweeps.own_names import in_full
from recsweep.sweeps.parameters import Choice
from recsweep.sweeps.resources import largest


def load_variants(document: Document) -> tuple[dict[str, ModelConfig], dict[str, Document]]:
    """The models that a file of variants names, from the files beside it, and these.

    Raises:
        InputError: one is not there, is named twice, or names several itself.
    """
    names = validate(document, VariantsConfig).model_variants
    folder = document.path.parent
    models: dict[str, ModelConfig] = {}
    documents: dict[str, Document] = {}
    for position, name in enumerate(names):
        path = folder / f"{name}.yaml"
        own = load_document(path) if path.is_file() else None
        if own is None or "model_variants" in own.data or name in models:
            others = (other.stem for other in folder.glob("*.yaml"))
            single = [other for other in others if other not in (document.path.stem, *models)]
            raise document.error(
                ("model_variants", position), f"`{name}` is no other single model", nearest(name, single)
            )
        own.data.setdefault("model", name)
        models[name] = model_of(own)
        documents[name] = own
    return models, documents


def model_of(document: Document) -> ModelConfig:
    """The model of a file; the path of its code, where it is one's own, is relative to the file's folder.

    Raises:
        InputError: a mistake in the file.
    """
    model = validate(document, ModelConfig)
    return model.model_copy(update={"model": in_full(model.model, document.path.parent)})


def merge_variants(name: str, variants: Mapping[str, ModelConfig]) -> ModelConfig:
    """Several models as one: `model` is a parameter, and each model's own depend on it.

    A parameter `p` of the model `M` is named `M.p`, since the same name may have another range there.
    """
    names = tuple(variants)
    space: dict[str, Any] = {MODEL_PARAMETER: Choice(type="choice", values=names)}
    defaults: dict[str, Any] = {MODEL_PARAMETER: names[0]}
    for variant, model in variants.items():
        for own, parameter in model.space.items():
            when = {f"{variant}.{parent}": wanted for parent, wanted in (parameter.when or {}).items()}
            conditions = {"when": {MODEL_PARAMETER: variant, **when}}
            space[f"{variant}.{own}"] = parameter.model_copy(update=conditions)
        defaults |= {f"{variant}.{own}": value for own, value in model.defaults.items()}
    needed = largest(model.resources for model in variants.values())
    return ModelConfig(model=name, defaults=defaults, space=space, resources=needed)
