"""For tests that need Ray, which is no part of the base lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from recsweep.api.slots import store_of
from recsweep.planning.plan import StudyPlan
from recsweep.running.progress import Display
from recsweep.running.ray_link import Link, trouble
from recsweep.running.ray_tuner import RayTuner
from recsweep.running.supervisor import Supervisor
from recsweep.study import Trial

needs_ray = pytest.mark.skipif(trouble() is not None, reason=f"{trouble()}; `make test-ray` runs it")


class KeptLink(Link):
    """One Ray for all tests of a file, as it takes seconds to start."""

    def close(self) -> None:
        """Later."""

    def end(self) -> None:
        super().close()


def kept_link(folder: Path) -> Iterator[KeptLink]:
    """A link that is open for as long as a fixture."""
    import_module("ray.tune")  # as the engine does, before a link is opened: what it reads then must not hold
    link = KeptLink()
    link.open(folder, 3)
    yield link
    link.end()


def run(
    plan: StudyPlan, link: Link, when: str = "", then: Callable[[RayTuner], Any] = lambda workers: None
) -> tuple[dict[str, Any] | None, list[str]]:
    """A study to its end; `then` is done once, after the first line with `when` in it.

    Returns:
        Its test metrics, and what was said.
    """
    said: list[str] = []
    done: list[Any] = []
    workers = RayTuner(link=link)

    class Watching(Display):
        def line(self, text: str) -> None:
            said.append(text)
            if when and when in text and not done:
                done.append(then(workers))

    with Watching(plan.outputs.tune_log) as display, Supervisor(display, workers) as supervisor:
        metrics = supervisor.run_study(plan, 1, 1)
    assert done or not when, said
    return metrics, said


def found(plan: StudyPlan) -> tuple[list[Trial], list[Trial]]:
    """The results of a study, and all its trials."""
    with store_of(plan) as store:
        study = store.find_study(plan.name)
        return study.results(), study.trials()
