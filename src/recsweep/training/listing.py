"""Who makes lists: a trained model, or an ensemble, whose members rank together as they were tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from recsweep.training.cases import all_scores
from recsweep.training.ensemble import Ensemble, opened_cases, scores_at_once
from recsweep.training.fast.scores import Matrix
from recsweep.training.fast.table import Pairs
from recsweep.training.fusion import standard
from recsweep.training.history import History
from recsweep.training.lists import Lists, pairs_of, top_lists
from recsweep.training.scoring import Scorer, TrainedModel, scoring


@dataclass(frozen=True)
class _Member:
    scorer: Scorer
    history: History
    weight: int = 1


@dataclass(frozen=True)
class Listing:
    """Models in memory that make the lists of users.

    Attributes:
        users: [users] int64: those that all of them can make a list for, by RecBole's numbers, ascending.
        fusion: how several rank together; empty: there is one.
    """

    users: torch.Tensor
    fusion: str
    _members: Sequence[_Member]

    @property
    def scorer(self) -> Scorer:
        """The first of them: it knows the data set's own ids, which are the same for all."""
        return self._members[0].scorer

    def lists(self, users: torch.Tensor, count: int, *, with_seen: bool) -> Iterator[Lists]:
        """The best items of users, in their order.

        Args:
            users: [users] int64.
            count: the length of a list.
            with_seen: what a user had before may be in its list.
        """
        first = self._members[0]
        hidden = None if with_seen else first.history.seen
        if not self.fusion:
            yield from top_lists(first.scorer.family, first.history.table, users, hidden, count)
            return
        for some in torch.split(users, scores_at_once(first.scorer)):
            fused = torch.stack([self._scores(one, some, hidden) for one in self._members]).sum(0)
            best, values = Matrix(fused).top(count, pairs_of(hidden, some, fused.device))
            yield Lists(some, best, values.float())

    def _scores(self, member: _Member, users: torch.Tensor, hidden: Pairs | None) -> torch.Tensor:
        """The share of one member in the ranking of users, [users, items]."""
        found = all_scores(member.scorer, member.history.table(users))
        if hidden is not None and not member.scorer.is_sequential:  # as in the test: what it leaves out
            found[hidden.of_rows(users).at(torch.arange(len(users)))] = -torch.inf
        return member.weight * standard(found, self.fusion)


@contextmanager
def listing(model: TrainedModel | Ensemble, device: torch.device, upto: str) -> Iterator[Listing]:
    """Who makes lists by a trained model, or by an ensemble.

    Args:
        upto: the history that lists are made of (`HISTORIES`).

    Raises:
        UserError: two members were not tested on the same cases.
    """
    if isinstance(model, TrainedModel):
        with scoring(model, device) as scorer:
            history = History.of(scorer, upto)
            yield Listing(history.users, "", [_Member(scorer, history)])
        return
    with opened_cases(model, device) as cases:
        members = [
            _Member(own.scorer, History.of(own.scorer, upto), member.weight)
            for member, own in zip(model.members, cases, strict=True)
        ]
        users = members[0].history.users
        for member in members[1:]:  # one whose first item is all that is known has no sequence
            users = users[torch.isin(users, member.history.users)]
        yield Listing(users, model.fusion, members)
