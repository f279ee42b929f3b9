"""A configuration tried for a moment: the path of a trial, epochs cut short and made whole in proportion."""

from __future__ import annotations

import time

import pytest

from helpers.trials import CPU, settings_of
from recsweep.datasets.prepare import prepare
from recsweep.estimating.probe import DEFAULTS, LARGE, Point
from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.data import limited_loader
from recsweep.running.commands import Gauge
from recsweep.running.gauging import gauge
from recsweep.training import probe as probing
from recsweep.training.fast.factorized import Fpmc
from recsweep.training.probe import probe

FPMC = recbole("model.sequential_recommender").FPMC


def probed(plan, seconds=30.0, to_its_end=True, **changes):
    settings = settings_of(plan, **changes)
    split = prepare(settings, plan.files, plan.outputs.cache).split
    return probe(settings, split, CPU, Point(DEFAULTS, {}, 1), seconds, to_its_end=to_its_end)


def test_a_trial_is_tried_to_its_end_where_there_is_time(make_plan):
    found = probed(make_plan("FPMC"), epochs=3)
    assert (found.finished, found.epochs, found.path) == (True, 3, "compiled")
    assert 0 < found.validation_seconds < found.epoch_seconds
    assert found.setup_seconds > 0


@pytest.mark.parametrize("fast", [True, False])
def test_a_long_epoch_is_cut_and_counted_whole(make_plan, monkeypatch, fast):
    plan = make_plan("FPMC")
    batches = 40
    rows = prepare(settings_of(plan), plan.files, plan.outputs.cache).split.statistics["train_samples"]
    monkeypatch.setattr(probing, "_EPOCH_SECONDS", 0.05)
    steps: list[None] = []
    owner, name = (Fpmc, "step") if fast else (FPMC, "calculate_loss")
    step = getattr(owner, name)

    def slow(*given):
        steps.append(time.sleep(0.02))
        return step(*given)

    monkeypatch.setattr(owner, name, slow)
    found = probed(plan, epochs=3, fast=fast, train_batch_size=rows // batches)
    assert len(steps) < batches / 2
    assert (found.finished, found.epochs) == (False, 1)
    # At most so much: a machine that has other work sleeps longer, too.
    assert 0.02 * batches * 0.8 < found.epoch_seconds - found.validation_seconds < 0.02 * batches * 25


def test_a_large_validation_is_ranked_in_part(make_plan, monkeypatch):
    plan = make_plan("FPMC")
    whole = prepare(settings_of(plan), plan.files, plan.outputs.cache).split
    rows = len(whole.parts[1])
    monkeypatch.setattr(probing, "MOST_VALIDATED", rows // 4)
    some, share = probing._sampled(whole)
    assert (len(some.parts[1]), len(some.parts[2])) == (rows // 4, len(whole.parts[2]))
    assert share == pytest.approx(rows / (rows // 4))


def test_a_limited_loader_is_of_its_own_kind():
    class Loader:
        def __iter__(self):
            return iter([1, 2, 3, 4])

        def __len__(self):
            return 4

    loader = limited_loader(Loader(), lambda batches, number: (one for one in batches if one < number - 1))
    assert isinstance(loader, Loader)
    assert type(loader).__name__ == "Loader"
    assert (list(loader), list(loader)) == ([1, 2], [1, 2])


class Data:
    """The data of studies, as a worker has them."""

    def prepared(self, plan, device, params=None, split_seed=None):
        return prepare(plan.settings(params, 1, split_seed), plan.files, plan.outputs.cache)


def gauged(plan, seconds, *named):
    points = [Point(name, {**plan.defaults, **params}, 1, plan.seed) for name, params in named]
    return list(gauge(Data(), Gauge(plan, tuple(points), seconds), CPU))


def test_a_worker_tries_each_configuration_and_tells_what_fails(make_plan):
    named = ((DEFAULTS, {}), ("within 1", {"embedding_size": -4}), (LARGE, {}), ("late", {}))
    found = gauged(make_plan("FPMC"), 0.0, *named)
    assert [(one.probe.name, bool(one.probe.failure)) for one in found] == [
        (DEFAULTS, False),
        ("within 1", True),
        (LARGE, False),
    ]
    assert all(one.memory > 2**26 for one in found)


def test_what_may_stop_early_is_trained_on_while_there_is_time(make_plan):
    plan = make_plan("FPMC", epochs=4, patience=1)
    found = [one.probe for one in gauged(plan, 60.0, (DEFAULTS, {}), (LARGE, {}))]
    assert [(one.name, one.finished) for one in found] == [
        (DEFAULTS, False),
        (LARGE, False),
        (DEFAULTS, True),
    ]
    assert found[0].epochs == 2 < found[2].epochs
