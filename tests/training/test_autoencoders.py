"""Autoencoders of users: what dropout leaves of their items, and rows of items against RecBole's matrix."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.fast import CPU, FAST_PATHS, settings_of, split_of, taking, write_interactions
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.histories import Histories

SETTINGS = {"mlp_hidden_size": [8], "latent_dimension": 8, "dropout_prob": 0.3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("auto") / "toy", users=24)


def made(folder) -> tuple[Any, Any]:
    settings = settings_of(folder, "MultiDAE", SETTINGS)
    config = TypedConfig(settings, CPU, folder / "scratch")
    train, _, _ = make_loaders(config, split_of(settings, folder))
    own = recbole.make_model(config, train)
    return recbole.make_trainer(config, own), own


def test_rows_of_items_are_recboles_rating_matrix(folder):
    with recbole.clean_globals():
        _, own = made(folder)
        own.history_item_id[3, 1] = own.history_item_id[3, 0]  # a user may have met an item twice
        users = torch.tensor([7, 0, 3, 24, 7])
        bags = Histories(own.history_item_id, own.history_item_value != 0, own.n_items).all_of(users)
        expected = own.get_rating_matrix(users)
        assert torch.equal(bags.dense(bags.ones()), expected)
        assert torch.allclose(bags.dense(bags.normalized()), torch.nn.functional.normalize(expected))


@pytest.mark.parametrize("path", FAST_PATHS)
def test_dropout_of_items_keeps_their_mean_and_their_share(folder, path):
    with recbole.clean_globals(), taking(path):
        family = fast._make_family(made(folder)[0])
        given = torch.full((40_000,), 0.25)
        dropped = []
        for _ in range(2):
            family._steps += 1
            dropped.append(family.dropped(given, 0.3))
        for one in dropped:
            kept = one != 0
            assert torch.allclose(one[kept], torch.tensor(0.25 / 0.7), rtol=1e-4)
            assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.01)
        both = ((dropped[0] != 0) & (dropped[1] != 0)).float().mean()
        assert float(both) == pytest.approx(0.49, abs=0.01), "each batch has masks of its own"


@pytest.mark.parametrize("changes", [{"clip_grad_norm": {"max_norm": 1.0}}, {"n_enc_epochs": 0}])
def test_recvae_trains_by_recbole_where_turns_are_no_turns(folder, changes):
    settings = settings_of(folder, "RecVAE", {"hidden_dimension": 8, "latent_dimension": 8, **changes})
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        train, _, _ = make_loaders(config, split_of(settings, folder))
        reason = fast.unsupported(recbole.make_trainer(config, recbole.make_model(config, train)), train)
    assert reason in ("clip_grad_norm over both parts", "one of both parts is not trained")
