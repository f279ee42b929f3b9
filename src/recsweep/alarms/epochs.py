"""Early stop that never fired, so that the limit of epochs decided; or that fired at once."""

from __future__ import annotations

from collections.abc import Iterator

from recsweep.alarms.alarm import Alarm, Searched, about
from recsweep.recbole_api import catalog
from recsweep.study import State

NEVER, AT_ONCE = "epochs", "first epoch"
SOURCE = "Prechelt 1998"
MORE = "raise training.epochs, so that early stop decides"
LESS = "look at its learning curves, lower the learning rates of its space, or validate more often"


def stopped_by_epochs(search: Searched) -> Iterator[Alarm]:
    """The winner trained to the last epoch that is allowed; the number is the share of trials that did."""
    training, winner = search.record.training, search.winner
    done = [trial for trial in search.trials if trial.state == State.COMPLETE and trial.result.epochs]
    if winner is None or not search.finished or winner.result.epochs is None or not _learns(search):
        return
    at_limit = [trial for trial in done if (trial.result.epochs or 0) >= training.epochs]
    if winner.result.epochs < training.epochs:
        return
    best = winner.result.best_epoch or winner.result.epochs
    text = (
        f"the limit of epochs, {training.epochs}, ended the best trial (its best epoch is {best}) and "
        f"in all {len(at_limit)} of {len(done)} complete trials, not early stop"
    )
    yield Alarm(NEVER, about(search), len(at_limit) / max(len(done), 1), text, SOURCE, MORE)


def best_at_once(search: Searched) -> Iterator[Alarm]:
    """The winner was best at its first validation, and early stop ended it; the number is that epoch."""
    training, winner = search.record.training, search.winner
    if winner is None or not search.finished or not _learns(search):
        return
    epochs, best = winner.result.epochs, winner.result.best_epoch
    if epochs is None or best is None or best > training.eval_step or epochs >= training.epochs:
        return
    if epochs - best < max(training.stopping_step, 1) * training.eval_step:  # something else ended it
        return
    text = f"the best trial was best at its first validation, after {best} of {epochs} epochs"
    yield Alarm(AT_ONCE, about(search), best, text, SOURCE, LESS)


def _learns(search: Searched) -> bool:
    """A model that counts or solves has no epochs."""
    return all(catalog.learns(model) for model in search.record.models)
