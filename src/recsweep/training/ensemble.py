"""An ensemble of trained models: chosen on validation, tested, written as one file, and read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsweep.common.errors import UserError
from recsweep.common.files import write_yaml
from recsweep.statistics.users import UserScores
from recsweep.sweeps.documents import load_document
from recsweep.training.cases import TEST, VALID, Cases
from recsweep.training.fusion import FUSIONS, Chosen, choose, measure, measures, standard
from recsweep.training.scoring import Scorer, TrainedModel, scoring
from recsweep.training.single import save_model, saved_model

SCORES_AT_ONCE = 1 << 27
"""Scores of all models together by which members are chosen, 512 MiB; of more, every so many-th case."""
_CASES_AT_ONCE = 1 << 22
_HEADER = """An ensemble of trained models, chosen on validation. Measure it with
recsweep evaluate --trained {path}"""


@dataclass(frozen=True)
class Member:
    """A model, and how often it counts."""

    label: str
    weight: int
    trained: TrainedModel
    hashes: Mapping[str, str]
    """Of the data files that it was trained on."""


@dataclass(frozen=True)
class Ensemble:
    """Models whose rankings are one."""

    fusion: str
    members: Sequence[Member]


@dataclass(frozen=True)
class Choice:
    """A choice on validation, and what each model came to alone."""

    chosen: Chosen
    singles: list[float]
    cases: int
    all_cases: int

    @property
    def best_single(self) -> int:
        """The first of the best models alone."""
        return self.singles.index(max(self.singles))


def choose_members(
    models: Sequence[tuple[str, TrainedModel]], device: torch.device, metric: tuple[str, int]
) -> Choice:
    """Choose members among trained models, by each kind of fusion; the better one stays.

    Raises:
        UserError: two models were not validated on the same cases.
    """
    raw: list[torch.Tensor] = []
    first: Cases | None = None
    some = torch.empty(0, dtype=torch.int64)
    for label, trained in models:
        with scoring(trained, device) as scorer:
            cases = Cases.of(scorer, VALID)
            if first is None:
                first, some = cases, _spread(len(cases.users), len(models), trained)
            _require_alike(models[0][0], first, label, cases)
            raw.append(cases.scores(some))
    if first is None:
        raise UserError("no model was given; nothing can be chosen; name studies whose weights were kept")
    right = first.right.of_rows(some)
    found = [choose([standard(one, kind) for one in raw], right, metric, kind) for kind in FUSIONS]
    best = max(found, key=lambda one: one.score)  # of equal ones the first
    singles = [float(measure(one, right, *metric).mean()) for one in raw]
    return Choice(best, singles, len(some), len(first.users))


def _spread(cases: int, models: int, trained: TrainedModel) -> torch.Tensor:
    """All cases, or as many of them, evenly spread, as memory bears."""
    most = max(1, SCORES_AT_ONCE // (models * int(trained.split.whole.item_num)))
    return torch.arange(cases) if cases <= most else torch.linspace(0, cases - 1, most).long()


def _require_alike(one: str, first: Cases, other: str, cases: Cases) -> None:
    same = first.is_like(cases)
    for field in ("uid_field", "iid_field"):
        ids, others = (
            each.scorer.loader._dataset.field2id_token[getattr(each.scorer.loader._dataset, field)]
            for each in (first, cases)
        )
        same = same and np.array_equal(ids, others)
    if not same:
        raise UserError(
            f"{one} and {other} are not validated on the same cases, so nothing can be fused; their data or "
            "splits differ; name models of one data set that are split alike"
        )


def tested(
    ensemble: Ensemble, device: torch.device, names: Sequence[str], cutoffs: Sequence[int]
) -> UserScores:
    """The metrics of an ensemble on the test data, user by user; in batches."""
    with opened_cases(ensemble, device) as cases:
        users, step = cases[0].users, scores_at_once(cases[0].scorer)
        parts: dict[str, list[torch.Tensor]] = {}
        for some in torch.split(torch.arange(len(users)), step):
            fused = _fused(ensemble, cases, some)
            right = cases[0].right.of_rows(some)
            for key, values in measures(fused, right, names, cutoffs).items():
                parts.setdefault(key, []).append(values)
        dataset = cases[0].scorer.loader._dataset
        texts = np.asarray(dataset.field2id_token[dataset.uid_field][users.numpy()], dtype=np.str_)
        return UserScores.of_rows(texts, {key: torch.cat(values).numpy() for key, values in parts.items()})


def _fused(ensemble: Ensemble, cases: Sequence[Cases], some: torch.Tensor) -> torch.Tensor:
    pairs = zip(ensemble.members, cases, strict=True)
    parts = [member.weight * standard(own.scores(some), ensemble.fusion) for member, own in pairs]
    return torch.stack(parts).sum(0)


def scores_at_once(scorer: Scorer) -> int:
    """Cases whose scores are in memory at once."""
    return max(1, _CASES_AT_ONCE // int(scorer.loader._dataset.item_num))


@contextmanager
def opened_cases(ensemble: Ensemble, device: torch.device) -> Iterator[list[Cases]]:
    """The test cases of each member, while all are in memory."""
    with ExitStack() as stack:
        cases = [
            Cases.of(stack.enter_context(scoring(member.trained, device)), TEST)
            for member in ensemble.members
        ]
        for member, own in zip(ensemble.members, cases, strict=True):
            _require_alike(ensemble.members[0].label, cases[0], member.label, own)
        yield cases


# -- its file --------------------------------------------------------------------------------------


def write_ensemble(path: Path, ensemble: Ensemble, facts: Mapping[str, Any]) -> None:
    """Write an ensemble with the weights of its members, which lie beside the file; the file comes last."""
    entries = []
    for number, member in enumerate(ensemble.members):
        folder = f"member-{number}"
        save_model(path.parent / folder, member.trained, member.hashes)
        entries.append({"folder": folder, "weight": member.weight, "model": member.label})
    content = {"fusion": ensemble.fusion, "members": entries, **facts}
    write_yaml(path, content, _HEADER.format(path=path))


def read_ensemble(path: Path, outputs: Path, tell: Callable[[str], None]) -> Ensemble:
    """The ensemble of a file, with its members.

    Raises:
        InputError: it is none, or a member is not there.
    """
    document = load_document(path)
    fusion, entries = document.data.get("fusion"), document.data.get("members")
    if fusion not in FUSIONS:
        raise document.error(("fusion",), f"there is no fusion {fusion}", f"use {' or '.join(FUSIONS)}")
    if not isinstance(entries, list) or not entries:
        raise document.error(("members",), "an ensemble needs members", "make it with `recsweep ensemble`")
    members = []
    for number, entry in enumerate(entries):
        weight = entry.get("weight") if isinstance(entry, dict) else None
        if type(weight) is not int or weight < 1 or not isinstance(entry.get("folder"), str):
            fix = "write `folder:` and `weight:`, a whole number from 1"
            raise document.error(("members", number), "a member needs a folder and a weight", fix)
        model = saved_model(path.parent / entry["folder"], outputs, tell)
        members.append(Member(str(entry.get("model", entry["folder"])), weight, model, {}))
    return Ensemble(fusion, members)
