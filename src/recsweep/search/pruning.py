"""When a poor trial is stopped early. Pure functions, asked after each validation, of validation scores only.

The rules, and where they are from, stand in `pruning_rules`.

A trial's score is that of its best epoch, so its best so far is what speaks for it, and one bad validation
is no reason to stop it. With `patience`, a rule has to hold at so many validations before, too. Where there
are rungs, these are the validations from the rung on: a trial has so many more to win its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from recsweep.search.curves import Curve
from recsweep.search.pruning_rules import ETA, RULES, Question
from recsweep.study import State
from recsweep.sweeps.config import PruningConfig
from recsweep.sweeps.pruner_table import NO_PRUNER, PRUNERS


def is_due(config: PruningConfig, own: Curve, *, max_epochs: int) -> bool:
    """True where a trial can be stopped after its latest validation; else there is no need of the others.

    The first trial of a study is never stopped, nor is one that has trained to the end.
    """
    if config.pruner == NO_PRUNER or own.slot == 0 or not own.epochs or own.epochs[-1] >= max_epochs:
        return False
    start = len(own.epochs) - 1 - config.patience
    if start < 0:
        return False
    epoch, before = own.epochs[start], own.epochs[start - 1] if start else 0
    if not PRUNERS[config.pruner].rungs:
        return epoch >= config.warmup_epochs
    rung = _first_rung(config)
    if PRUNERS[config.pruner].brackets:
        rung *= ETA ** _bracket(config, own.slot, max_epochs)
    while rung <= before:
        rung *= ETA
    return rung <= epoch


def needs_running(config: PruningConfig) -> bool:
    """True where the rule compares with trials that still run, too."""
    return PRUNERS[config.pruner].rungs


def verdict(
    config: PruningConfig, own: Curve, others: Sequence[Curve], *, maximize: bool, max_epochs: int
) -> str | None:
    """Why a trial is to be stopped after its latest validation; None: it goes on.

    Args:
        own: the trial, up to now.
        others: all other trials of the study but the failed ones, in any order.
        max_epochs: the most epochs of a trial (`training.epochs`).

    Returns:
        The comparison in words, such as `0.0141 < median 0.0170`.
    """
    if not is_due(config, own, max_epochs=max_epochs):
        return None
    others = [other for other in others if other.slot != own.slot and other.epochs]
    if sum(other.state != State.RUNNING for other in others) < config.min_trials:
        return None
    if PRUNERS[config.pruner].brackets:
        bracket = _bracket(config, own.slot, max_epochs)
        others = [other for other in others if _bracket(config, other.slot, max_epochs) == bracket]
    reason = None
    for epoch in reversed(own.epochs[-1 - config.patience :]):
        against = RULES[config.pruner](Question(own, epoch, others, maximize))
        if against is None:
            return None
        reason = reason or against
    return reason


# -- rungs and brackets ----------------------------------------------------------------------------


def _first_rung(config: PruningConfig) -> int:
    return max(1, config.warmup_epochs)


def _bracket(config: PruningConfig, slot: int, max_epochs: int) -> int:
    """How many rungs later than in the first bracket a slot's trial meets its first one."""
    order = _bracket_order(_first_rung(config), max_epochs)
    return order[slot % len(order)]


@cache
def _bracket_order(first_rung: int, max_epochs: int) -> tuple[int, ...]:
    """Brackets in turns: as often as Hyperband draws trials for them, each spread out evenly."""
    count = 1
    while first_rung * ETA**count <= max_epochs:
        count += 1
    rungs = range(count, 0, -1)  # of each bracket
    trials = [math.ceil(count / own * ETA ** (own - 1)) for own in rungs]
    total, credit, order = sum(trials), [0] * count, []
    for _ in range(total):
        credit = [saved + share for saved, share in zip(credit, trials, strict=True)]
        chosen = credit.index(max(credit))
        credit[chosen] -= total
        order.append(chosen)
    return tuple(order)
