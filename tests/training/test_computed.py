"""What computed models are made of: inverses and directions by another way than RecBole's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.utils.extmath import randomized_svd

from helpers.fast import (
    CPU,
    RECBOLE,
    TORCH,
    assert_equal_runs,
    run,
    settings_of,
    split_of,
    write_interactions,
)
from helpers.fast_cases import CASES
from recsweep.recbole_api import compat
from recsweep.recbole_api import model as recbole
from recsweep.recbole_api.config import TypedConfig
from recsweep.recbole_api.data import make_loaders
from recsweep.training.fast import admm, nceplrec
from recsweep.training.fast import trainer as fast
from recsweep.training.fast.grams import Counts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("computed") / "small", users=30, items=40, longest=12)


def interactions(users, items, share=0.2):
    return (
        sp.random(users, items, share, format="csr", rng=np.random.default_rng(4)).sign().astype(np.float32)
    )


@pytest.mark.parametrize("centred", [False, True])
def test_users_and_items_give_the_same_inverse(centred):
    rows = interactions(30, 50)
    dense = rows.toarray().astype(np.float64)
    means = dense.mean(axis=0)
    shared = SimpleNamespace(rows=rows, items=(rows.T @ rows).toarray())
    model = SimpleNamespace(shared=shared, item_means=means, center_columns=centred, rho=3.0, n_users=30)
    penalties = 3.0 + 5.0 * means
    values = torch.randn(50, 7, generator=torch.Generator().manual_seed(1))
    moved = dense - means if centred else dense
    inverse = np.linalg.inv(moved.T @ moved + np.diag(penalties))
    for made in (admm._InverseByItems, admm._InverseByUsers):
        one = made(model, penalties, None)
        np.testing.assert_allclose(one.times(values).numpy(), 6.0 * inverse @ values.numpy(), atol=2e-5)
        np.testing.assert_allclose(one.columns(torch.tensor([3, 8])).numpy(), inverse[:, [3, 8]], atol=1e-6)


@pytest.mark.parametrize(("users", "items"), [(60, 90), (90, 60)])
@pytest.mark.parametrize("full", [0, 10**9])
@pytest.mark.parametrize("rank", [4, 20])
def test_directions_are_those_of_the_randomized_svd(users, items, full, rank, monkeypatch):
    monkeypatch.setattr(nceplrec, "_FULL", full)
    weighted = interactions(users, items).astype(np.float64)
    _, values, vectors = randomized_svd(
        weighted.tocoo(), n_components=rank, power_iteration_normalizer="QR", random_state=3
    )
    found = nceplrec._by_products(weighted, rank, 3, None)
    np.testing.assert_allclose(found @ found.T, (vectors.T * values) @ vectors, atol=1e-8)
    compat.apply()
    monkeypatch.setattr(nceplrec, "_by_products", lambda *given: None)
    other = nceplrec._directions(weighted, rank, 3, None)
    np.testing.assert_allclose(other @ other.T, found @ found.T, atol=1e-8)


def test_lost_directions_are_left_to_the_randomized_svd():
    few = sp.csr_matrix(np.outer(np.arange(40.0), np.ones(30)) + np.eye(40, 30))
    one = sp.csr_matrix(np.outer(np.arange(40.0), np.ones(30)))
    assert nceplrec._by_products(few, 3, 1, None) is not None
    assert nceplrec._by_products(one, 3, 1, None) is None


def made_by(folder, params):
    settings = settings_of(folder, "NCEPLRec", {"rank": 8, **params})
    with recbole.clean_globals():
        config = TypedConfig(settings, CPU, folder / "scratch")
        train, _, _ = make_loaders(config, split_of(settings, folder))
        model = fast.make_model(config, train, wanted=True)
        fast.families.served()["NCEPLRec"](model, None, 1).compute()
    return model


def test_trials_with_another_regulariser_share_the_directions(folder, monkeypatch):
    seen = []
    directions = nceplrec._directions
    monkeypatch.setattr(
        nceplrec, "_directions", lambda *given: (seen.append(given[1:3]), directions(*given))[1]
    )
    one, other = (made_by(folder, {"reg_weight": weight}) for weight in (1.0, 50.0))
    assert len(seen) == 1
    assert torch.equal(one.user_embeddings, other.user_embeddings)
    assert not torch.allclose(one.item_embeddings, other.item_embeddings)
    made_by(folder, {"rank": 5})
    assert [rank for rank, _ in seen] == [8, 5]


def test_only_the_last_and_small_arrays_are_kept(monkeypatch):
    columns = torch.arange(3), torch.arange(3)
    feat = dict(zip("ui", columns, strict=True))
    data = SimpleNamespace(
        inter_feat=feat, uid_field="u", iid_field="i", inter_matrix=lambda form: sp.eye(3).tocsr()
    )
    counts, made = Counts(data), []
    ask = lambda key: counts.kept(key, lambda: (made.append(key), (np.zeros(100),))[1])  # noqa: E731
    for key in (*range(9), 8, 1, 0):
        ask(key)
    assert made == [*range(9), 0]
    monkeypatch.setattr("recsweep.training.fast.grams._MADE_BYTES", 500)
    ask(20), ask(20)
    assert made[-2:] == [20, 20]


def test_sampled_scores_that_are_drawn_stay_with_recbole(folder):
    sampled = {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "group_by": "user", "order": "RO"}}
    sampled["eval_args"]["mode"] = {"valid": "uni20", "test": "uni20"}
    settings = settings_of(folder, "ADMMSLIM", {**CASES["ADMMSLIM"].params, **sampled})
    split = split_of(settings, folder)
    found, expected = (run(settings, split, path, folder) for path in (TORCH, RECBOLE))
    assert_equal_runs(found, expected, metric=1e-9)
