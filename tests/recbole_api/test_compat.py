"""RecBole 1.2.1 on today's libraries: what is mended, what is refused, what stays untouched."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import pickle
import re

import numpy as np
import pytest
import torch

from helpers.catalogue import settings_for, splits, write_dataset
from recsweep.common.errors import UnsupportedEnvironment
from recsweep.recbole_api import compat
from recsweep.training import training

compat.apply()


def pretend(monkeypatch, **versions):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or real(name))


def test_the_installed_versions_are_supported():
    compat.check_versions()
    assert set(compat.SUPPORTED) >= {"recbole", "numpy", "pandas", "scipy", "torch"}


def test_pandas_3_is_refused_with_the_reason_and_the_fix(monkeypatch):
    pretend(monkeypatch, pandas="3.0.0")
    with pytest.raises(UnsupportedEnvironment) as caught:
        compat.check_versions()
    text = str(caught.value)
    assert "pandas 3.0.0" in text
    assert "leaves NaN in RecBole's features" in text
    assert "make setup" in text
    assert "\n" not in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("pandas", "3.1.0rc1"),
        ("numpy", "1.26.4"),
        ("torch", "2.5.1+cu121"),
        ("recbole", "1.2.0"),
        ("scipy", "1.9"),
    ],
)
def test_an_unsupported_version_is_refused_by_name(monkeypatch, name, version):
    pretend(monkeypatch, **{name: version})
    with pytest.raises(UnsupportedEnvironment, match=re.escape(f"but got {name} {version}")):
        compat.check_versions()


@pytest.mark.parametrize(
    ("name", "version"), [("torch", "2.13.0+cu130"), ("numpy", "2.0"), ("pandas", "2.2.3")]
)
def test_edges_of_the_supported_range_and_gpu_builds_are_accepted(monkeypatch, name, version):
    pretend(monkeypatch, **{name: version})
    compat.check_versions()
    assert importlib.metadata.version(name) == version


def test_a_missing_library_is_named(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(UnsupportedEnvironment, match=r"recbole is not installed.*make setup"):
        compat.check_versions()


@pytest.mark.parametrize("name", ["bool8", "float", "float_", "int", "complex_", "object", "str", "unicode_"])
def test_the_names_that_recbole_uses_are_there_in_numpy(name):
    assert np.dtype(getattr(np, name)) is not None


def test_scipys_lost_update_sets_many_entries():
    from scipy.sparse import dok_matrix

    matrix = dok_matrix((2, 2), dtype=np.float32)
    matrix._update({(0, 1): 3.0})
    assert matrix.tocsr()[0, 1] == 3.0


def test_recboles_installed_files_are_untouched():
    files = importlib.metadata.files("recbole") or []
    checked = 0
    for file in files:
        if file.suffix == ".py" and file.hash:
            digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, file
            checked += 1
    assert checked > 100


def test_a_pickle_in_a_checkpoint_folder_is_not_loaded(tmp_path, monkeypatch):
    from recbole.data import utils

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    (tmp_path / "ml-100k-for-FPMC-dataloader.pth").write_bytes(pickle.dumps(Harm()))
    config = {"checkpoint_dir": str(tmp_path), "dataset": "ml-100k", "model": "FPMC"}
    assert utils.load_split_dataloaders({**config, "dataloaders_save_path": None}) is None
    assert not (tmp_path / "harmed").exists()


def test_torch_still_refuses_to_run_code_from_a_checkpoint(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    torch.save({"state": Harm()}, tmp_path / "x.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "x.pth")
    assert not (tmp_path / "harmed").exists()


def test_saved_weights_are_read_back_with_or_without_a_score(tmp_path):
    from recbole.trainer import trainer

    class Settings:
        final_config_dict = {"model": "RaCT"}  # noqa: RUF012

    for state in ({"best_valid_score": np.float64(0.5)}, {}):
        trainer.torch.save({"config": Settings(), **state}, tmp_path / "x.pth")
        expected = {"config": {"model": "RaCT"}, **{name: float(value) for name, value in state.items()}}
        assert torch.load(tmp_path / "x.pth", weights_only=True) == expected


def test_vectors_from_a_file_have_the_precision_of_weights():
    from recbole.data.dataset import Dataset

    dataset = Dataset.__new__(Dataset)
    dataset._preloaded_weight = {"ent_id": np.ones((2, 3))}
    assert dataset.get_preload_weight("ent_id").dtype == np.float32


def test_only_warnings_known_by_name_and_place_are_silenced():
    for message, category, module in compat._HARMLESS:
        assert len(re.sub(r"\W", "", message)) > 10, "a message of its own, not all of a kind"
        assert issubclass(category, Warning)
        assert category is not Warning
        assert module.startswith(("recbole", "torch"))


def test_torchs_anomaly_mode_stays_off():
    import recbole.model.sequential_recommender.sine

    assert recbole.model.sequential_recommender.sine.torch is torch
    assert not torch.is_anomaly_enabled()


def test_applying_it_again_changes_nothing():
    from recbole.trainer import trainer

    before = trainer.get_tensorboard
    compat.apply()
    assert trainer.get_tensorboard is before


def test_nncf_finds_neighbours_of_users_by_users(tmp_path):
    """RecBole takes the word `user` for the size of a block, and fails."""
    settings = {**settings_for("NNCF", write_dataset(tmp_path)), "neigh_info_method": "knn", "neigh_num": 3}
    settings |= {"conv_kernel_size": 2, "pool_kernel_size": 1}
    training.train(settings, splits(tmp_path)(settings), torch.device("cpu"))


def test_dgcf_draws_no_more_users_than_there_are(tmp_path):
    """RecBole draws as many users as items, by the larger number: with one batch an epoch, more than all."""
    settings = {**settings_for("DGCF", write_dataset(tmp_path)), "train_batch_size": 2048}
    training.train(settings, splits(tmp_path)(settings), torch.device("cpu"))
