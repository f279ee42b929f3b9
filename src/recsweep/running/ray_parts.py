"""The parts of a run of Ray Tune that are ours: its searcher, what it calls back, and how it is aborted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from ray.tune import Callback, Stopper
from ray.tune.search import Searcher

from recsweep.running.events import Event
from recsweep.running.ray_trial import TOLD

FINISHED = str(Searcher.FINISHED)
"""The searcher's word that no trial will come any more."""


class Told(Protocol):
    """Whoever is called back; `trial` is Ray's."""

    def began(self, trial: Any) -> None: ...

    def told(self, trial: Any, events: list[Event]) -> None: ...

    def ended(self, trial: Any, error: str | None = None) -> None: ...


class _Unkept:
    """A part that Ray Tune keeps no copy of: its files hold no address of a store, and nothing to run."""

    def __reduce__(self) -> Any:
        return dict, ()

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Slots(_Unkept, Searcher):  # type: ignore[misc]  # Ray has no types
    """The store's slots as a searcher; it keeps nothing."""

    def __init__(self, ask: Callable[[], dict[str, Any] | str | None]) -> None:
        super().__init__(metric=None, mode=None)
        self._ask = ask

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> Any:
        return self._ask()

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The store has it."""

    def save(self, checkpoint_path: str) -> None:
        """A resume needs the store alone."""

    def restore(self, checkpoint_path: str) -> None:
        """Likewise."""


class Telling(_Unkept, Callback):  # type: ignore[misc]
    """Hands on what happens. It comes first, and leaves the files of results without the events."""

    def __init__(self, told: Told) -> None:
        self._to = told

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._to.began(trial)

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        self._to.told(trial, result.pop(TOLD, []))
        result.pop("config", None)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._to.ended(trial)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._to.ended(trial, _why(trial))


def _why(trial: Any) -> str:
    """How an actor ended, in a line: the error of ours that it ended with, or that it is gone."""
    lines: list[str] = []
    with suppress(OSError, TypeError):  # there may be no file of it
        lines = Path(trial.error_file).read_text(encoding="utf-8").splitlines()
    ours = [line.strip() for line in lines if line.startswith("recsweep.")]
    return ours[-1] if ours else "its node or its actor is gone (Ray has lost it)"


class Aborted(_Unkept, Stopper):  # type: ignore[misc]
    """Ends all where the supervisor ends."""

    def __init__(self, is_aborted: Callable[[], bool]) -> None:
        self._is_aborted = is_aborted

    def __call__(self, trial_id: str, result: Any) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._is_aborted()
